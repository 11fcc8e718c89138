#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One web worker: TLS, HTTP and the local socket. It holds no key but its TLS key, opens no store and no
 * envelope; it asks writer, reader and vault. */

#include "crypto/err.h"
#include "escrow-server/process/chan.h"
#include "escrow-server/process/child.h"
#include "escrow-server/process/msg.h"
#include "escrow-server/process/revoked.h"
#include "escrow-server/web/http_guard.h"
#include "formats/base.h"
#include "formats/policy.h"
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#define WEB_WAITING     4096 /* questions under way at writer, reader and vault together */
#define WEB_WAIT_S      15
#define WEB_HANDSHAKE_S 10
#define WEB_REQUEST_S   20          /* from the handshake, or the answer before, to the end of the answer */
#define WEB_HANDSHAKES  512         /* under way together; the oldest goes when there are more */
#define WEB_STRANGER    8192        /* bytes of a request, head and body, of whoever is not known */
#define WEB_LARGE       (16u << 20) /* of larger ones, all together */
#define WEB_BODY_MAX    (1u << 20)  /* as it comes, and inflated */
/* A large body that comes slower than 64 KiB/s, at which the largest is not here within WEB_REQUEST_S, and is
 * so far behind that, makes way for others. */
#define WEB_LARGE_PER_MS    64
#define WEB_LARGE_BEHIND_MS 500
#define WEB_HEADERS_MAX     HTTP_GUARD_HEAD
#define WEB_METRICS_S       10 /* from when one asks for /metrics to the end of the answer */
#define WEB_METRICS_CONNS   16 /* who ask for it at one worker; the oldest goes when there are more */
#define WEB_DRAIN_S         5  /* after SIGTERM, for what has begun */

enum back_kind { BACK_WRITER = 0, BACK_READER = 1, BACK_VAULT = 2, BACK_KINDS = 3 };

/* The answer to a question. err: OFFLINE (the process is away), TIMEOUT; m is NULL then. A MSG_FAILED comes
 * as its own err, with m. m is borrowed for the call. */
typedef void back_done(void *ctx, enum err e, const struct msg_frame *m);

struct back_waiting {
    uint64_t id; /* 0: free */
    enum back_kind kind;
    back_done *done;
    void *ctx;
    int64_t until_ms;
};

struct back {
    struct web *web;
    enum back_kind kind;
    struct chan chan;
    struct event *in, *out;
};

/* What the vault said of a head that some device has, and of the word that came with it. */
struct web_head {
    uint8_t hash[32];
    uint8_t word[8]; /* of its SHA-256; zeros where there was no word */
    int64_t said_ms;
    uint8_t is; /* enum msg_heard_is; 0: free, or not answered yet */
};
#define WEB_HEADS 256
#define WEB_HEADS_DOUBT_MS                                                                                   \
    5000 /* then somebody else's word on a head that one proved nothing about is asked for */

struct web_policy {
    struct policy policy;
    char json[BASE64_LEN(POLICY_MAX) + 1], sig[BASE64_LEN(POLICY_SIG) + 1]; /* base64 */
};

/* Where somebody may come in. */
enum web_door { DOOR_TLS = 0, DOOR_METRICS, DOOR_LOCAL, WEB_DOORS };

/* Priorities of events: the local socket's, where a person waits, and then the answers to him; all others. */
enum { WEB_FIRST = 0, WEB_SECOND, WEB_PRIORITIES };

struct web {
    struct child child;
    struct event_base *base;
    struct evhttp *http;
    SSL_CTX *tls;
    struct back back[BACK_KINDS];
    struct back_waiting waiting[WEB_WAITING];
    bool reader_late;      /* it let a question of a sync time out; then one in WEB_WAIT_S is tried, */
    int64_t reader_due_ms; /* from then on */
    uint64_t last_id;
    unsigned n_waiting, n_calls;
    unsigned n_conns, n_owed; /* connections; those that an answer is owed to, from the handshake on */
    struct conn_list {
        struct conn *oldest, *newest;
        unsigned n;
    } handshakes, idle, large; /* shaking hands; silent, or sending; of these, those that send or sent much */
    size_t n_held;             /* bytes of requests in large */
    unsigned room, room_each;  /* for connections; for those of one address */
    struct msg_head head;      /* of the vault's audit log, as last heard */
    uint8_t word[MSG_WORD];    /* what head.word borrows */
    bool vault_said;           /* how it is: */
    struct msg_vault_is vault;
    bool losses_due;                  /* the writer has not heard of vault.losses */
    struct web_head heads[WEB_HEADS]; /* web_heads.c */
    struct revoked revoked;
    struct web_policy *policy; /* NULL: there is none */
    struct web_stamp {
        uint64_t inode, size, time_ns;
    } org_stamp, policy_stamp;
    uint64_t n_asked;     /* in this second */
    struct msg_seen seen; /* the writer has not heard of them; web_quiet.c */
    char *nothing[3]; /* answers to who need not be told anything, until the head changes; sync_answer.c */
    struct evhttp_bound_socket *bound;
    struct evconnlistener *metrics;
    struct event *control, *tick, *term, *local;
    bool rests[WEB_DOORS]; /* nobody can be let in there in this second */
    bool stopping, have_tcp, have_local, have_metrics;
    struct {
        bool running, again;
        uint64_t since;
    } replay;
};

