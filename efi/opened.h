#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume is opened, by digits or by a file on a stick, and what can be done with it then. */

/* Try what was typed on the volume on the screen; Enter on one that is open or needs no key says or does
 * that.
 */
void opened_try(void);
/* The page after opening was read: one that is still locked comes next. */
void opened_next_locked(void);
/* Is there a key on a stick? Ask whether to use it. */
void opened_offer_stick(void);
/* It is to be used. */
void opened_use_stick(void);
