#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON part of a LUKS2 header, for formats/luks2*.c only. Which headers are taken and which are refused
 * follows cryptsetup 2.6: what it refuses is refused, so that no volume looks usable here that the operating
 * system will not open. */

#include "crypto/sectors.h"
#include "formats/json_walk.h"
#include "formats/luks2.h"

/* What the sections need to know of each other. */
struct luks2_metadata {
    const struct jw *json;
    struct luks2 *l;
    struct luks2_problem *why;
    uint64_t json_off;          /* of the text on the device, for messages */
    uint64_t hdr_size;          /* from the binary header */
    uint64_t areas_end;         /* end of the keyslots area, bytes */
    uint32_t slots, segments;   /* bit i: keyslot i, segment i exists */
    int slot_node[LUKS2_SLOTS]; /* by number */
    int segment_node[LUKS2_SEGMENTS];
    uint32_t digested_segments;            /* named by a digest */
    uint32_t slots_once, slots_often;      /* named by one digest, by several */
    int8_t slot_digest[LUKS2_SLOTS];       /* index in l->digest, -1 none */
    int8_t segment_digest[LUKS2_SEGMENTS]; /* of the first digest that names it */
    int crypt_segment;                     /* number of the first one that is no backup, -1 none */
    unsigned n_candidates; /* requirements that mean an online re-encryption, of any version */
    bool online;           /* one of a version that is known */
    int unknown;           /* node of the first requirement that is not known */
};

/* Fill m->why: what is wrong, at this node. Returns FORMAT. */
MUST_CHECK enum err luks2_fault(struct luks2_metadata *m, int node, const char *what);

/* A number that names a keyslot, a token or a segment: decimal, no leading zeros, at most max. err: FORMAT */
MUST_CHECK enum err luks2_id(const struct jw *j, int node, unsigned max, unsigned *ret);
/* Is it a string of decimal digits only, however many? cryptsetup says yes to none at all, too. */
bool luks2_is_numbered(const struct jw *j, int node);
/* A string member that is not empty, JW_NONE otherwise. */
int luks2_string(const struct jw *j, int object, const char *name);
/* A decimal number in a string member. err: FORMAT */
MUST_CHECK enum err luks2_decimal(const struct jw *j, int object, const char *name, uint64_t *ret);
/* An array of strings. */
bool luks2_all_strings(const struct jw *j, int array);

/* Go through a section's members; of two with one name (a number below 32) only the last counts, as in
 * json-c. */
struct luks2_each {
    struct jw_each each;
    int last[32]; /* node by number */
};
void luks2_each(const struct jw *j, int section, struct luks2_each *ret);
bool luks2_each_next(const struct jw *j, struct luks2_each *e, int *ret_name, int *ret_value);

/* What is known here by the names that a header uses; 0 for others. */
uint8_t luks2_hash(const struct jw *j, int node);
uint8_t luks2_cipher(const struct jw *j, int node);
/* The back end's name of a cipher that is known. */
enum cr_sectors_mode luks2_cipher_mode(uint8_t cipher);
/* Bytes of key that such a cipher may have? */
bool luks2_cipher_takes(uint8_t cipher, uint32_t key_size);

/* A segment that is part of a re-encryption's state, not of the volume. */
bool luks2_is_backup(const struct jw *j, int segment);

/* Decode everything and check it. l is zeroed but for what the binary header says.
 * ret_areas_end: end of header and keyslot areas; the device must be at least that large
 * err: FORMAT, UNSUPPORTED (unknown mandatory requirement; everything else is in order) */
MUST_CHECK enum err luks2_metadata_decode(struct luks2_metadata *m, uint64_t *ret_areas_end);
/* Its parts, in the order of the calls. err: FORMAT, UNSUPPORTED (more objects than are kept) */
MUST_CHECK enum err luks2_digests_decode(struct luks2_metadata *m);
MUST_CHECK enum err luks2_segments_decode(struct luks2_metadata *m);
MUST_CHECK enum err luks2_slots_decode(struct luks2_metadata *m);
MUST_CHECK enum err luks2_tokens_decode(struct luks2_metadata *m);

/* Why a keyslot cannot be opened or a segment not be read, NULL when it can. Static. */
const char *luks2_slot_why_not(const struct luks2 *l, const struct luks2_slot *s);
const char *luks2_segment_why_not(const struct luks2_segment *s);