/* web_back.c: the channels. */
/* Take a new channel (its predecessor is closed, its questions answered with OFFLINE). */
void back_take(struct web *w, enum back_kind kind, int fd);
void back_close(struct web *w, enum back_kind kind);
/* Is the vault there, and has it said how it is? It does so as soon as its channel is there; a request may be
 * looked at before what it said. */
bool back_vault_said(struct web *w);
/* The sentence for whoever needs a process that is away. */
extern const char *const back_away[BACK_KINDS];
static inline bool back_is_up(const struct web *w, enum back_kind kind)
{
    return chan_is_open(&w->back[kind].chan);
}
/* Bytes that the other process has not taken yet. */
static inline size_t back_waits(const struct web *w, enum back_kind kind)
{
    return w->back[kind].chan.out.len;
}
/* Begin a question; the body is written through the cursor. NULL: not possible now, done is not called. */
struct writer *back_begin(struct web *w, enum back_kind kind, uint8_t type, back_done *done, void *ctx,
                          uint64_t *ret_id);
/* Send it. Afterwards done is called exactly once, unless it is forgotten. */
void back_send(struct web *w, enum back_kind kind);
/* The same for what has no answer. NULL: not possible now */
struct writer *back_tell(struct web *w, enum back_kind kind, uint8_t type);
void back_told(struct web *w, enum back_kind kind);
void back_forget(struct web *w, uint64_t id);
/* Do answers go before whatever else is ready? They do while somebody waits at the local socket. For syncs
 * alone that would make turns of one event each: 15 us more CPU for a heartbeat. */
void back_hurry(struct web *w, bool hurry);
void back_tick(struct web *w); /* once a second: what waited too long */

/* web_replay.c: what the vault logged and the writer does not know yet (orders to rotate). */
void replay_start(struct web *w, uint64_t since);

/* web_tls.c, web_conn.c */
MUST_CHECK enum err web_tls_open(struct web *w);
/* tls_resume.c: from now on sessions can be resumed, and each handshake sends one ticket. fd: of
 * tls_sessions.h, taken over. err: FORMAT, NOMEM */
MUST_CHECK enum err web_tls_resume(struct web *w, int fd);
/* For evhttp: a connection with absolute deadlines. */
struct bufferevent *web_conn_new(struct event_base *base, void *web);
/* web_room.c: w->bound is there. */
void web_room_open(struct web *w);
/* web_doors.c: somebody could not be let in: no descriptor for him, or no memory. Level-triggered, that would
 * come back at once, for ever; so the door is looked at again in the next second, and it is logged. */
void web_door_rest(struct web *w, enum web_door door);
/* Once a second. */
void web_doors_tick(struct web *w);
/* A whole request is here. */
void web_conn_begins(struct evhttp_connection *evcon);
/* Is this answer the last one on its connection, whatever the client thinks? */
bool web_conn_is_last(struct evhttp_connection *evcon);
/* The connection's end follows what is sent from now on at once, and goes with it. */
void web_conn_ends(struct evhttp_connection *evcon);
/* Send what was just answered in one record, in this turn of the event loop. */
void web_conn_push(struct evhttp_connection *evcon);
/* The request on this connection was answered: the next one has its own time. */
void web_conn_answered(struct evhttp_connection *evcon);
/* The store knows this courier. */
void web_conn_known(struct evhttp_connection *evcon);
bool web_conn_is_known(struct evhttp_connection *evcon);
/* Device and key of the client certificate, or of the one that the session began with. err: NOT_FOUND (none)
 */
