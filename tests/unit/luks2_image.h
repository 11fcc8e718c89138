#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LUKS2 headers made in memory, for tests: any JSON text, right checksums, and a volume_io that reads them.
 */

#include "formats/luks2.h"

#define IMAGE_SIZE (1u << 20)

struct image {
    uint8_t *p;
    size_t len, hdr_size;
    enum err fail; /* what every read returns, ERR_OK: the bytes */
};

/* A header that cryptsetup would take: two PBKDF2 slots, an Argon2id slot, two tokens. */
extern const char image_json[];
/* The same volume while a re-encryption runs. */
extern const char image_json_reencrypting[];

/* Text with the first occurrence of from replaced, in static memory; from must be there. */
const char *image_edit(const char *text, const char *from, const char *to);

/* Allocate IMAGE_SIZE bytes (or 3 × hdr_size if that is more) with both copies of a header, sequence
 * number 5. json longer than the area is cut. */
void image_make(struct image *ret, const char *json, size_t json_len, size_t hdr_size);
void image_free(struct image *i);
/* Make the checksum of the copy at off right again. */
void image_seal(struct image *i, size_t off);
/* Write another JSON text into the copy at off, and seal it. */
void image_set_json(struct image *i, size_t off, const char *json, size_t json_len);
void image_set_seqid(struct image *i, size_t off, uint64_t seqid);
struct volume_io image_io(struct image *i);
/* Load with enough scratch. */
enum err image_load(struct image *i, struct luks2 *ret);
