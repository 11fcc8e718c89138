#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper process: its connections, and what each message does (one verb per file). One thread; a verb
 * runs to its end before the next message is read. */

#include "agent/channel.h"
#include "agent/keeper/chores.h"
#include "agent/keeper/reporter.h"
#include "agent/state/agent.h"
#include <json-c/json.h>
#include <stdint.h>

#define KEEPER_CLIENTS 4

enum keeper_errand {
    ERRAND_NONE = 0,
    ERRAND_ENROLL = 1,
    ERRAND_SYNC = 2,
    ERRAND_EXPORT = 3,
    ERRAND_RECEIPT = 4 /* of a key that was just made (receipt_wait.h) */
};

/* A command that is connected; it may wait for an errand of the courier. */
struct client {
    struct channel channel;
    enum keeper_errand waits;
    int64_t deadline_ms;
    const char *no_courier;   /* while it waits for the courier to come: what to say if it does not */
    struct guid key_id;       /* whose receipt it waits for, ... */
    unsigned asked;           /* ... how many servers' answers did not bring it, ... */
    struct json_object *made; /* ... and what to tell then; owned, NULL none */
};

struct keeper {
    struct agent agent;
    struct chores chores;
    struct reporter reporter;
    int command_fd, courier_fd, signal_fd; /* listening sockets, signalfd */
    struct channel courier;
    uint16_t courier_owes; /* enum msg_type of the answer that is outstanding; 0 when the courier may ask */
    uint8_t batch_device[32]; /* in whose name the batch is that it owes the answer to */
    bool former_failed;       /* the last batch in an earlier identity's name came to nothing */
    uint8_t courier_key[32];  /* SHA-256 of the public key that is being enrolled */
    struct client client[KEEPER_CLIENTS];
    uid_t courier_uid;
    long courier_wait_ms;           /* how long a command waits for a courier that is not connected */
    char last_problem[PROBLEM_MAX]; /* why the courier's last errand did not succeed; empty when it did */
};

/* Answer a command; json may be NULL, is put here. text: what a person reads */
void keeper_reply(struct client *c, int exit_code, const char *text, struct json_object *json);
/* The same for a failure: {"error": …, "message": …}. */
void keeper_reply_error(struct client *c, enum err e, const char *text);
/* Answer a client that waits for an errand. */
void keeper_finish_one(struct client *c, int exit_code, const char *text);
/* Answer every client that waits for an errand. */
void keeper_finish(struct keeper *k, enum keeper_errand which, int exit_code, const char *text);
/* Let a client wait for an errand and ask the courier to come for it. At boot the courier connects a little
 * later than commands can be given: where it is not there, the client waits for it, too, for a short time.
 * no_courier: the answer when it does not come; kept, not copied */
void keeper_await(struct keeper *k, struct client *c, enum keeper_errand which, const char *no_courier);
/* Ask the courier to come for a batch: something is new. False when it is not connected. */
bool keeper_wake_courier(struct keeper *k);
/* The same for a person who waits: whatever a server said about coming later. */
bool keeper_hurry_courier(struct keeper *k);

/* Verbs (verb_*.c). */
void verb_enroll(struct keeper *k, struct client *c, const struct msg *m);
void verb_protect(struct keeper *k, struct client *c, const struct msg *m);
void verb_rotate(struct keeper *k, struct client *c, const struct msg *m);
void verb_status(struct keeper *k, struct client *c, const struct msg *m);
void verb_sync(struct keeper *k, struct client *c, const struct msg *m);
void verb_verify(struct keeper *k, struct client *c, const struct msg *m);
void verb_export(struct keeper *k, struct client *c, const struct msg *m);
void verb_import(struct keeper *k, struct client *c, const struct msg *m);
/* Answer every client that waits to export: the courier's certificate request is here (enrollment:
 * MSG_ENROLL_DO), or none is needed any more (NULL). */
void keeper_export_waiting(struct keeper *k, const struct msg *enrollment);

/* A message of the courier (verb_courier.c): BATCH_WANTED while it owes nothing, else the one answer that it
 * owes. err: what ends the connection */
MUST_CHECK enum err courier_message(struct keeper *k, const struct msg *m);
/* The courier went away: whoever waits for it is told. */
void courier_gone(struct keeper *k);
