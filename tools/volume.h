#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An encrypted volume of either format: LUKS2 and BitLocker behind one table of functions.
 *
 *     volume_open(image, NULL, &v, &problem)      what it is: v->info
 *     volume_unlock(v, &key, &problem)            with what a person has
 *     volume_prepare(v, lanes, &problem)          ready to read
 *     volume_read(v, lane, off, buf, len)         any number of times
 *     volume_close(v)
 */

#include "formats/guid.h"
#include "tools/volume_image.h"
#include "tools/volume_key.h"
#include "tools/volume_try.h"

#define VOLUME_TEXT 192

/* What is wrong and where, for one sentence to a person. */
struct volume_problem {
    char what[VOLUME_TEXT]; /* half a sentence: "the metadata's checksum does not match" */
    uint64_t off;           /* byte offset in the file named by path, VOLUME_NO_OFF: no place to point at */
    const char *path;       /* the image or its detached header; NULL: the image */
};

struct volume_kdf {
    char name[48]; /* "pbkdf2", "argon2id", "sha256" (BitLocker's stretch); "" none */
    char hash[48]; /* "" where the name says it */
    uint32_t iterations, memory_kib, lanes;
};

/* A LUKS2 keyslot or a BitLocker key protector. */
struct volume_protector {
    unsigned number;
    char type[64]; /* for people: "recovery password", "passphrase", "TPM" */
    bool has_key_id;
    struct guid key_id;
    struct volume_kdf kdf;
    bool keyholt;              /* Keyholt made it */
    bool recovery;             /* a 48-digit recovery password opens it; with has_key_id it can be named */
    bool clear;                /* it opens without anything */
    char note[VOLUME_TEXT];    /* what else a person should know of it, "" nothing */
    char why_not[VOLUME_TEXT]; /* half a sentence: why it cannot be opened here; "" it can */
    uint64_t changed;          /* seconds since 1970, 0 unknown */
};

struct volume_token {
    unsigned number;
    char type[48];
    uint32_t slots;  /* bit i: it is for keyslot i */
    bool has_key_id; /* it is Keyholt's */
    struct guid key_id;
    const char *state; /* of Keyholt's: "pending", "live", "retired"; NULL */
};
#define VOLUME_TOKENS 32

struct volume_info {
    const char *format;           /* "LUKS2", "BitLocker" */
    char variant[32];             /* "Windows 7 or later", "To Go"; "" none */
    char id[GUID_TEXT];           /* of the volume, as its format writes it */
    char label[VOLUME_TEXT];      /* label or description, printable, "" none */
    uint64_t created;             /* seconds since 1970, 0 unknown */
    char cipher[64];              /* "AES-XTS 256"; the name in the header where it is an unknown one */
    char cipher_name[64];         /* as the format or dm-crypt writes it: "aes-xts-plain64" */
    uint32_t key_bits;            /* of one AES key (XTS has two of them), 0 unknown */
    uint32_t sector_size;         /* bytes */
    uint64_t size;                /* bytes of the decrypted volume, 0 not known */
    const char *state;            /* "encrypted", "encrypting", …: one word, for programs */
    bool suspended;               /* a clear key is there */
    char state_text[VOLUME_TEXT]; /* the same for people */
    char header[VOLUME_TEXT];     /* what is damaged in the header, for people; "" nothing */
    char why_not[VOLUME_TEXT];    /* half a sentence: why it cannot be decrypted here; "" it can */
    unsigned n_protectors, n_tokens;
    struct volume_protector *protector; /* n_protectors, in the order of their numbers */
    struct volume_token token[VOLUME_TOKENS];
};

struct volume;

/* What a format has to bring. Candidates and attempts: volume_try.h. */
struct volume_ops {
    const char *name;
    /* Is it of this format? A few reads at most. */
    enum err (*probe)(const struct volume_io *io, bool *ret);
    /* Fill v->info and v->format. */
    enum err (*open)(struct volume *v, struct volume_problem *ret_problem);
    /* What to try with this key, at most TRY_MAX, none when there is nothing that it could open.
     * err: FORMAT (the key is none; the problem says where in its file), RANGE (no such keyslot) */
    enum err (*candidates)(const struct volume *v, const struct volume_key *key, struct volume_candidate *ret,
                           unsigned *ret_n, struct volume_problem *ret_problem);
    /* Thread-safe. ret_protector: index in info of the one that opened, candidate or another */
    enum err (*attempt)(const struct volume *v, const struct volume_key *key, unsigned candidate,
                        unsigned *ret_protector, struct secret *ret);
    /* Take what attempt gave as the volume's key. */
    enum err (*unlock)(struct volume *v, const struct secret *opened, struct volume_problem *ret_problem);
    /* Ready to be read by several threads. Fills v->info.size */
    enum err (*prepare)(struct volume *v, unsigned lanes, struct volume_problem *ret_problem);
    enum err (*read)(const struct volume *v, unsigned lane, uint64_t off, void *buf, size_t len);
    void (*close)(struct volume *v);
};
extern const struct volume_ops volume_luks2_ops, volume_bitlocker_ops;

struct volume {
    const struct volume_ops *ops;
    struct volume_image image, header; /* header: detached; fd -1: the image has it */
    struct volume_io data_io, header_io;
    struct volume_info info;
    void *format;   /* the format's own, with the keys */
    bool cut_short; /* the caller's: prepare it though its end is missing */
    bool is_cut; /* after volume_prepare(), also a failed one: the image ends before what the header names */
    uint64_t missing; /* bytes at its end, after volume_prepare() with cut_short */
    /* After volume_unlock(), also a failed one. */
    struct volume_candidate candidate[TRY_MAX];
    unsigned n_candidates;
    unsigned opened_by; /* index in info.protector */
};

/* Open an image and read its header.
 * path, header: keeps both; header NULL: it is in the image
 * ret:          the caller's, for volume_close()
 * err: NOT_FOUND (neither format; also no such file: look at the problem), VERSION (LUKS1 or a later format),
 *      FORMAT, UNSUPPORTED, TRUNCATED, DENIED, IO, NOMEM; the problem always says it */
MUST_CHECK enum err volume_open(const char *path, const char *header, struct volume **ret,
                                struct volume_problem *ret_problem);
/* Open it, protectors side by side. v->candidate tells what was tried.
 * err: AUTH (does not open), NOT_FOUND (it has nothing that this kind of key could open), NOMEM (a keyslot
 *      needs more memory than there is, and no other opens), FORMAT (startup key, or damaged keys; the
 * problem says it), RANGE (no such keyslot), IO, UNSUPPORTED */
MUST_CHECK enum err volume_unlock(struct volume *v, const struct volume_key *key,
                                  struct volume_problem *ret_problem);
/* err: UNSUPPORTED (the problem says why), FORMAT, IO, NOMEM */
MUST_CHECK enum err volume_prepare(struct volume *v, unsigned lanes, struct volume_problem *ret_problem);
/* Read the decrypted volume; threads with a lane each may at the same time.
 * off, len: multiples of info.sector_size, within info.size. err: IO, TRUNCATED */
MUST_CHECK enum err volume_read(const struct volume *v, unsigned lane, uint64_t off, void *buf, size_t len);
void volume_close(struct volume *v); /* takes NULL */

/* Where the header is: the detached one, else the image. */
const struct volume_image *volume_header(const struct volume *v);
/* Memory for keys: zeroed, locked where a limit allows it. volume_free() wipes it. */
void *volume_alloc(size_t len);
void volume_free(void *p, size_t len);
/* A problem in words. off: VOLUME_NO_OFF where there is none */
void volume_problem_set(struct volume_problem *p, uint64_t off, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
