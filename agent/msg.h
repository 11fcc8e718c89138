#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every message between the agent's processes: command ↔ keeper, keeper ↔ courier, keeper ↔ probe, and their
 * bytes. A frame is length (u32, of what follows), type (u16), then the fields of the type in the order
 * below; texts and bytes carry a u32 length, lists a u32 count. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

#define MSG_FRAME_MAX  (2u << 20) /* bytes after the length */
#define MSG_LIST_MAX   256        /* records of a batch, receipts of an answer */
#define MSG_FRAME_HEAD 6          /* length and type */

enum msg_type {
    /* command → keeper: one request per connection */
    MSG_ENROLL = 1,
    MSG_PROTECT = 2,
    MSG_STATUS = 3,
    MSG_ROTATE = 4,
    MSG_SYNC = 5,
    MSG_VERIFY = 6,
    MSG_EXPORT = 8, /* answered by PIECEs, too */
    MSG_IMPORT = 9,
    /* keeper → command: any number of PROGRESS, then one RESULT */
    MSG_PROGRESS = 16,
    MSG_RESULT = 17,
    MSG_PIECE = 18, /* of the file that the command writes; in order */
    /* keeper → courier */
    MSG_CSR_WANTED = 32, /* make or load the TLS key, answer with CSR */
    MSG_ENROLL_DO = 33,  /* answered by ENROLLED */
    MSG_SYNC_BATCH = 34, /* the answer to BATCH_WANTED; answered by SYNC_ANSWER */
    MSG_SYNC_NOW = 35,   /* ask for a batch at once, whatever the timer says */
    MSG_IDLE = 36,       /* the answer to BATCH_WANTED when there is no organisation yet: wait for SYNC_NOW */
    MSG_CERTIFICATE =
        37, /* the answer to BATCH_WANTED while one waits: keep it; answered by CERTIFICATE_KEPT */
    /* courier → keeper */
    MSG_CSR = 48,
    MSG_ENROLLED = 49,
    MSG_BATCH_WANTED = 50, /* the timer, the network or SYNC_NOW says so; the keeper answers SYNC_BATCH,
                              CSR_WANTED (enrolment is still to be done), CERTIFICATE or IDLE */
    MSG_SYNC_ANSWER = 51,
    MSG_CERTIFICATE_KEPT = 52, /* after it the keeper goes on as after BATCH_WANTED */
    /* an errand → its courier, before its answer */
    MSG_SERVER_SAID = 64, /* how one server did */
    /* keeper → probe, and its answer: one at a time */
    MSG_PROBE = 80,
    MSG_PROBED = 81
};

/* How an errand to the server ended. */
enum msg_status {
    MSG_DONE = 1,
    MSG_OFFLINE = 2,   /* no server could be reached; later */
    MSG_UNTRUSTED = 3, /* a server's certificate is not from the organisation */
    MSG_REFUSED = 4    /* the server said no: problem has its sentence */
};

enum msg_protect_flags {
    MSG_PROTECT_NO_ESP = 1,     /* leave the EFI system partition alone */
    MSG_PROTECT_VOLUME_KEY = 2, /* passphrase is the volume key, which a token gave out */
    MSG_PROTECT_BITLOCKER = 4   /* passphrase is a BitLocker volume's recovery password */
};

enum msg_probe_flags { MSG_PROBE_DISK = 1 /* a whole disk: read its partition table, too */ };

/* Borrowed bytes. A text is a span without zero bytes in it; not terminated. */
struct msg_span {
    const uint8_t *p;
    size_t len;
};

struct msg_list {
    uint32_t n;
    struct msg_span item[MSG_LIST_MAX];
};

