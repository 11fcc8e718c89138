#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One copy of a LUKS2 header: binary header, checksum, JSON text; for formats/luks2_header.c only.
 * source: LUKS2 On-Disk Format Specification 1.1.1, section 2 */

#include "formats/luks2.h"

/* What the binary header says of itself. */
struct luks2_copy {
    uint64_t off; /* where it was found */
    uint64_t size, seqid;
};

/* The caller's scratch: result, binary header, a chunk, then text, and behind the text whatever is needed. */
struct luks2_room {
    struct luks2 *l;
    uint8_t *bin, *chunk;
    char *text;
    size_t text_len; /* of the copy that was read last */
    size_t
        marks; /* in its text: braces, brackets, commas, colons; there are no more values than that and one */
    size_t cap;    /* bytes from text on */
    size_t before; /* bytes of scratch before text */
};

/* err: FULL */
MUST_CHECK enum err luks2_room_init(void *scratch, size_t len, struct luks2_room *ret);
/* Fill why for scratch that is too small for the copy that was read last. Returns FULL. */
MUST_CHECK enum err luks2_room_need(const struct luks2_room *room, struct luks2_problem *why);

/* Magic of a first copy (off 0) or a second one? p: at least 8 bytes */
bool luks2_is_magic(const uint8_t *p, uint64_t off);
uint16_t luks2_version(const uint8_t *p);

/* Only what the binary header says; p: its first 512 bytes.
 * err: NOT_FOUND (no magic), FORMAT */
MUST_CHECK enum err luks2_copy_decode(const uint8_t *p, uint64_t off, struct luks2_problem *why,
                                      struct luks2_copy *ret);
/* Read that much and decode it. err: also TRUNCATED, IO */
MUST_CHECK enum err luks2_copy_peek(const struct volume_io *io, uint64_t off, struct luks2_problem *why,
                                    struct luks2_copy *ret);
/* Read one copy whole and check its sum. Its binary header and its text lie in room then. The rest of the
 * JSON area is read, found to be zeros and hashed, but takes no memory. err: NOT_FOUND, FORMAT, UNSUPPORTED
 * (hash of the checksum), FULL, TRUNCATED, IO */
MUST_CHECK enum err luks2_copy_read(const struct volume_io *io, uint64_t off, struct luks2_room *room,
                                    struct luks2_problem *why, struct luks2_copy *ret);

/* Name of another format whose mark stands in the first LUKS2_BIN_HDR bytes, NULL none that is known. */
const char *luks2_foreign(const uint8_t *p);
