/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/sync_answer.h"
#include "formats/audit_head.h"
#include "formats/base.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes: a heartbeat is small, and these only have to be told from others. source: docs/formats.md#sync */
#define CHAIN_TOLD 4
#define BEGIN_TOLD 8

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
    add_hex(o, "incarnation", m->incarnation, BEGIN_TOLD);
    json_object_object_add(o, "sequence", json_object_new_int64((int64_t)m->sequence));
    add_hex(o, "name", m->name, BEGIN_TOLD);
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

static void add_packages(struct json_object *o, const struct msg_synced *m, bool has_set, struct web *w)
{
    struct json_object *p = json_object_new_object();
    json_object_object_add(o, "packages", p);
    if (!m->packages_match)
        add_hex(p, "digest", m->packages, BEGIN_TOLD);
    if (!m->packages_match && !has_set && web_may_ask(w))
        json_object_object_add(p, "want_set", json_object_new_boolean(true));
    if (has_set)
        add_base64_text(p, "missing", m->missing_packages);
}

static void add_policy(struct json_object *o, const struct web *w, uint64_t has)
{
    if (w->policy == NULL || w->policy->policy.version <= has)
        return;
    struct json_object *p = json_object_new_object();
    json_object_object_add(p, "json", json_object_new_string(w->policy->json));
    json_object_object_add(p, "sig", json_object_new_string(w->policy->sig));
    json_object_object_add(o, "policy", p);
}

/* What few answers have. */
static void add_rare(struct json_object *o, const struct msg_synced *m, bool has_set, struct web *w)
{
    if (!m->match)
        add_hex(o, "envelopes", m->digest, BEGIN_TOLD);
    if (!m->match && !has_set && web_may_ask(w))
        json_object_object_add(o, "want_set", json_object_new_boolean(true));
    if (has_set)
        add_base64_text(o, "missing", m->missing);
    if (m->certificate.len > 0)
        json_object_object_add(
            o, "certificate",
            json_object_new_string_len((const char *)m->certificate.p, (int)m->certificate.len));
}

/* A heartbeat is small: the signed word comes with the answers to records, and of which chain this is, only
 * who brings another one needs to know. */
static struct json_object *head_object(const struct msg_head *h, bool word, bool same_chain)
{
    uint8_t chain[16];
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "length", json_object_new_int64((int64_t)h->n));
    add_hex(o, "hash", h->hash, sizeof h->hash);
    if (word && h->word.len > 0)
        add_base64_text(o, "word", h->word);
    else if (!same_chain && audit_head_chain(h->word.p, h->word.len, chain) == ERR_OK)
        add_hex(o, "chain", chain, CHAIN_TOLD);
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
    /* a heartbeat that told the head had no word: who brings records gets both, or could prove no loss */
    if (all || !same_head || s->m.n > 0)
        json_object_object_add(o, "audit_head",
                               head_object(&w->head, all || s->m.n > 0, s->head_is == HEARD_KNOWN));
    if (all) /* of those that differ the digest is told */
        json_object_object_add(o, "envelopes_match", json_object_new_boolean(m->match));
}

struct json_object *sync_answer(struct web *w, const struct sync *s, const struct msg_synced *m)
{
    struct json_object *o = json_object_new_object();
    bool want_word = s->head_is == HEARD_UNKNOWN && s->word_len == 0;
    uint64_t again = m->incomplete || want_word ? 60 : w->child.conf.sync_every_s;
    add_common(o, w, s, m);
    if (want_word)
        json_object_object_add(o, "want_audit_word", json_object_new_boolean(true));
    json_object_object_add(o, "retry_after", json_object_new_int64((int64_t)again));
    if (!s->brief) /* its Date says the same */
        json_object_object_add(o, "time", json_object_new_int64((int64_t)time(NULL)));
    add_rare(o, m, s->m.has_set, w);
    if (!m->packages_match || s->m.has_package_set)
        add_packages(o, m, s->m.has_package_set, w);
    add_policy(o, w, s->policy);
    return o;
}

/* It said what the writer expects of it. NULL: no memory */
static char *make_nothing(struct web *w, const struct sync *s)
{
    struct msg_synced m = {.has_known = true, .match = true, .packages_match = true};
    memcpy(m.name, s->last, sizeof s->last);
    struct json_object *o = sync_answer(w, s, &m);
    const char *text = o == NULL ? NULL : json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    char *copy = text == NULL ? NULL : strdup(text);
    json_object_put(o);
    return copy;
}

const char *sync_answer_nothing(struct web *w, const struct sync *s)
{
    bool newest = s->m.has_head && memcmp(s->m.audit_head, w->head.hash, sizeof s->m.audit_head) == 0;
    char **text = &w->nothing[newest ? 0 : s->m.has_head ? 1 : 2];
    if (*text == NULL)
        *text = make_nothing(w, s);
    return *text;
}

void sync_answers_forget(struct web *w)
{
    for (unsigned i = 0; i < sizeof w->nothing / sizeof w->nothing[0]; i++) {
        free(w->nothing[i]);
        w->nothing[i] = NULL;
    }
}
