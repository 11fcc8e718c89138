#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the probe (agent/device/probe.c, a process of its own) saw on one device, and its JSON on the way to
 * the keeper. The bytes of a disk are hostile until proved otherwise; what the probe says is read as
 * strictly. */

#include "crypto/err.h"
#include "formats/guid.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define PROBED_WORD       40  /* type, usage, a partition's type */
#define PROBED_TEXT       128 /* label, UUID */
#define PROBED_SENTENCE   240
#define PROBED_PARTS      128 /* partitions of one disk; more are not looked at */
#define PROBED_PROTECTORS 48

/* Wire values; names in probed.c. */
enum protector_kind {
    PROTECTOR_PASSPHRASE = 1, /* LUKS: a keyslot that no token names; a passphrase or a key file */
    PROTECTOR_RECOVERY = 2,   /* 48 digits: a keyslot of ours, BitLocker's recovery password */
    PROTECTOR_MANAGEMENT = 3, /* the agent's own way in */
    PROTECTOR_TPM = 4,
    PROTECTOR_TPM_PIN = 5,
    PROTECTOR_TPM_STARTUP_KEY = 6,
    PROTECTOR_TPM_PIN_STARTUP_KEY = 7,
    PROTECTOR_FIDO2 = 8,
    PROTECTOR_PKCS11 = 9,
    PROTECTOR_SYSTEMD_RECOVERY = 10, /* systemd-cryptenroll --recovery-key */
    PROTECTOR_CLEVIS = 11,
    PROTECTOR_STARTUP_KEY = 12,
    PROTECTOR_CLEAR_KEY = 13, /* protection is suspended: anybody can open it */
    PROTECTOR_PUBLIC_KEY = 14,
    PROTECTOR_OTHER = 15
};

/* Way in: one of BitLocker with its ID, or how many keyslots of a kind LUKS has. */
struct probed_protector {
    uint8_t kind; /* enum protector_kind */
    uint8_t n;    /* keyslots; 1 for BitLocker */
    bool has_id;
    struct guid id;
};

struct probed_part {
    uint32_t number;
    char type[PROBED_WORD]; /* GUID of GPT in lower case, or "0x83" of MBR */
};

struct probed {
    enum err err;   /* what kept it from being looked at; the rest is empty then */
    bool ambiguous; /* signatures of several formats: nothing is said about what it is */
    char type[PROBED_WORD], usage[PROBED_WORD], version[PROBED_WORD]; /* as libblkid calls them, or empty */
    char uuid[PROBED_TEXT], label[PROBED_TEXT], table[PROBED_WORD];   /* table: "gpt", "dos", … */
    unsigned n_parts;
    struct probed_part part[PROBED_PARTS];

    /* LUKS and BitLocker */
    char cipher[PROBED_WORD]; /* "aes-xts-plain64", "AES-XTS 128" */
    uint32_t key_bits;
    bool has_volume_id;
    struct guid volume_id;
    bool ours;         /* it carries a token of ours */
    bool reencrypting; /* LUKS2: a re-encryption is pending; BitLocker: on its way to or from encryption */
    bool suspended;    /* BitLocker: a clear key lies beside it */
    bool damaged;      /* one of several copies of the metadata does not verify */
    bool decrypted;    /* BitLocker metadata around data in clear */
    uint32_t room;     /* LUKS2: free bytes of the JSON area */
    uint32_t slots, slots_max;     /* keyslots in use, and possible */
    char problem[PROBED_SENTENCE]; /* why the metadata cannot be read; empty when it can */
    unsigned n_protectors;
    struct probed_protector protector[PROBED_PROTECTORS];
};

/* Name in reports ("tpm+pin"). Never NULL. */
const char *protector_name(uint8_t kind);
/* Count n more keyslots of a kind. A list that is full stays as it is. */
void probed_add_slots(struct probed *p, uint8_t kind, unsigned n);

/* ret: a new object, NULL without memory */
struct json_object *probed_encode(const struct probed *p);
/* Text of one object; every length, number and kind is checked, control characters are replaced.
 * err: FORMAT, RANGE, NOMEM */
MUST_CHECK enum err probed_decode(const char *json, size_t len, struct probed *ret);
