#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery screen in its two looks, from one content and one model: graphics where there is a screen,
 * text on every other console (serial lines). Beside them a few tones, where there is a speaker. */

#include "efi/content.h"
#include "efi/model.h"
#include "efi/page.h"

/* Take over screen and consoles. */
void screen_open(void);
/* Show that something is going on before there is anything to ask for; texts get just the message. */
void screen_begin(const struct content *c, const struct model *m);
/* Show everything. Both stay borrowed until the next call. */
void screen_show(const struct content *c, const struct model *m);
/* Show what a key changed. cost: a few milliseconds; keys wait meanwhile in the firmware's queues */
void screen_update(const struct model *m);
/* Show a page in place of the rest, until the next screen_show(). */
void screen_page(const struct page *p);
/* Colours of high contrast, or back; to be seen at the next screen_show(). */
void screen_recolor(void);
/* Let be heard what a key did: each key on its own, while the drawing waits until no key does. */
void screen_hear(const struct model *m);
/* One line for whoever watches a serial line; the graphics look does not show it. */
void screen_remark(const char *line);
/* Leave an empty screen, and silence, to the next stage. */
void screen_close(void);

/* The looks. Each draws what differs from what it drew before. */
MUST_CHECK enum err screen_gop_open(void); /* err: UNSUPPORTED (no graphics), NOMEM */
void screen_gop_show(const struct content *c, const struct model *m);
void screen_gop_update(const struct model *m);
void screen_gop_recolor(void);
void screen_gop_close(void);

/* with_main: also the main console, because there are no graphics */
void screen_text_open(bool with_main);
void screen_text_show(const struct content *c, const struct model *m);
void screen_text_update(const struct model *m);
void screen_text_remark(const char *line);
void screen_text_close(void);
