#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the firmware's boot menu to the first prompt: what lies beside the app, and which disks are locked. */

/* Take over keyboard and screen, read what the organisation and the system left, find the volumes, show them.
 */
void startup(void);
/* Look for volumes once more, on every disk that there is; what was typed stays. */
void startup_look_again(void);
