#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the recovery screen says, in words, before any look is given to it. Pure: tested hosted. */

#include "formats/handoff.h"
#include "formats/luks2.h"
#include "formats/org.h"
#include "formats/qr_text.h"
#include <stdbool.h>

#define CONTENT_LINE  200
#define CONTENT_STEPS 3

struct content {
    char org[ORG_TEXT + 1];        /* "" when org.json is absent or unreadable */
    char message[ORG_MESSAGE + 1]; /* the organisation's own words, or "" */
    char url[QR_URL_MAX + 1];      /* or "" */
    char reason[CONTENT_LINE];     /* why we are here */
    char volume[CONTENT_LINE];     /* label, size, UUID; "" without a volume */
    char key_id[9];                /* what to read to the help desk; "" without a volume */
    char also[CONTENT_LINE];       /* further key IDs of this volume, or "" */
    char count[CONTENT_LINE];      /* "Volume 1 of 2 (Tab: next)", or "" */
    bool several;                  /* Tab leads somewhere */
    char note[CONTENT_LINE];       /* what the user has to know before, or "" */
    char qr[QR_TEXT_MAX + 1];      /* text of the QR, or "" */
};

/* Empty of a volume; org may be NULL. */
void content_init(struct content *c, const struct org *org, uint8_t reason, bool can_hand_off);

/* One volume as people know it. */
struct content_volume {
    const struct luks2 *luks;
    const unsigned *key; /* tokens to show, the first one large */
    unsigned n_keys;
    uint64_t size; /* bytes */
    unsigned index, count;
    bool more;      /* there are volumes that cannot be shown */
    bool cut_short; /* nobody looked at every disk */
};
void content_set_volume(struct content *c, const struct content_volume *v);
/* No volume (any more). */
void content_clear_volume(struct content *c);

/* What to do, in three lines. with_qr: this look shows a QR. */
const char *content_step(const struct content *c, unsigned step, bool with_qr);
/* The keys that are not digits. graphics: digits are always shown there. */
const char *content_keys(const struct content *c, bool graphics);
