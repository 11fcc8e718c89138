#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said before, while and after files are copied. Pure: tested hosted. */

#include "efi/copy.h"
#include "efi/page.h"

#define COPY_TITLE "Copy files to a USB stick"
#define COPY_LABEL 40 /* bytes of a stick's or volume's name */

/* A stick, as far as it is said. */
struct copy_place {
    char label[COPY_LABEL]; /* "" without */
    struct copy_room room;
    bool locked; /* write-protected */
};

/* No stick that can be written to. locked: one that cannot, or NULL */
void copy_page_no_stick(struct page *p, const struct copy_place *locked);
/* No driver reads the volume. file_system: its name, NULL unknown; refused: so many drivers were refused by
 * Secure Boot */
void copy_page_no_driver(struct page *p, const char *volume, const char *file_system, unsigned refused);
/* While it is counted. */
void copy_page_counting(struct page *p, const struct copy_plan *so_far);
/* The question before anything is written. volume: its name; folder: the new one's; several: there are more
 * sticks */
void copy_page_ask(struct page *p, const char *volume, const struct copy_plan *plan,
                   const struct copy_place *to, const char *folder, bool several);
void copy_page_progress(struct page *p, const struct copy_plan *plan, const struct copy_progress *now);
/* What stands, what does not and why, and what Enter does. */
void copy_page_result(struct page *p, const struct copy *c, const struct copy_plan *plan, enum copy_end end,
                      const char *folder);
/* Does Enter go on copying after this end? */
bool copy_can_go_on(enum copy_end end);

/* "KEYHOLT-COPY-2026-11-26"; "KEYHOLT-COPY" by a clock that was never set. */
#define COPY_FOLDER 32
void copy_folder_name(unsigned year, unsigned month, unsigned day, char ret[static COPY_FOLDER]);
