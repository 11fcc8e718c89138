/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/slog.h"
#include "escrow-server/web_call.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include "formats/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A sync between its parts: the records decoded from base64, waiting for the device's public key. */
struct sync {
    struct msg_sync m;
    uint8_t *bytes; /* all records, one behind the other */
    uint8_t set[32 * MSG_SET];
    uint8_t word[MSG_WORD]; /* the vault's own, on the head that the device has */
    size_t word_len;
    unsigned head_is; /* enum msg_heard_is, or 0 */
    bool brief;       /* the device takes an answer that leaves out what it knows: */
    uint8_t last[8];  /* the beginning of the name of its last record */
    char detail[160];
};

static void free_sync(void *p)
{
    struct sync *s = p;
    if (s == NULL)
        return;
    free(s->bytes);
    free(s);
}

static enum err read_records(struct sync *s, struct json_object *array, size_t cap)
{
    size_t used = 0, n = json_object_array_length(array);
    s->bytes = malloc(cap);
    if (s->bytes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(array, i);
        size_t len;
        snprintf(s->detail, sizeof s->detail, "Record %zu is not base64, or longer than %d bytes.", i + 1,
                 RECORD_MAX);
        if (!json_object_is_type(item, json_type_string))
            return ERR_FORMAT;
        TRY(base64_decode(json_object_get_string(item), (size_t)json_object_get_string_len(item),
                          s->bytes + used, cap - used, &len));
        if (len > RECORD_MAX)
            return ERR_RANGE;
        s->m.record[i] = (struct msg_blob){s->bytes + used, len};
        used += len;
    }
    s->m.n = (unsigned)n;
    return ERR_OK;
}

static enum err read_request(struct call *c, struct sync *s, struct json_object *o)
{
    struct json_object *records;
    const char *head;
    size_t len;
    snprintf(s->detail, sizeof s->detail,
             "A field of the sync is missing or not in its form (docs/formats.md).");
    TRY(json_get_hex(o, "device", s->m.device, sizeof s->m.device));
    TRY(json_get_hex(o, "envelopes", s->m.envelopes, sizeof s->m.envelopes));
    TRY(json_get_text(o, "audit_head", BASE16_LEN(32), &head));
    if (head[0] != '\0') {
        TRY(base16_decode(head, strlen(head), s->m.audit_head, sizeof s->m.audit_head, &len));
        if (len != sizeof s->m.audit_head)
            return ERR_FORMAT;
        s->m.has_head = true;
    }
    enum err e = json_get_base64(o, "audit_word", s->word, sizeof s->word, &s->word_len);
    if (e != ERR_NOT_FOUND)
        TRY(e);
    e = json_get_hex(o, "last", s->last, sizeof s->last);
    s->brief = e == ERR_OK;
    if (e != ERR_NOT_FOUND)
        TRY(e);
    e = json_get_base64(o, "set", s->set, sizeof s->set, &len);
    s->m.has_set = e == ERR_OK;
    if (e != ERR_NOT_FOUND)
        TRY(e);
    if (s->m.has_set && len % 32 != 0)
        return ERR_FORMAT;
    if (s->m.has_set)
        s->m.set = (struct msg_blob){s->set, len};
    TRY(json_get_array(o, "records", MSG_RECORDS, &records));
    return read_records(s, records, c->body_len + 1);
}

static void add_hex(struct json_object *o, const char *name, const uint8_t *p, size_t len)
{
    char text[BASE16_LEN(32) + 1];
    base16_encode(p, len, text);
    json_object_object_add(o, name, json_object_new_string(text));
}

static void add_base64(struct json_object *array, const uint8_t *p, size_t len)
{
    char *text = malloc(BASE64_LEN(len) + 1);
    if (text == NULL)
        return;
    base64_encode(p, len, text);
    json_object_array_add(array, json_object_new_string(text));
    free(text);
}

static struct json_object *known_object(const struct msg_synced *m)
{
    if (!m->has_known)
        return NULL;
    struct json_object *o = json_object_new_object();
    add_hex(o, "incarnation", m->incarnation, sizeof m->incarnation);
    json_object_object_add(o, "sequence", json_object_new_int64((int64_t)m->sequence));
    add_hex(o, "name", m->name, sizeof m->name);
    return o;
}

static void add_base64_text(struct json_object *o, const char *name, struct msg_blob b)
{
    char *text = malloc(BASE64_LEN(b.len) + 1);
    if (text == NULL)
        return;
    base64_encode(b.p, b.len, text);
    json_object_object_add(o, name, json_object_new_string(text));
    free(text);
}

/* What few answers have. */
static void add_rare(struct json_object *o, const struct msg_synced *m, bool has_set)
{
    if (!m->match)
        add_hex(o, "envelopes", m->digest, sizeof m->digest);
    if (!m->match && !has_set)
        json_object_object_add(o, "want_set", json_object_new_boolean(true));
    if (has_set)
        add_base64_text(o, "missing", m->missing);
    if (m->certificate.len > 0)
        json_object_object_add(
            o, "certificate",
            json_object_new_string_len((const char *)m->certificate.p, (int)m->certificate.len));
}

/* A heartbeat is small: the signed word comes with the answers to records. */
static struct json_object *head_object(const struct msg_head *h, bool word)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "length", json_object_new_int64((int64_t)h->n));
    add_hex(o, "hash", h->hash, sizeof h->hash);
    if (word && h->word.len > 0)
        add_base64_text(o, "word", h->word);
    return o;
}

