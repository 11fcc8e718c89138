#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Record: one immutable statement by a device, signed with its key. Its name is the SHA-256 of all its
 * bytes. Layout: docs/formats.md. Hosted. */

#include "crypto/err.h"
#include "formats/envelope.h"
#include "formats/guid.h"
#include "formats/names.h"
#include <stddef.h>
#include <stdint.h>

#define RECORD_BODY_MAX 4096
#define RECORD_MAX      (RECORD_HEADER + RECORD_BODY_MAX + 64)
#define RECORD_HEADER   108
#define RECORD_TEXT_MAX 64

enum record_kind { RECORD_ESCROW = 1, RECORD_REPORT = 2, RECORD_EVENT = 3, RECORD_KEY_PACKAGE = 4 };

enum record_event {
    EVENT_BOOT_RECOVERY = 1, /* the recovery app opened a volume, or tried to */
    EVENT_ROTATED = 2,       /* key_id replaces other_key_id */
    EVENT_RETIRED = 3,       /* key_id was removed from the volume */
    EVENT_IDENTITY = 4,      /* the first word of a new device identity, which takes the place of former */
    EVENT_DRIFT = 5,     /* key_id or its volume's header is not as it was left; result: enum record_drift */
    EVENT_WENT_BACK = 6, /* the device's own records went back; result: enum record_went_back */
    EVENT_EXPOSED = 7,   /* whoever has the password of key_id may have a copy of the header that it opens */
    EVENT_DONE = 9,      /* the order that other_key_id names, which is about no key, was carried out */
    EVENT_CLOCK = 8      /* the device's clock (time) and the server's (event_time) began to differ by
                                 more than an hour, or no longer do */
};

/* What was found. Wire values. */
enum record_drift {
    DRIFT_CHANGED = 1,  /* its keyslot is not any more what was proved to open */
    DRIFT_REMOVED = 2,  /* its keyslot is gone, and no later key took its place */
    DRIFT_UNKNOWN = 3,  /* a key that the device does not know to have made */
    DRIFT_RETURNED = 4, /* it was retired, and is in the header again */
    DRIFT_OLDER = 5,    /* the header has an older sequence number than before */
    DRIFT_UNNAMED = 6,  /* its token is gone, and its keyslot still opens the volume */
    DRIFT_DESTROYED = 7 /* the volume's device is there, and neither copy of its header */
};

/* Who knows better. Wire values. */
enum record_went_back {
    WENT_BACK_SERVER = 1, /* a server has a later record of this incarnation */
    WENT_BACK_HEADER = 2  /* a volume's header has a later key of this device */
};

/* Why a computer has another identity than before. Wire values. */
enum record_identity {
    IDENTITY_TPM = 1,      /* the TPM that had the old one was cleared or replaced, or this is a clone */
    IDENTITY_ENROLLED = 2, /* a person enrolled the computer anew */
    IDENTITY_LOST = 3      /* the old one's file was gone, or another */
};

struct record {
    uint8_t kind;
    uint8_t device[32];
    uint8_t incarnation[16];
    uint64_t sequence;    /* from 1 */
    uint8_t previous[32]; /* name of the record before, zeros for the first */
    uint64_t time;
    /* escrow */
    const uint8_t *envelope; /* borrowed; of a key package: formats/key_package.h */
    size_t envelope_len;
    char computer[RECORD_TEXT_MAX + 1]; /* host name, UTF-8 */
    char label[RECORD_TEXT_MAX + 1];    /* volume label or device name */
    /* event */
    uint8_t event; /* enum record_event */
    struct guid key_id, other_key_id, volume;
    uint8_t result; /* boot event: 1 opened, 2 not opened; identity: enum record_identity;
                     * drift: enum record_drift; went back: enum record_went_back */
    uint8_t reason; /* boot event: enum kh_reason */
    uint64_t event_time;
    uint8_t former[32]; /* identity: device ID before */
    /* report: JSON text, borrowed */
    const uint8_t *report;
    size_t report_len;
};

struct cr_p256_key;
struct cr_p256_pub;

/* Everything before the signature, for whoever signs elsewhere than with a software key: what was written to
 * ret is the message, and its signature (64 bytes) goes right behind it.
 * ret: RECORD_MAX bytes. err: FULL, RANGE */
MUST_CHECK enum err record_encode_unsigned(const struct record *r, uint8_t *ret, size_t *ret_len);
/* Encode and sign. ret: RECORD_MAX bytes. err: FULL, RANGE */
MUST_CHECK enum err record_encode(const struct record *r, const struct cr_p256_key *device, uint8_t *ret,
                                  size_t *ret_len);
/* Decode without checking the signature; borrows in. Fields of unknown tag are skipped. */
MUST_CHECK enum err record_decode(const uint8_t *in, size_t len, struct record *ret);
/* Does the signature verify under pub, and is pub the device named inside? err: AUTH, TRUNCATED, FORMAT */
MUST_CHECK enum err record_verify(const uint8_t *in, size_t len, const struct cr_p256_pub *pub);
/* SHA-256 of all bytes. */
MUST_CHECK enum err record_name(const uint8_t *in, size_t len, uint8_t ret[static 32]);
