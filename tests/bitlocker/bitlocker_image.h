#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Volumes of the writer in memory, read by formats/bitlocker.h. */

#include "formats/bitlocker.h"
#include "tests/bitlocker/bitlocker_writer.h"

struct bi {
    uint8_t *p;
    uint64_t size;
    uint64_t bad_off, bad_end; /* reading here fails with IO */
    struct bitlocker b;
    struct bitlocker_problem problem;
};

/* Make the volume; BITLOCKER_MEMORY of its own comes with it. Frees what was there before. */
void bi_make(struct bi *i, const struct bw_options *o);
void bi_free(struct bi *i);
/* Load, into i->b. */
enum err bi_load(struct bi *i);
void bi_poke(struct bi *i, uint64_t off, uint64_t v, size_t n);
/* Byte offset of the nth entry of this type and value in block 0; ends the program when there is none. */
uint64_t bi_entry(const struct bi *i, unsigned type, unsigned value, unsigned nth);
