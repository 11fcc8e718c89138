#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "Copy files to USB": from choosing what to what came of it. */

/* For the volume on the screen. One that is open: choose, ask, copy, tell; one that is locked: say what opens
 * it for that (a system's volume is else handed over, not read). Comes back to the page that was there. cost:
 * 0.7 MiB of memory while it is shown */
void copy_screen(void);
