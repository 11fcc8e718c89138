#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON part of a LUKS2 header, for luks2_header.c only. Which headers are taken and which are refused
 * follows cryptsetup 2.6: what it refuses is refused, so that no volume looks usable here that the operating
 * system will not open. */

#include "formats/json_walk.h"
#include "formats/luks2.h"

/* What the sections need to know of each other. */
struct luks2_metadata {
    const struct jw *json;
    struct luks2 *l;
    uint64_t hdr_size;                /* from the binary header */
    uint64_t areas_end;               /* end of the keyslots area, bytes */
    uint32_t slots, segments;         /* bit i: keyslot i, segment i exists */
    uint32_t digested_segments;       /* named by a digest */
    uint32_t slots_once, slots_often; /* named by one digest, by several */
    int segment_node[LUKS2_SLOTS];    /* by segment number */
    int crypt_segment;                /* number of the first one, -1 none */
    bool online, candidate, unknown;  /* requirements: re-encryption under way (known version, any), others */
};

/* A number that names a keyslot, a token or a segment: decimal, no leading zeros, at most max. err: FORMAT */
MUST_CHECK enum err luks2_id(const struct jw *j, int node, unsigned max, unsigned *ret);
/* A string member that is not empty, JW_NONE otherwise. */
int luks2_string(const struct jw *j, int object, const char *name);
/* A hash by the name the header uses, 0 for others. */
uint8_t luks2_hash(const struct jw *j, int node);

/* Decode everything and check it.
 * areas_end: end of header and keyslot areas; the device must be at least that large
 * err: FORMAT, UNSUPPORTED (unknown mandatory requirement; everything else is in order) */
MUST_CHECK enum err luks2_metadata_decode(const struct jw *j, uint64_t hdr_size, struct luks2 *l,
                                          uint64_t *ret_areas_end);
/* Its parts, in the order of the calls. err: FORMAT */
MUST_CHECK enum err luks2_digests_decode(struct luks2_metadata *m);
MUST_CHECK enum err luks2_segments_decode(struct luks2_metadata *m);
MUST_CHECK enum err luks2_slots_decode(struct luks2_metadata *m);
MUST_CHECK enum err luks2_tokens_decode(struct luks2_metadata *m);