static struct json_object *commands_array(const struct msg_synced *m)
{
    struct json_object *a = json_object_new_array();
    for (unsigned i = 0; i < m->n_commands; i++)
        add_base64(a, m->command[i], COMMAND_LEN);
    return a;
}

static struct json_object *receipts_array(const struct msg_synced *m)
{
    struct json_object *a = json_object_new_array();
    if (m->receipt.len > 0)
        add_base64(a, m->receipt.p, m->receipt.len);
    return a;
}

/* Of what the device knows a brief answer says nothing: a heartbeat is small. */
static void add_common(struct json_object *o, const struct web *w, const struct sync *s,
                       const struct msg_synced *m)
{
    bool all = !s->brief;
    bool same_head = s->m.has_head && memcmp(s->m.audit_head, w->head.hash, sizeof s->m.audit_head) == 0;
    bool same_last = m->has_known && memcmp(m->name, s->last, sizeof s->last) == 0;
    if (all || m->receipt.len > 0)
        json_object_object_add(o, "receipts", receipts_array(m));
    if (all || m->n_commands > 0)
        json_object_object_add(o, "commands", commands_array(m));
    if (all || !same_last)
        json_object_object_add(o, "known", known_object(m));
    if (all || !same_head)
        json_object_object_add(o, "audit_head", head_object(&w->head, all || s->m.n > 0));
    if (all || !m->match)
        json_object_object_add(o, "envelopes_match", json_object_new_boolean(m->match));
}

static struct json_object *answer_object(const struct web *w, const struct sync *s,
                                         const struct msg_synced *m)
{
    struct json_object *o = json_object_new_object();
    bool want_word = s->head_is == HEARD_UNKNOWN && s->word_len == 0;
    uint64_t again = m->incomplete || want_word ? 60 : w->child.conf.sync_every_s;
    add_common(o, w, s, m);
    if (want_word)
        json_object_object_add(o, "want_audit_word", json_object_new_boolean(true));
    json_object_object_add(o, "retry_after", json_object_new_int64((int64_t)again));
    json_object_object_add(o, "time", json_object_new_int64((int64_t)time(NULL)));
    add_rare(o, m, s->m.has_set);
    return o;
}

static void on_synced(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    struct sync *s = c->state;
    struct msg_synced synced;
    char device[BASE16_LEN(32) + 1];
    c->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_synced(m->body, m->len, &synced);
    if (e != ERR_OK) /* whatever the store says, it is not the device's fault: come back */
        return call_failed(c, e == ERR_OFFLINE || e == ERR_TIMEOUT ? e : ERR_FULL, m);
    if (s->m.has_head) /* the vault has answered by now, as a rule */
        s->head_is = web_heads_get(c->web, s->m.audit_head);
    base16_encode(c->device, sizeof c->device, device);
    slog(SLOG_INFO, "sync", "status=200 device=%s records=%u commands=%u incomplete=%d match=%d", device,
         s->m.n, synced.n_commands, synced.incomplete, synced.match);
    call_json(c, answer_object(c->web, s, &synced));
}

static void on_device(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    struct sync *s = c->state;
    struct msg_device_is is;
    c->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_device_is(m->body, m->len, &is);
    if (e != ERR_OK)
        return call_failed(c, e, m);
    if (is.revoked || web_revoked(c->web, c->device))
        return call_problem(c, 403, 0, "This device was revoked.");
    if (!is.pinned)
        return call_problem(c, 403, 0, "The certificate is not the one that the device enrolled with last.");
    if (web_records_check(&s->m, is.spki, s->detail, sizeof s->detail) != ERR_OK)
        return call_problem(c, 422, 0, s->detail);
    if (s->m.has_head)
        web_heads_take(c->web, c->device, s->m.audit_head, (struct msg_blob){s->word, s->word_len});
    if (c->renew)
        s->m.renew = (struct msg_blob){c->courier_spki, sizeof c->courier_spki};
    struct writer *body = back_begin(c->web, BACK_WRITER, MSG_SYNC, on_synced, c, &c->waiting);
    if (body == NULL)
        return call_failed(c, ERR_OFFLINE, NULL);
    msg_put_sync(body, &s->m);
    back_send(c->web, BACK_WRITER);
}

static void ask_device(struct call *c)
{
    struct msg_device ask;
    memcpy(ask.device, c->device, sizeof ask.device);
    memcpy(ask.courier, c->courier_key, sizeof ask.courier);
    struct writer *body = back_begin(c->web, BACK_WRITER, MSG_DEVICE, on_device, c, &c->waiting);
    if (body == NULL)
        return call_failed(c, ERR_OFFLINE, NULL);
    msg_put_device(body, &ask);
    back_send(c->web, BACK_WRITER);
}

void web_sync(struct call *c)
{
    struct json_object *o = NULL;
    struct sync *s = calloc(1, sizeof *s);
    if (s == NULL)
        return call_problem(c, 503, 10, "The server has no memory for this now.");
    c->state = s;
    c->free_state = free_sync;
    if (json_strict_parse((const char *)c->body, c->body_len, &o) != ERR_OK)
        return call_problem(c, 400, 0, "The body is not one strict JSON object.");
    enum err e = read_request(c, s, o);
    json_object_put(o);
    if (e != ERR_OK)
        return call_problem(c, 422, 0, s->detail);
    if (memcmp(s->m.device, c->device, 32) != 0)
        return call_problem(c, 403, 0, "The certificate names another device than the body.");
    ask_device(c);
}
