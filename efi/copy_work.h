#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What copy_screen.c (choosing) and copy_transfer.c (from the stick to the result) share. For these alone. */

#include "efi/copy_list.h"
#include "efi/copy_stick.h"
#include "efi/tree_efi.h"
#include "efi/volumes.h"

/* Everything that is needed from choosing to the end; pool memory. */
struct work {
    struct volume *v;
    const char *name; /* of the volume */
    struct tree_efi from_efi, to_efi;
    struct tree from, to;
    struct copy_list list;
    struct copy_choice choice;
    struct copy_stick stick[COPY_STICKS];
    unsigned n_sticks, at; /* the stick that is meant */
    struct disk medium;    /* that stick's */
    struct copy_plan plan;
    char folder[COPY_FOLDER];
    uint16_t base[COPY_FOLDER];
    struct walk walk;
    struct copy_batch batch;
    struct copy copy;
    char notes[COPY_NOTES];
    uint8_t buffer[COPY_BUFFER];
    uint64_t drawn_ms;
};

/* What stands on the screen. */
extern struct page copy_page;

/* Find a stick, ask, copy what is chosen in the list, tell. True when something was copied, or tried to be.
 */
bool copy_chosen(struct work *w);
/* A sentence alone, until it is read. */
void copy_tell(const char *sentence);
/* Enter or Esc; the page stands. True: Enter. */
bool copy_wait_answer(void);
