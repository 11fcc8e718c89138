#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a web worker asks writer and reader about the enrolled devices, and tells of those that were here. */

#include "escrow-server/process/msg_body.h"

#define MSG_DEVICES_MAX 64
#define MSG_SEEN_MAX    128
#define MSG_FLAGS_MAX   64
#define MSG_FLAG_KIND   16

/* Wire values, also of the store. */
enum device_approval {
    DEVICE_WAITING = 0, /* for a person; it escrows, and replaces keys that were shown */
    DEVICE_APPROVED = 1,
    DEVICE_REFUSED = 2, /* nothing more is taken from it */
    DEVICE_BACK = 3     /* the store had lost it, and its certificate brought it back; it escrows */
};

struct msg_adopt {
    uint8_t spki[91];     /* of the device */
    struct msg_blob cert; /* of its courier, DER */
};

struct msg_devices {
    bool has_after, waiting; /* waiting: only those that no person approved */
    uint8_t after[32];
};

struct msg_device_row {
    uint8_t device[32];
    uint8_t approved; /* enum device_approval */
    bool revoked;
    uint64_t enrolled, seen;
    char computer[MSG_NAME + 1];
};

struct msg_devices_are {
    unsigned n; /* MSG_DEVICES_MAX: there may be more */
    struct msg_device_row item[MSG_DEVICES_MAX];
};

enum device_change {
    CHANGE_APPROVE = 1,
    CHANGE_REFUSE,
    CHANGE_REVOKE,
    CHANGE_ALLOW, /* takes a revocation back */
    CHANGE_REPORT /* orders a report */
};

struct msg_change {
    uint8_t device[32];
    uint8_t change; /* enum device_change */
};

struct msg_seen {
    unsigned n;
    struct msg_seen_one {
        uint64_t time;
        uint8_t device[32], audit_head[32];
        bool has_head;
    } item[MSG_SEEN_MAX];
};

enum msg_flags_of { FLAGS_ALL = 0, FLAGS_OF_DEVICE, FLAGS_OF_KIND };

/* Flags, newest first, behind one: the first are behind FLAGS_NEWEST. With FLAGS_OF_DEVICE that one's device
 * says whose, with FLAGS_OF_KIND its kind of which kind. */
#define FLAGS_NEWEST ((uint64_t)INT64_MAX)
struct msg_flags {
    uint8_t of; /* enum msg_flags_of */
    uint64_t received_us;
    uint8_t device[32], record[32];
    char kind[MSG_FLAG_KIND + 1];
};

struct msg_flags_are {
    unsigned n; /* MSG_FLAGS_MAX: there may be more */
    struct msg_flag {
        uint64_t received_us, sequence;
        uint8_t device[32], record[32]; /* name of the record that shows it */
        char kind[MSG_FLAG_KIND + 1], computer[MSG_NAME + 1];
    } item[MSG_FLAGS_MAX];
};

/* err of every get: TRUNCATED, FORMAT, RANGE */
void msg_put_flags(struct writer *w, const struct msg_flags *m);
MUST_CHECK enum err msg_get_flags(const uint8_t *p, size_t len, struct msg_flags *ret);
void msg_put_flags_are(struct writer *w, const struct msg_flags_are *m);
MUST_CHECK enum err msg_get_flags_are(const uint8_t *p, size_t len, struct msg_flags_are *ret);
void msg_put_adopt(struct writer *w, const struct msg_adopt *m);
MUST_CHECK enum err msg_get_adopt(const uint8_t *p, size_t len, struct msg_adopt *ret);
void msg_put_devices(struct writer *w, const struct msg_devices *m);
MUST_CHECK enum err msg_get_devices(const uint8_t *p, size_t len, struct msg_devices *ret);
void msg_put_devices_are(struct writer *w, const struct msg_devices_are *m);
MUST_CHECK enum err msg_get_devices_are(const uint8_t *p, size_t len, struct msg_devices_are *ret);
void msg_put_change(struct writer *w, const struct msg_change *m);
MUST_CHECK enum err msg_get_change(const uint8_t *p, size_t len, struct msg_change *ret);
void msg_put_seen(struct writer *w, const struct msg_seen *m);
MUST_CHECK enum err msg_get_seen(const uint8_t *p, size_t len, struct msg_seen *ret);
