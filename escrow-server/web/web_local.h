#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One connection on the local socket (local.h), and what its requests do. */

#include "crypto/secret.h"
#include "escrow-server/web/web.h"
#include <json-c/json.h>

#define LOCAL_REQUEST_MAX 8192
#define LOCAL_BYTES_MAX   (2u << 20)
#define LOCAL_OPEN_MAX    32
#define LOCAL_REQUEST_S   10 /* until a request is whole */
#define LOCAL_ANSWER_S    40 /* from there until its answer */

struct local {
    struct web *web;
    int fd;
    struct event *readable, *deadline;
    uint64_t waiting;
    enum back_kind asks; /* whom it asked last */
    bool privileged;     /* root, or the server's own user */
    bool asked;          /* the request is whole */
    struct json_object *request;
    struct secret secret;
    size_t len;
    char in[LOCAL_REQUEST_MAX];
    uint8_t *bytes; /* what follows the request, when it says "bytes" */
    size_t n_bytes, want_bytes;
    void *state;       /* the request's own; free() */
    bool known_device; /* outbox: enrolled before */
    /* recover */
    struct msg_find find;
    struct json_object *keys; /* the candidates, for an answer that lists them; approve: the answer */
    bool more_keys;           /* and there are others */
    struct msg_entry entry;   /* of the disclosure, while its order is stored */
    struct secret digits;
};

/* web_local_read.c: where what comes next goes, and how much of it; never NULL, nor 0 while local_came() says
 * BUSY. */
void *local_room(struct local *l, size_t *ret_len);
/* n bytes have come there. Line one is JSON; a secret is line two, other bytes follow as they are.
 * err: BUSY (more to come), DENIED (bytes, from who is not privileged), RANGE, FORMAT, TRUNCATED, NOMEM */
MUST_CHECK enum err local_came(struct local *l, size_t n);
/* A key ID or the beginning of one, which may be empty; any case, with or without braces. err: FORMAT,
 * NOT_FOUND, RANGE */
MUST_CHECK enum err local_key(struct json_object *request, char ret[static GUID_TEXT]);
/* "code" of a request; "" where there is none. err: FORMAT, RANGE */
MUST_CHECK enum err local_code(struct json_object *request, char ret[static MSG_CODE + 1]);

/* The beginning of an answer, to be put: that it was done. */
struct json_object *local_ok(void);
/* Each ends the connection: it must not be touched afterwards. secret may be NULL. */
void local_answer(struct local *l, struct json_object *answer,
                  const struct secret *secret); /* takes answer */
void local_fail(struct local *l, enum err e, const char *detail);
/* The same, to who has no connection of his own here. */
void local_refuse(int fd, enum err e, const char *detail);
/* web_local.c: without an answer. */
void local_end(struct local *l);
/* That process is away. */
void local_away(struct local *l, enum back_kind kind);
/* The question that was begun last has failed. */
void local_failed(struct local *l, enum err e, const struct msg_frame *m);
/* Begin a question, to be sent with back_send(). ctx of done: l. NULL: it cannot be asked, and that was
 * answered. */
struct writer *local_begin(struct local *l, enum back_kind kind, uint8_t type, back_done *done);
/* The answer to it is a number. False: it is none, or there is none, and that was answered. */
bool local_number(struct local *l, enum err e, const struct msg_frame *m, uint64_t *ret);
/* A back_done for a question whose answer is that it was done. ctx: the struct local */
void local_done(void *ctx, enum err e, const struct msg_frame *m);

/* web_recover.c */
void local_recover(struct local *l);
/* web_local_ops.c */
void local_boots(struct local *l);
void local_token(struct local *l);
void local_import(struct local *l);
void local_erase(struct local *l);
void local_approve(struct local *l);
void local_wish(struct local *l);
/* web_vault.c */
void local_vault(struct local *l);
/* web_losses.c */
void local_losses(struct local *l);
void local_loss(struct local *l);
void local_take_back(struct local *l);
/* web_outbox.c */
void local_outbox(struct local *l);
/* web_devices.c */
void local_devices(struct local *l);
void local_device(struct local *l);
/* web_flags.c */
void local_flags(struct local *l);
