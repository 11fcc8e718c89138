/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync.h"
#include "agent/enrollment.h"
#include "agent/mirror.h"
#include "agent/policy_store.h"
#include "agent/records.h"
#include "agent/report.h"
#include "agent/rotate.h"
#include "agent/sync_clock.h"
#include "agent/sync_set.h"
#include "crypto/p256.h"
#include "formats/command.h"
#include "formats/receipt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AUDIT_LENGTH "audit_length"
#define AUDIT_DOUBTS "audit_doubts"
#define AUDIT_ASKED  "audit_asked" /* the last answer asked for the word */
#define LAST_SYNC    "last_sync"
#define ANEW         "went_back" /* when new keys were wanted because of that */
#define DAY          UINT64_C(86400)

#define HEAD_GROWTH 65536 /* entries; more than an organisation discloses between two syncs of a device */
#define HEAD_DOUBTS 16

static int64_t monotonic_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum err optional(enum err e)
{
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* What only this identity can say: its sets, and its last record. An earlier one signs nothing any more. */
static enum err add_own(struct agent *a, struct sync_batch *b, struct msg *ret)
{
    unsigned n = 0;
    TRY(sync_set_page(a, SYNC_ENVELOPES, b->set[SYNC_ENVELOPES], &n));
    ret->sync_batch.set = (struct msg_span){b->set[SYNC_ENVELOPES][0], 32 * (size_t)n};
    enum err e = cache_packages_digest(a->cache, a->key.id, b->packages);
    if (e == ERR_OK) {
        TRY(sync_set_page(a, SYNC_PACKAGES, b->set[SYNC_PACKAGES], &n));
        ret->sync_batch.packages = (struct msg_span){b->packages, sizeof b->packages};
        ret->sync_batch.package_set = (struct msg_span){b->set[SYNC_PACKAGES][0], 32 * (size_t)n};
    }
    TRY(optional(e));
    e = records_last(a, b->last);
    if (e == ERR_OK)
        ret->sync_batch.last = (struct msg_span){b->last, sizeof b->last};
    return optional(e);
}

/* The word goes along only where a server asked for it: a heartbeat is small. */
static enum err add_audit_word(struct agent *a, struct sync_batch *b, struct msg *ret)
{
    uint64_t asked;
    size_t len;
    enum err e = cache_get_u64(a->cache, AUDIT_ASKED, &asked);
    if (e == ERR_OK)
        e = cache_get(a->cache, SYNC_AUDIT_WORD, b->audit_word, sizeof b->audit_word, &len);
    if (e == ERR_OK)
        ret->sync_batch.audit_word = (struct msg_span){b->audit_word, len};
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* A heartbeat gets no receipt, so it needs no number, and nothing is written for it. */
static enum err number_batch(struct agent *a, const uint8_t device[static 32], struct sync_batch *b,
                             uint64_t *ret)
{
    if (b->n == 0)
        return ERR_OK;
    TRY(cache_next_attempt(a->cache, ret));
    return cache_proofs(a->cache, device, b->proof, SYNC_PROOFS, &b->n_proofs);
}

enum err sync_batch_make(struct agent *a, const uint8_t device[static 32], struct sync_batch *b,
                         struct msg *ret)
{
    size_t head = 0;
    memset(b, 0, sizeof *b);
    memset(ret, 0, sizeof *ret);
    memcpy(b->device, device, sizeof b->device);
    TRY(cache_envelopes_digest(a->cache, b->envelopes));
    TRY(optional(cache_get(a->cache, SYNC_AUDIT_HASH, b->audit_head, sizeof b->audit_head, &head)));
    for (unsigned i = 0; i < SYNC_SETS; i++)
        a->set_page[i].n = 0;
    if (memcmp(device, a->key.id, sizeof b->device) == 0)
        TRY(add_own(a, b, ret));
    TRY(cache_outbox(a->cache, device, b->record, MSG_LIST_MAX, &b->n));
    TRY(number_batch(a, device, b, &ret->sync_batch.attempt));
    ret->type = MSG_SYNC_BATCH;
    for (unsigned i = 0; i < a->org->n_servers; i++)
        ret->sync_batch.servers.item[ret->sync_batch.servers.n++] = msg_text(a->org->server[i]);
    ret->sync_batch.ca = msg_text(a->org->ca);
    ret->sync_batch.device = (struct msg_span){b->device, sizeof b->device};
    for (unsigned i = 0; i < b->n; i++)
        ret->sync_batch.records.item[ret->sync_batch.records.n++] =
            (struct msg_span){b->record[i].bytes, b->record[i].len};
    for (unsigned i = 0; i < b->n_proofs; i++)
        ret->sync_batch.proofs.item[ret->sync_batch.proofs.n++] =
            (struct msg_span){b->proof[i].bytes, b->proof[i].len};
    ret->sync_batch.envelopes = (struct msg_span){b->envelopes, sizeof b->envelopes};
    ret->sync_batch.audit_head = (struct msg_span){b->audit_head, head};
    ret->sync_batch.proxy = msg_text(a->conf.proxy);
    ret->sync_batch.no_proxy = msg_text(a->conf.no_proxy);
    ret->sync_batch.policy = a->policy.version;
    if (a->introduce && memcmp(device, a->key.id, sizeof b->device) == 0)
        ret->sync_batch.spki = (struct msg_span){a->key.spki, sizeof a->key.spki};
    return add_audit_word(a, b, ret);
}

void sync_batch_wipe(struct sync_batch *b)
{
    for (unsigned i = 0; i < b->n; i++)
        free(b->record[i].bytes);
    for (unsigned i = 0; i < b->n_proofs; i++)
        free(b->proof[i].bytes);
    b->n = b->n_proofs = 0;
}

static bool is_for(const struct agent *a, const uint8_t us[static 32], const struct guid *org,
                   const uint8_t device[static 32])
{
    return guid_equal(org, &a->org->id) && memcmp(device, us, 32) == 0;
}

static bool receipt_key(const struct agent *a, unsigned i, struct cr_p256_pub *ret)
{
    const struct org_key *k = &a->org->receipt[i];
    return cr_p256_from_spki(k->spki, sizeof k->spki, ret) == ERR_OK;
}

static enum err take_receipt(struct agent *a, const uint8_t device[static 32], struct msg_span s,
                             struct sync_outcome *o)
{
    struct cr_p256_pub pub;
    struct receipt r;
    for (unsigned i = 0; i < a->org->n_receipt; i++)
        if (receipt_key(a, i, &pub) && receipt_decode(s.p, s.len, &pub, &r) == ERR_OK &&
            is_for(a, device, &r.org, r.device)) {
            unsigned n = 0;
            TRY(cache_add_receipt(a->cache, s.p, s.len, &r, &n));
            o->receipted += n;
            a->wanted = a->wanted || n; /* a key that waited for it may go */
            return ERR_OK;
        }
    o->refused++;
    return ERR_OK;
}

static enum err add_rotated(struct agent *a, const struct cache_key *old, const struct guid *successor)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = EVENT_ROTATED;
    r->key_id = *successor;
    r->other_key_id = old->key_id;
    r->volume = old->volume;
    r->event_time = (uint64_t)time(NULL);
    enum err e = cache_begin(a->cache);
    if (e == ERR_OK)
        e = records_add(a, r, NULL);
    e = cache_end(a->cache, e);
    free(r);
    return e;
}

/* The ordered key is retired, but no record says what replaced it: say so if something did. */
static enum err say_rotated(struct agent *a, const struct cache_key *old, struct sync_outcome *o)
{
    unsigned n = 0, i = 0;
    TRY(cache_drafts(a->cache, &n));
    if (n) /* it may be among what waits for the device key */
        return ERR_OK;
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    enum err e = keys ? cache_keys(a->cache, &old->volume, keys, &n) : ERR_NOMEM;
    while (i < n && keys[i].state != KEY_LIVE) /* newest first */
        i++;
    if (e == ERR_OK && i < n) {
        e = add_rotated(a, old, &keys[i].key_id);
        o->more = e == ERR_OK;
    }
    free(keys);
    return e;
}

/* A password was shown to somebody although the server knew that it was replaced: he may have a copy of the
 * header from before. */
static enum err note_late_disclosure(struct agent *a, const struct command *c, const struct cache_key *k)
{
    uint64_t known = 0;
    enum err e = cache_rotation_time(a->cache, &k->key_id, &known);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && c->time <= known))
        return ERR_OK;
    return e == ERR_OK ? mirror_note_exposed(a, &k->volume, &k->key_id) : e;
}

