#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is a volume as the organisation wants it? Pure: judges by what classify and the cache say. */

#include "agent/device/classify.h"
#include "formats/policy.h"

/* Bits; names and sentences in compliance.c. */
enum compliance_reason {
    REASON_UNENCRYPTED = 1 << 0,
    REASON_PARTLY_ENCRYPTED = 1 << 1,
    REASON_SUSPENDED = 1 << 2,     /* BitLocker: a key lies in clear beside it */
    REASON_CONVERTING = 1 << 3,    /* encryption or decryption is under way */
    REASON_LUKS1 = 1 << 4,         /* no place for a sealed password */
    REASON_OTHER_CRYPT = 1 << 5,   /* encrypted, but Keyholt has no key to it */
    REASON_NOT_PROTECTED = 1 << 6, /* no recovery password of the organisation */
    REASON_NEEDS_SECRET = 1 << 7,  /* a spent password is still in use */
    REASON_NOT_VERIFIED = 1 << 8,  /* its key is not what was proved to open */
    REASON_NO_ANSWER = 1 << 9,     /* it could not be looked at */
    REASON_DESTROYED = 1 << 10     /* its header is gone: nothing opens it */
};
#define COMPLIANCE_REASONS 11

struct compliance_facts {
    uint8_t class, kind; /* enum seen_class, enum volume_kind */
    bool boot, part_clear, suspended, converting, unreadable, destroyed;
    bool protected_, needs_secret, verified; /* by the cache: escrowed, for BitLocker */
};

/* Reasons against a volume; 0: as it should be, or of a kind that the policy says nothing of. */
unsigned compliance_judge(const struct policy *p, const struct compliance_facts *f);
/* One bit. Name in reports ("unencrypted"), and half a sentence for people. Never NULL. */
const char *compliance_name(unsigned reason);
const char *compliance_text(unsigned reason);
