#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Something else is started: the list of what can be, the firmware's settings, the next stage. */

#include <stdbool.h>

/* Gather what can be started and let a person choose. */
void leave_list(void);
/* A line of the list was chosen, for afterwards; whether to start it now, locked, is asked. */
void leave_picked(void);
/* Restart into the firmware's settings; says so when this firmware cannot. */
void leave_for_setup(void);
/* Restart, as if this program had never run: its password is taken back, so the system asks. Does not return.
 */
void leave_for_clean_start(void);
/* Try what can be started, one after the other; when what a person chose has ended, that person goes on.
 * Returns only then, or when nothing is left: false. */
bool leave(void);
