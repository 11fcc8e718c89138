#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside tests/unit/fake_disk*.c only: a header's JSON in pieces, and keyslots as LUKS2 makes them. */

#include "formats/luks2.h"
#include "tests/unit/fake_disk.h"
#include <json-c/json.h>

#define FAKE_HDR   16384u /* bytes of one copy */
#define FAKE_KEY   16u    /* of the volume key; small, so that key material is */
#define FAKE_AREA  65536u /* of one keyslot: LUKS2_STRIPES × FAKE_KEY, rounded up */
#define FAKE_START (2 * FAKE_HDR)
#define FAKE_COUNT 1000u /* PBKDF2 count of keyslots that are not Keyholt's, and of the digest */

/* Text of a volume without keyslots and tokens, for this volume key; to be freed. */
char *fake_json_new(const uint8_t key[static FAKE_KEY]);
/* Add a keyslot to the text's digest and keyslots; its key material goes to ret_area (FAKE_AREA bytes).
 * ret_off: where that belongs. err: FULL */
enum err fake_json_add_slot(json_object *header, unsigned slot, uint32_t count, const uint8_t *key,
                            const void *passphrase, size_t len, uint8_t *ret_area, uint64_t *ret_off);
/* Take it out of keyslots, digest and every token. */
void fake_json_remove_slot(json_object *header, unsigned slot);
/* The next free number of a token, -1 none. */
int fake_json_free_token(json_object *header);
json_object *fake_json_get(json_object *o, const char *a, const char *b);
void fake_json_hash_others(json_object *header, const uint8_t *image, uint8_t ret[static 32]);

/* One open volume: the header as it was loaded last. */
struct disk {
    json_object *header;
    struct luks2 luks;
    uint64_t seqid;
};

/* One operation under way, and what is to happen to it. */
struct operation {
    bool cut, middle, cut_after, late;
};

extern uint8_t fake_volume_key[FAKE_KEY];

/* The pieces of which operations and other people's changes are made. */
enum err fake_disk_parse(struct disk *d);
enum err fake_disk_open_slot(const struct luks2 *l, unsigned slot, const void *passphrase, size_t len,
                             struct secret *ret);
/* The header as it is in memory now becomes the disk's, or is refused because somebody wrote since. */
enum err fake_disk_commit(struct disk *d, const struct operation *o);
enum err fake_disk_add_slot(struct disk *d, const struct operation *o, unsigned slot, uint32_t count,
                            const void *passphrase, size_t len);
void fake_disk_wipe_area(struct disk *d, unsigned slot);
enum err fake_disk_put_token(struct disk *d, const struct operation *o, int token, const char *json,
                             int *ret_token);
