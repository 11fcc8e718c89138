#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is known of a locked volume before it is opened, whatever its format: what the screen shows and what a
 * person chooses by. Pure: no firmware types, tested hosted. */

#include "formats/bitlocker.h"
#include "formats/luks2.h"
#include <stdbool.h>

#define FACTS_KEYS  8 /* key IDs that are shown; a volume may have more */
#define FACTS_LABEL BITLOCKER_TEXT

enum facts_format { FACTS_LUKS2 = 1, FACTS_BITLOCKER };

struct facts {
    uint8_t format;          /* enum facts_format */
    bool os;                 /* an operating system starts from it, as far as can be seen from here */
    bool retired;            /* all of its keys were replaced: it interests nobody */
    bool mended;             /* the first copy of its metadata is damaged, another is used */
    bool suspended;          /* BitLocker: it opens without any key */
    bool chip;               /* a security chip opens it in everyday use: a changed start makes that fail */
    bool open;               /* it was opened here and can be read */
    char label[FACTS_LABEL]; /* printable, or "" */
    struct guid id;
    char id_text[GUID_TEXT];
    uint64_t size; /* bytes */
    struct guid key[FACTS_KEYS];
    unsigned n_keys;                 /* kept in key[]; the first one is shown large */
    struct guid startup[FACTS_KEYS]; /* BitLocker: key IDs of startup keys */
    unsigned n_startup;
    const uint8_t *envelope; /* of the first key, borrowed; NULL without */
    size_t envelope_len;
};

/* Format, label, IDs, keys; the rest stays zero and is the caller's.
 * key: the tokens to show (plan_keys()). ret->envelope points into l */
void facts_of_luks2(const struct luks2 *l, const unsigned *key, unsigned n_keys, struct facts *ret);
/* ret borrows nothing. */
void facts_of_bitlocker(const struct bitlocker *b, struct facts *ret);

/* "LUKS2" or "BitLocker". */
const char *facts_format_name(const struct facts *f);
/* For the order on the screen: what can be opened by a recovery key that somebody keeps comes first. */
int facts_rank(const struct facts *f);
/* A data volume that a security chip opens in everyday use, so that it stays locked in a system that was
 * started through this program: the first of n, NULL without. */
const struct facts *facts_left_to_chip(const struct facts *const *at, unsigned n);
/* Does the volume have that recovery key, or that startup key? */
bool facts_have_key(const struct facts *f, const struct guid *key_id);
bool facts_have_startup_key(const struct facts *f, const struct guid *key_id);