/* An order stays open, and is repeated, until it can be answered truthfully: not for a key that we do not
 * know and not without a successor. The answer is one record for ever: an order that comes again, even an old
 * one, gets the same bytes (invariant 7). */
static enum err do_rotate(struct agent *a, const struct command *c, struct sync_outcome *o)
{
    struct cache_key k;
    enum err e = cache_get_key(a->cache, &c->key_id, &k);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    if (k.state != KEY_RETIRED) {
        e = rotate_spend(a, &k.key_id, KH_CAUSE_DISCLOSED,
                         "the organisation wants its recovery password replaced");
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    TRY(note_late_disclosure(a, c, &k));
    e = cache_resend_rotation(a->cache, &c->key_id);
    return e == ERR_NOT_FOUND ? say_rotated(a, &k, o) : e;
}

/* The same order again gets the same answer, and no second report. */
static enum err do_report(struct agent *a, const struct command *c, struct sync_outcome *o)
{
    bool made = false;
    enum err e = cache_resend_rotation(a->cache, &c->key_id);
    if (e != ERR_NOT_FOUND)
        return e;
    TRY(report_order(a, &c->key_id, &made));
    o->more = o->more || made;
    return ERR_OK;
}

static enum err take_command(struct agent *a, struct msg_span s, struct sync_outcome *o)
{
    struct cr_p256_pub pub;
    struct command c;
    for (unsigned i = 0; i < a->org->n_receipt; i++)
        if (receipt_key(a, i, &pub) && command_decode(s.p, s.len, &pub, &c) == ERR_OK &&
            is_for(a, a->key.id, &c.org, c.device))
            return c.order == COMMAND_ROTATE ? do_rotate(a, &c, o) : do_report(a, &c, o);
    o->refused++;
    return ERR_OK;
}

/* Count an answer that contradicts the head we hold; true when enough have, one after the other. */
static enum err doubt_head(struct agent *a, bool contradicts, bool *ret_enough)
{
    uint64_t n = 0;
    if (!contradicts) {
        *ret_enough = false;
        return cache_unset(a->cache, AUDIT_DOUBTS);
    }
    enum err e = cache_get_u64(a->cache, AUDIT_DOUBTS, &n);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_enough = ++n >= HEAD_DOUBTS;
    return *ret_enough ? cache_unset(a->cache, AUDIT_DOUBTS) : cache_set_u64(a->cache, AUDIT_DOUBTS, n);
}

/* Heads come back to the servers with every sync, so a log that was cut off is noticed by the fleet: a
 * shorter head does not replace a longer one. This device does not judge who signed a head, so one answer
 * must not be able to blind this device for ever: a head that is shorter, or longer than a log grows, is
 * taken once HEAD_DOUBTS answers in a row said something of the kind. By then the old one was sent back that
 * many times. */
static enum err take_audit_head(struct agent *a, const struct msg *m)
{
    uint64_t known = 0, length = m->sync_answer.audit_length;
    bool enough;
    enum err e = cache_get_u64(a->cache, AUDIT_LENGTH, &known);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (m->sync_answer.audit_hash.len != 32) /* the one that we sent is its own */
        return cache_unset(a->cache, AUDIT_DOUBTS);
    bool contradicts = e == ERR_OK && (length < known || length - known > HEAD_GROWTH);
    TRY(doubt_head(a, contradicts, &enough));
    if (contradicts && !enough)
        return ERR_OK;
    TRY(cache_set_u64(a->cache, AUDIT_LENGTH, length));
    TRY(cache_set(a->cache, SYNC_AUDIT_HASH, m->sync_answer.audit_hash.p, 32));
    if (m->sync_answer.audit_word.len !=
        AUDIT_HEAD_LEN) /* a heartbeat has none: the older one still proves */
        return ERR_OK;
    return cache_set(a->cache, SYNC_AUDIT_WORD, m->sync_answer.audit_word.p, AUDIT_HEAD_LEN);
}

/* It is brought at once, and then no sooner than anything else, however often it is asked for. */
static enum err take_asked(struct agent *a, const struct msg *m, struct sync_outcome *o)
{
    uint64_t asked = 0;
    uint8_t word[AUDIT_HEAD_LEN];
    size_t len;
    if (!m->sync_answer.want_audit_word)
        return cache_unset(a->cache, AUDIT_ASKED);
    enum err e = cache_get_u64(a->cache, AUDIT_ASKED, &asked);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    o->more = o->more ||
              (e == ERR_NOT_FOUND && cache_get(a->cache, SYNC_AUDIT_WORD, word, sizeof word, &len) == ERR_OK);
    return cache_set_u64(a->cache, AUDIT_ASKED, 1);
}

/* Does the server hold a record of this incarnation that this cache never made: a later one, or another one
 * at a sequence that was used again? */
static enum err is_old_copy(struct agent *a, const struct msg *m, uint64_t sequence, bool *ret)
{
    const struct msg_span *name = &m->sync_answer.known_name;
    enum err e = ERR_OK;
    if (m->sync_answer.known_sequence > 0 && name->len == 32)
        e = cache_find_record(a->cache, name->p);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_NOT_FOUND || m->sync_answer.known_sequence > sequence;
    return ERR_OK;
}

/* The header went back with the cache, as far as anybody here can tell: a recovery password that was replaced
 * since then may be in use again, and the one that servers know as the newest may open nothing. Nothing signs
 * what a server says of our records, so no more than once a day. */
static enum err want_new_keys(struct agent *a)
{
    struct cache_volume *v = calloc(CACHE_VOLUMES, sizeof *v);
    uint64_t now = (uint64_t)time(NULL), last = 0;
    struct cache_life l; /* of LUKS volumes */
    unsigned n = 0;
    enum err e = v ? cache_get_u64(a->cache, ANEW, &last) : ERR_NOMEM;
    bool due = e == ERR_NOT_FOUND || last > now || now - last >= DAY;
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = due ? cache_volumes(a->cache, v, &n) : ERR_OK;
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        if (v[i].state != VOLUME_PENDING && cache_get_life(a->cache, &v[i].uuid, &l) == ERR_OK)
            e = rotate_want(a, &v[i].uuid, KH_CAUSE_DRIFT,
                            "this computer's disk went back to an older state, and a recovery key that was "
                            "replaced may be in use again; rotate it");
    free(v);
    return e == ERR_OK && due ? cache_set_u64(a->cache, ANEW, now) : e;
}

static enum err start_anew(struct agent *a)
{
    struct record *r = calloc(1, sizeof *r);
    enum err e = r ? cache_begin(a->cache) : ERR_NOMEM;
    if (e == ERR_OK) {
        r->kind = RECORD_EVENT;
        r->event = EVENT_WENT_BACK;
        r->result = WENT_BACK_SERVER;
        r->event_time = (uint64_t)time(NULL);
        e = records_restart(a);
        if (e == ERR_OK)
            e = records_add(a, r, NULL);
        if (e == ERR_OK)
            e = want_new_keys(a);
        e = cache_end(a->cache, e);
    }
    free(r);
    return e;
}

/* Then our cache is an old copy, or the copy of another computer's (O6). */
static enum err take_known(struct agent *a, const struct msg *m)
{
    uint8_t incarnation[16];
    uint64_t sequence;
    bool old = false;
    TRY(records_position(a, incarnation, &sequence));
    if (m->sync_answer.known_incarnation.len != sizeof incarnation ||
        memcmp(m->sync_answer.known_incarnation.p, incarnation, sizeof incarnation) != 0)
        return ERR_OK;
    TRY(is_old_copy(a, m, sequence, &old));
    return old ? start_anew(a) : ERR_OK;
}

/* The organisation's certificate for the courier's own key, and nothing else, is handed on to it. The courier
 * gets it when it comes for the next batch, so that a crash in between loses nothing. */
static enum err take_certificate(struct agent *a, const struct msg *m, struct sync_outcome *o)
{
    const struct msg_span *pem = &m->sync_answer.certificate;
    uint8_t waiting[ENROLLMENT_PEM_MAX];
    size_t len;
    if (pem->len == 0)
        return ERR_OK;
    if (enrollment_certificate_check(a, *pem) != ERR_OK) {
        o->refused++;
        return ERR_OK;
    }
    /* one that waits already could not be kept just now: no hurry then */
    o->more = cache_get(a->cache, ENROLLMENT_CERTIFICATE, waiting, sizeof waiting, &len) == ERR_NOT_FOUND;
    return cache_set(a->cache, ENROLLMENT_CERTIFICATE, pem->p, pem->len);
}

/* Signed by the policy key or nothing. The disk may be full: then it comes again. */
static void take_policy(struct agent *a, const struct msg *m, struct sync_outcome *o)
{
    struct problem why;
    const struct msg_span *json = &m->sync_answer.policy, *sig = &m->sync_answer.policy_sig;
    if (json->len == 0 || policy_store_install(a, json->p, json->len, sig->p, sig->len, &why) == ERR_OK)
        return;
    agent_say(a, "%s", why.text);
    o->refused++;
}

enum err sync_apply_carried(struct agent *a, const struct msg *m, struct sync_outcome *ret)
{
    struct sync_outcome o = {0};
    for (unsigned i = 0; i < m->sync_answer.receipts.n; i++)
        TRY(take_receipt(a, a->key.id, m->sync_answer.receipts.item[i], &o));
    for (unsigned i = 0; i < m->sync_answer.commands.n; i++)
        TRY(take_command(a, m->sync_answer.commands.item[i], &o));
    TRY(take_audit_head(a, m));
    TRY(take_known(a, m));
    TRY(take_certificate(a, m, &o));
    take_policy(a, m, &o);
    TRY(take_asked(a, m, &o));
    TRY(cache_outbox_count(a->cache, a->key.id, &o.waiting));
    *ret = o;
    return ERR_OK;
}

enum err sync_apply(struct agent *a, const struct msg *m, struct sync_outcome *ret)
{
    struct sync_outcome o = {0};
    unsigned escrows = 0, packages = 0;
    bool more = false, more_packages = false;
    TRY(sync_apply_carried(a, m, &o));
    TRY(cache_outbox_escrows(a->cache, a->key.id, &escrows));
    TRY(sync_set_take(a, SYNC_ENVELOPES, m, escrows, &more));
    TRY(cache_outbox_packages(a->cache, a->key.id, &packages));
    TRY(sync_set_take(a, SYNC_PACKAGES, m, packages, &more_packages));
    TRY(sync_clock_take(a, m->sync_answer.time, (uint64_t)time(NULL), monotonic_ms()));
    TRY(cache_outbox_count(a->cache, a->key.id, &o.waiting)); /* what is sent again, too */
    o.more = o.more || more || more_packages;
    TRY(cache_set_u64(a->cache, LAST_SYNC, (uint64_t)time(NULL)));
    *ret = o;
    return ERR_OK;
}

enum err sync_apply_former(struct agent *a, const uint8_t device[static 32], const struct msg *m,
                           struct sync_outcome *ret)
{
    struct sync_outcome o = {0};
    for (unsigned i = 0; i < m->sync_answer.receipts.n; i++)
        TRY(take_receipt(a, device, m->sync_answer.receipts.item[i], &o));
    TRY(cache_outbox_count(a->cache, device, &o.waiting));
    o.more = o.receipted > 0; /* the next ones, or our own turn */
    *ret = o;
    return ERR_OK;
}