/* A decoded message borrows from the frame it was read from. Fields in wire order. */
struct msg {
    uint16_t type; /* enum msg_type */
    union {
        struct {
            struct msg_span org, sig, root, token; /* the files of the bundle; token may be empty */
            struct msg_span policy, policy_sig;    /* empty where the bundle has none */
        } enroll;
        struct {
            struct msg_span device; /* path */
            struct msg_span passphrase;
            uint32_t flags; /* enum msg_protect_flags */
        } protect;
        struct {
            struct msg_span device;     /* path, or empty for the only volume */
            struct msg_span passphrase; /* empty: what the keeper has: the management key */
            uint32_t flags;             /* enum msg_protect_flags */
        } rotate;
        struct {
            struct msg_span device; /* path, or empty for all volumes */
        } verify;
        struct {
            struct msg_span bytes; /* one answer to an outbox. docs/formats.md#outbox */
        } import;
        struct {
            struct msg_span bytes;
        } piece;
        struct {
            struct msg_span text;
            uint32_t step; /* 1: what is being done now; nothing that must be known afterwards */
        } progress;
        struct {
            uint32_t exit_code; /* enum kh_exit */
            struct msg_span text, json;
        } result;
        struct {
            struct msg_list servers;
            struct msg_span ca;  /* PEM; also the only CA that a server may have its certificate from */
            struct msg_span csr; /* as the courier sent it */
            struct msg_span token, spki, computer;
            uint64_t time;
            struct msg_span signature;       /* 64 bytes */
            struct msg_span proxy, no_proxy; /* of agent.conf */
        } enroll_do;
        struct {
            struct msg_list servers;
            struct msg_span ca;
            struct msg_span device;     /* 32 bytes */
            struct msg_list records;    /* as they are, at most 256 */
            struct msg_span envelopes;  /* 8 bytes: a digest over all envelopes begins so */
            struct msg_span audit_head; /* 32 bytes, or empty */
            struct msg_span set;        /* hashes of envelopes, 32 bytes each, sorted: a page; or empty */
            struct msg_span proxy, no_proxy;
            uint64_t policy;      /* version of the policy in use, 0 none */
            struct msg_span last; /* 8 bytes: the name of the last record begins so; or empty */
            struct msg_span
                packages; /* 8 bytes, as envelopes, over all key packages; empty: there are none */
            struct msg_span package_set; /* names of their records, 32 bytes each, sorted: a page; or empty */
            struct msg_span audit_word;  /* AUDIT_HEAD_LEN bytes, on audit_head; or empty */
            uint64_t attempt; /* number of this batch, which its receipt repeats; 0 where nothing is sent */
            struct msg_span spki; /* of the device, for a server that said no: it may not know us; or empty */
            struct msg_list proofs; /* receipts that records of this batch had before */
        } sync_batch;
        struct {
            uint32_t person; /* somebody waits: a server's Retry-After does not count */
        } sync_now;
        struct {
            struct msg_span pem;
        } certificate;
        struct {
            struct msg_span device; /* 32 bytes: the CSR's CN is its hex */
        } csr_wanted;
        struct {
            struct msg_span pem;
        } csr;
        struct {
            uint32_t status;             /* enum msg_status */
            struct msg_span certificate; /* PEM; the courier keeps it, too */
            struct msg_span problem;     /* a sentence, when status is not MSG_DONE */
        } enrolled;
        struct {
            uint32_t status;
            struct msg_span problem;
            struct msg_list receipts, commands; /* decoded from base64, otherwise untouched */
            uint64_t audit_length;
            struct msg_span audit_hash; /* 32 bytes, or empty */
            struct msg_span
                known_incarnation; /* 8 bytes or more, it begins so; empty: the server knows nothing */
            uint64_t known_sequence;
            struct msg_span known_name; /* 8 bytes or more, it begins so; or empty */
            uint32_t envelopes_match;   /* 0 or 1 */
            uint64_t retry_after_s;
            uint64_t time;                    /* the server's clock; 0: it does not say */
            uint32_t want_set;                /* 0 or 1: it asks for the hashes of all envelopes */
            struct msg_span server_envelopes; /* 8 bytes: its digest begins so, where they differ; or empty */
            uint32_t has_missing;             /* 1: an answer to the set that was sent: */
            struct msg_span missing;          /* hashes of the set that it lacks, 32 bytes each */
            struct msg_span certificate;      /* PEM: the courier's, renewed; or empty */
            struct msg_span policy, policy_sig; /* the file's exact bytes and its signature; or empty */
            /* of key packages, as of envelopes above; all empty where the server has nothing to say of them
             */
            uint32_t want_packages;
            struct msg_span server_packages;
            uint32_t has_missing_packages;
            struct msg_span missing_packages;
            struct msg_span audit_word;  /* signed, on the audit head; or empty */
            uint32_t want_audit_word;    /* 0 or 1: it does not know the head that we sent */
            struct msg_span audit_chain; /* 4 bytes: of which chain the head is; or empty */
        } sync_answer;
        struct {
            uint32_t status; /* MSG_DONE, MSG_REFUSED (it is not for our key), MSG_OFFLINE (not now) */
            struct msg_span problem;
        } certificate_kept;
        struct {
            struct msg_span server; /* as org.json names it */
            uint32_t status;
            uint64_t retry_after_s;
        } server_said;
        struct {
            struct msg_span device; /* path */
            uint32_t flags;         /* enum msg_probe_flags */
        } probe;
        struct {
            struct msg_span json; /* agent/device/probed.h */
        } probed;
    };
};

/* Make a frame.
 * ret: malloc'ed, may hold secrets: cr_wipe() it before free()
 * err: RANGE (too large, or an unknown type), NOMEM */
MUST_CHECK enum err msg_encode(const struct msg *m, uint8_t **ret, size_t *ret_len);

/* Read a frame without its length (type and fields); borrows in.
 * err: TRUNCATED, FORMAT (bytes left over), RANGE (too long a list), UNSUPPORTED (unknown type) */
MUST_CHECK enum err msg_decode(const uint8_t *in, size_t len, struct msg *ret);

/* Span of a zero-terminated text. */
struct msg_span msg_text(const char *text);
/* Copy a span as a zero-terminated text. err: RANGE (too long), FORMAT (a zero byte inside) */
MUST_CHECK enum err msg_text_copy(struct msg_span s, char *ret, size_t cap);
