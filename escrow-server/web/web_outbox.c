/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An outbox that a person carried here: judged and stored as a sync, and an enrolment before it where the
 * device is new. docs/formats.md#outbox */
#include "crypto/hash.h"
#include "escrow-server/pki.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web_call.h"
#include "escrow-server/web/web_local.h"
#include "formats/base.h"
#include "formats/outbox.h"
#include "formats/outbox_answer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(OUTBOX_PROOFS == MSG_PROOFS, "one outbox is one sync");

struct carried {
    struct outbox o; /* borrows the bytes of the connection */
    struct msg_sync m;
    uint8_t courier_spki[CR_P256_SPKI];
    bool enrolled; /* just now */
    char certificate[PKI_PEM_MAX];
    uint8_t missing[MSG_SET * 32];
};

static struct msg_blob lend(struct outbox_bytes b)
{
    return (struct msg_blob){b.p, b.len};
}

static struct outbox_bytes give(struct msg_blob b)
{
    return (struct outbox_bytes){b.p, b.len};
}

static void fill_sync(struct carried *c)
{
    const struct outbox *o = &c->o;
    memcpy(c->m.device, o->device, sizeof c->m.device);
    memcpy(c->m.envelopes, o->envelopes, sizeof c->m.envelopes);
    memcpy(c->m.audit_head, o->audit_head, sizeof c->m.audit_head);
    c->m.has_head = o->has_head;
    c->m.attempt = o->attempt;
    c->m.n_proofs = o->n_proofs;
    for (unsigned i = 0; i < o->n_proofs; i++)
        c->m.proof[i] = lend(o->proof[i]);
    c->m.has_set = true;
    c->m.set = lend(o->set);
    c->m.has_packages = c->m.has_package_set = true; /* names of key packages stand among the hashes */
    c->m.package_set = lend(o->set);
    c->m.n = o->n;
    for (unsigned i = 0; i < o->n; i++)
        c->m.record[i] = lend(o->record[i]);
}

/* What is here neither as an envelope nor as a key package. ret: MSG_SET × 32 bytes; its length */
static size_t find_missing(const struct msg_synced *m, uint8_t *ret)
{
    const struct msg_blob *e = &m->missing, *p = &m->missing_packages;
    size_t len = 0;
    for (size_t i = 0; i + 32 <= e->len && len < MSG_SET * 32; i += 32) {
        bool both = false;
        for (size_t k = 0; k + 32 <= p->len && !both; k += 32)
            both = memcmp(e->p + i, p->p + k, 32) == 0;
        if (both) {
            memcpy(ret + len, e->p + i, 32);
            len += 32;
        }
    }
    return len;
}

static void fill_answer(struct local *l, const struct msg_synced *m, struct outbox_answer *a)
{
    struct carried *c = l->state;
    a->org = l->web->child.org.id;
    memcpy(a->device, c->o.device, sizeof a->device);
    a->time = (uint64_t)time(NULL);
    a->attempt = c->o.attempt;
    a->match = m->match;
    a->has_head = true;
    a->audit_length = l->web->head.n;
    memcpy(a->audit_hash, l->web->head.hash, sizeof a->audit_hash);
    a->has_known = m->has_known;
    memcpy(a->incarnation, m->incarnation, sizeof a->incarnation);
    memcpy(a->name, m->name, sizeof a->name);
    a->sequence = m->sequence;
    memcpy(a->envelopes, m->digest, sizeof a->envelopes);
    a->certificate = m->certificate.len > 0
                         ? give(m->certificate)
                         : (struct outbox_bytes){(const uint8_t *)c->certificate, strlen(c->certificate)};
    a->n_receipts = m->receipt.len > 0 ? 1 : 0;
    a->receipt[0] = give(m->receipt);
    a->n_commands = m->n_commands;
    for (unsigned i = 0; i < m->n_commands; i++)
        a->command[i] = (struct outbox_bytes){m->command[i], COMMAND_LEN};
    a->missing = (struct outbox_bytes){c->missing, find_missing(m, c->missing)};
}

static enum err encode_answer(struct local *l, const struct msg_synced *m, char **ret)
{
    struct outbox_answer *a = calloc(1, sizeof *a);
    uint8_t *bytes = malloc(OUTBOX_ANSWER_MAX);
    char *text = malloc(BASE64_LEN(OUTBOX_ANSWER_MAX) + 1);
    size_t len = 0;
    enum err e = a != NULL && bytes != NULL && text != NULL ? ERR_OK : ERR_NOMEM;
    if (e == ERR_OK) {
        fill_answer(l, m, a);
        e = outbox_answer_encode(a, bytes, &len);
    }
    if (e == ERR_OK)
        base64_encode(bytes, len, text);
    free(a);
    free(bytes);
    if (e != ERR_OK) {
        free(text);
        return e;
    }
    *ret = text;
    return ERR_OK;
}

