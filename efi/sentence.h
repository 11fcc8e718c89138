#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sentences built in fixed buffers: firmware code has no printf. What does not fit is cut, never overruns. */

#include <stddef.h>
#include <stdint.h>

struct sentence {
    char *base; /* borrowed; always zero-terminated */
    size_t cap, len;
};

/* cap counts the zero byte and is at least 1. */
void sentence_init(struct sentence *s, char *base, size_t cap);
void sentence_add(struct sentence *s, const char *text);
void sentence_add_u64(struct sentence *s, uint64_t v);
/* As disks are sold: "512 GB", "1.0 TB", "64 MB"; small files: "12 bytes". */
void sentence_add_size(struct sentence *s, uint64_t bytes);
/* "1,204" */
void sentence_add_count(struct sentence *s, uint64_t v);
/* "1 file", "1,204 files" */
void sentence_add_things(struct sentence *s, uint64_t n, const char *one, const char *many);