MUST_CHECK enum err web_conn_courier(struct evhttp_connection *evcon, uint8_t ret_device[static 32],
                                     uint8_t ret_key[static 32]);

/* The client certificate, DER, malloc'ed. err: NOT_FOUND, NOMEM */
MUST_CHECK enum err web_conn_certificate(struct evhttp_connection *evcon, uint8_t **ret, size_t *ret_len);
/* Is that certificate due for renewal? ret_spki: its key, then */
bool web_conn_courier_due(struct evhttp_connection *evcon, uint8_t ret_spki[static 91]);

/* web_courier.c: what the client's certificate says of the device and its key; for OpenSSL, its verify
 * callback. It is good for nothing before the writer has said that the key is the enrolled one (MSG_DEVICE).
 */
int web_courier_verify(X509_STORE_CTX *store, void *unused);
/* err: NOT_FOUND (none was shown) */
MUST_CHECK enum err web_courier(const SSL *ssl, uint8_t ret_device[static 32], uint8_t ret_key[static 32]);
bool web_courier_due(const SSL *ssl, uint8_t ret_spki[static 91]);
/* The store knows this courier: it is none to be judged any more, nor are its resumed sessions. err:
 * NOT_FOUND, NOMEM */
MUST_CHECK enum err web_courier_known(SSL *ssl);
bool web_courier_is_known(const SSL *ssl);
/* Is it known, or else, did the CA (PEM) sign its certificate, whatever its dates? Then it is known from now
 * on. err: NOT_FOUND (none was shown), AUTH, FORMAT, NOMEM, BUSY (resumed by one never judged: it has to
 * shake hands anew, and will) cost: two curve operations where it is not known yet */
MUST_CHECK enum err web_courier_judge(SSL *ssl, const char *ca);

/* web_revoked.c: the revocation list of the org.json that the process was given. err: as of revoked_read() */
MUST_CHECK enum err web_revoked_load(struct web *w);
bool web_revoked(const struct web *w, const uint8_t device[static 32]);

/* web_org.c: once a second, what a person may have replaced. */
void web_org_tick(struct web *w);

/* sync_answer.c: the vault's head is another one. */
void sync_answers_forget(struct web *w);

/* web_quiet.c: tell the writer who was here without a question to it. Once a second, and at the end. */
void web_seen_send(struct web *w);

/* web_shed.c: is there too much to do for this sync? Counted. */
bool web_shed(struct web *w, bool escrow);
unsigned web_shed_retry_s(bool escrow);
/* May a device be asked now for the set of its envelopes? Counted. */
bool web_may_ask(struct web *w);

/* web_http.c: routes. */
MUST_CHECK enum err web_http_open(struct web *w);
/* The words of an HTTP status. */
const char *web_title(int status);

/* web_metrics.c: /metrics, on a socket of its own. */
MUST_CHECK enum err web_metrics_open(struct web *w, int fd); /* listens; taken over */
void web_metrics_tick(const struct web *w);

/* web_main.c: when the worker is to stop and owes nobody anything, it does. */
void web_drained(struct web *w);

/* web_heads.c: audit heads that devices bring back. What nobody has judged yet goes to the vault: the head,
 * and each word on it. The device is the one of the certificate, and its key was compared. word: signed, may
 * be empty */
void web_heads_take(struct web *w, const uint8_t device[static 32], const uint8_t hash[static 32],
                    struct msg_blob word);
/* enum msg_heard_is, 0 where nobody knows yet. One device's word does not settle for all that a head is from
 * elsewhere: after a while it is UNKNOWN again. */
unsigned web_heads_get(struct web *w, const uint8_t hash[static 32]);

/* web_vault.c: "escrow_keys" of /healthz; nothing while the vault is away. */
struct json_object;
void web_vault_health(struct web *w, struct json_object *o);
/* Can anything be disclosed? */
bool web_vault_discloses(struct web *w);
/* web_losses.c: "audit_lost" of /healthz and what goes with it, where a device proved a loss; once a second,
 * what the writer must know of it. */
void web_losses_health(const struct web *w, struct json_object *o);
void web_losses_tick(struct web *w);

/* web_local.c: recover, token, import, boots for people on this machine. */
void web_local_accept(evutil_socket_t fd, short what, void *web);
unsigned web_local_open_count(void);