static void reply(struct local *l, const struct msg_synced *m)
{
    const struct carried *c = l->state;
    char *text = NULL, device[BASE16_LEN(32) + 1];
    enum err e = encode_answer(l, m, &text);
    if (e != ERR_OK)
        return local_fail(l, e,
                          "The records are stored, but the answer cannot be made; import the file again.");
    base16_encode(c->o.device, 32, device);
    slog(SLOG_INFO, "outbox", "device=%s records=%u enrolled=%d incomplete=%d match=%d", device, c->m.n,
         c->enrolled, m->incomplete, m->match);
    struct json_object *o = local_ok();
    json_object_object_add(o, "device", json_object_new_string(device));
    json_object_object_add(o, "records", json_object_new_int64(c->m.n));
    json_object_object_add(o, "enrolled", json_object_new_boolean(c->enrolled));
    json_object_object_add(o, "complete", json_object_new_boolean(!m->incomplete));
    json_object_object_add(o, "answer", json_object_new_string(text));
    free(text);
    local_answer(l, o, NULL);
}

static void on_synced(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_synced synced;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_synced(m->body, m->len, &synced);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    reply(l, &synced);
}

static void store(struct local *l)
{
    struct carried *c = l->state;
    struct writer *body = local_begin(l, BACK_WRITER, MSG_SYNC, on_synced);
    if (body == NULL)
        return;
    msg_put_sync(body, &c->m);
    back_send(l->web, BACK_WRITER);
}

/* A device that is known already gets its records stored, whatever became of the token meanwhile. */
static void on_enrolled(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct carried *c = l->state;
    l->waiting = 0;
    if (e == ERR_OK && m->len < sizeof c->certificate) {
        memcpy(c->certificate, m->body, m->len);
        c->enrolled = true;
    } else if (!l->known_device) {
        return local_failed(l, e == ERR_OK ? ERR_INTERNAL : e, m);
    }
    store(l);
}

static void enroll(struct local *l)
{
    const struct carried *c = l->state;
    struct msg_enroll m = {.time = c->o.enrollment_time, .csr = lend(c->o.csr)};
    memcpy(m.token, c->o.token, sizeof m.token);
    memcpy(m.spki, c->o.spki, sizeof m.spki);
    memcpy(m.sig, c->o.signature, sizeof m.sig);
    snprintf(m.computer, sizeof m.computer, "%s", c->o.computer);
    struct writer *body = local_begin(l, BACK_WRITER, MSG_ENROLL, on_enrolled);
    if (body == NULL)
        return;
    msg_put_enroll(body, &m);
    back_send(l->web, BACK_WRITER);
}

static void on_device(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct carried *c = l->state;
    struct msg_device_is is = {.revoked = false};
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_device_is(m->body, m->len, &is);
    if (e == ERR_NOT_FOUND && !c->o.has_enrollment)
        return local_fail(
            l, e,
            "The device is not enrolled here, and the file does not ask for that: enrol it with a "
            "bundle (keyholt-agent enroll) and export again.");
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return local_failed(l, e, m);
    if (is.revoked || is.approved == DEVICE_REFUSED)
        return local_fail(l, ERR_DENIED, "This device was revoked or refused.");
    l->known_device = e == ERR_OK;
    if (!c->o.has_enrollment)
        return store(l);
    if (!l->known_device || !is.pinned)
        return enroll(l);
    /* it enrolled before, with the same key; the answer may have been lost */
    c->m.renew = (struct msg_blob){c->courier_spki, sizeof c->courier_spki};
    store(l);
}

static enum err read_outbox(struct local *l, struct carried *c, struct msg_device *ask)
{
    TRY(outbox_decode(l->bytes, l->n_bytes, &c->o));
    memcpy(ask->device, c->o.device, sizeof ask->device);
    if (c->o.has_enrollment) {
        TRY(pki_csr_spki((const char *)c->o.csr.p, c->o.csr.len, c->courier_spki));
        TRY(cr_sha256(c->courier_spki, sizeof c->courier_spki, ask->courier));
    }
    fill_sync(c);
    return ERR_OK;
}

void local_outbox(struct local *l)
{
    struct msg_device ask = {.device = {0}};
    struct carried *c = calloc(1, sizeof *c);
    if (c == NULL)
        return local_fail(l, ERR_NOMEM, "The server has no memory for this now.");
    l->state = c;
    enum err e = read_outbox(l, c, &ask);
    if (e != ERR_OK)
        return local_fail(l, e,
                          e == ERR_AUTH ? "The outbox is not signed by the device that it names."
                                        : "This is no outbox of an agent, or a damaged one.");
    if (!guid_equal(&c->o.org, &l->web->child.org.id))
        return local_fail(l, ERR_DENIED, "The outbox is for another organisation.");
    if (web_revoked(l->web, c->o.device))
        return local_fail(l, ERR_DENIED, "This device was revoked.");
    struct writer *body = local_begin(l, BACK_READER, MSG_DEVICE, on_device);
    if (body == NULL)
        return;
    msg_put_device(body, &ask);
    back_send(l->web, BACK_READER);
}
