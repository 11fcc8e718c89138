/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/msg.h"
#include "crypto/cursor.h"
#include "crypto/secret.h"
#include <stdlib.h>
#include <string.h>

enum field_kind { FIELD_U32 = 1, FIELD_U64, FIELD_SPAN, FIELD_LIST };

struct field {
    uint8_t kind; /* enum field_kind; 0 ends the row */
    uint16_t off; /* in struct msg */
};

#define FIELDS_MAX 26

struct layout {
    uint16_t type;
    struct field field[FIELDS_MAX];
};

#define U32(f)                                                                                               \
    {                                                                                                        \
        FIELD_U32, offsetof(struct msg, f)                                                                   \
    }
#define U64(f)                                                                                               \
    {                                                                                                        \
        FIELD_U64, offsetof(struct msg, f)                                                                   \
    }
#define SPAN(f)                                                                                              \
    {                                                                                                        \
        FIELD_SPAN, offsetof(struct msg, f)                                                                  \
    }
#define LIST(f)                                                                                              \
    {                                                                                                        \
        FIELD_LIST, offsetof(struct msg, f)                                                                  \
    }

/* The wire layout of every message; encode and decode both walk this table, so they cannot differ. */
static const struct layout layouts[] = {
    {MSG_ENROLL,
     {SPAN(enroll.org), SPAN(enroll.sig), SPAN(enroll.root), SPAN(enroll.token), SPAN(enroll.policy),
      SPAN(enroll.policy_sig)}},
    {MSG_PROTECT, {SPAN(protect.device), SPAN(protect.passphrase), U32(protect.flags)}},
    {MSG_STATUS, {{0}}},
    {MSG_ROTATE, {SPAN(rotate.device), SPAN(rotate.passphrase), U32(rotate.flags)}},
    {MSG_SYNC, {{0}}},
    {MSG_VERIFY, {SPAN(verify.device)}},
    {MSG_EXPORT, {{0}}},
    {MSG_IMPORT, {SPAN(import.bytes)}},
    {MSG_PROGRESS, {SPAN(progress.text), U32(progress.step)}},
    {MSG_PIECE, {SPAN(piece.bytes)}},
    {MSG_RESULT, {U32(result.exit_code), SPAN(result.text), SPAN(result.json)}},
    {MSG_CSR_WANTED, {SPAN(csr_wanted.device)}},
    {MSG_ENROLL_DO,
     {LIST(enroll_do.servers), SPAN(enroll_do.ca), SPAN(enroll_do.csr), SPAN(enroll_do.token),
      SPAN(enroll_do.spki), SPAN(enroll_do.computer), U64(enroll_do.time), SPAN(enroll_do.signature),
      SPAN(enroll_do.proxy), SPAN(enroll_do.no_proxy)}},
    {MSG_SYNC_BATCH,
     {LIST(sync_batch.servers), SPAN(sync_batch.ca), SPAN(sync_batch.device), LIST(sync_batch.records),
      SPAN(sync_batch.envelopes), SPAN(sync_batch.audit_head), SPAN(sync_batch.set), SPAN(sync_batch.proxy),
      SPAN(sync_batch.no_proxy), U64(sync_batch.policy), SPAN(sync_batch.last), SPAN(sync_batch.packages),
      SPAN(sync_batch.package_set), SPAN(sync_batch.audit_word), U64(sync_batch.attempt),
      SPAN(sync_batch.spki), LIST(sync_batch.proofs)}},
    {MSG_SYNC_NOW, {U32(sync_now.person)}},
    {MSG_CERTIFICATE, {SPAN(certificate.pem)}},
    {MSG_IDLE, {{0}}},
    {MSG_CSR, {SPAN(csr.pem)}},
    {MSG_ENROLLED, {U32(enrolled.status), SPAN(enrolled.certificate), SPAN(enrolled.problem)}},
    {MSG_BATCH_WANTED, {{0}}},
    {MSG_SYNC_ANSWER,
     {U32(sync_answer.status),
      SPAN(sync_answer.problem),
      LIST(sync_answer.receipts),
      LIST(sync_answer.commands),
      U64(sync_answer.audit_length),
      SPAN(sync_answer.audit_hash),
      SPAN(sync_answer.known_incarnation),
      U64(sync_answer.known_sequence),
      SPAN(sync_answer.known_name),
      U32(sync_answer.envelopes_match),
      U64(sync_answer.retry_after_s),
      U64(sync_answer.time),
      U32(sync_answer.want_set),
      SPAN(sync_answer.server_envelopes),
      U32(sync_answer.has_missing),
      SPAN(sync_answer.missing),
      SPAN(sync_answer.certificate),
      SPAN(sync_answer.policy),
      SPAN(sync_answer.policy_sig),
      U32(sync_answer.want_packages),
      SPAN(sync_answer.server_packages),
      U32(sync_answer.has_missing_packages),
      SPAN(sync_answer.missing_packages),
      SPAN(sync_answer.audit_word),
      U32(sync_answer.want_audit_word),
      SPAN(sync_answer.audit_chain)}},
    {MSG_CERTIFICATE_KEPT, {U32(certificate_kept.status), SPAN(certificate_kept.problem)}},
    {MSG_SERVER_SAID, {SPAN(server_said.server), U32(server_said.status), U64(server_said.retry_after_s)}},
    {MSG_PROBE, {SPAN(probe.device), U32(probe.flags)}},
    {MSG_PROBED, {SPAN(probed.json)}},
};

static const struct layout *find(uint16_t type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (layouts[i].type == type)
            return &layouts[i];
    return NULL;
}

static const void *at(const struct msg *m, struct field f)
{
    return (const uint8_t *)m + f.off;
}

static size_t field_len(const struct msg *m, struct field f)
{
    const struct msg_list *list = at(m, f);
    const struct msg_span *span = at(m, f);
    size_t len = 4;

    switch (f.kind) {
    case FIELD_U32:
        return 4;
    case FIELD_U64:
        return 8;
    case FIELD_SPAN:
        return 4 + span->len;
    case FIELD_LIST:
        for (uint32_t i = 0; i < list->n && i < MSG_LIST_MAX; i++)
            len += 4 + list->item[i].len;
        return len;
    default:
        return 0;
    }
}

static void put_span(struct writer *w, struct msg_span s)
{
    writer_u32(w, (uint32_t)s.len);
    writer_bytes(w, s.p, s.len);
}

static void put(struct writer *w, const struct msg *m, struct field f)
{
    const struct msg_list *list = at(m, f);
    uint32_t v32;
    uint64_t v64;

    switch (f.kind) {
    case FIELD_U32:
        memcpy(&v32, at(m, f), sizeof v32);
        writer_u32(w, v32);
        break;
    case FIELD_U64:
        memcpy(&v64, at(m, f), sizeof v64);
        writer_u64(w, v64);
        break;
    case FIELD_SPAN:
        put_span(w, *(const struct msg_span *)at(m, f));
        break;
    case FIELD_LIST:
        writer_u32(w, list->n);
        for (uint32_t i = 0; i < list->n; i++)
            put_span(w, list->item[i]);
        break;
    default:
        break;
    }
}

enum err msg_encode(const struct msg *m, uint8_t **ret, size_t *ret_len)
{
    const struct layout *l = find(m->type);
    if (!l)
        return ERR_RANGE;
    size_t len = MSG_FRAME_HEAD;
    for (size_t i = 0; i < FIELDS_MAX && l->field[i].kind; i++) {
        if (l->field[i].kind == FIELD_LIST && ((const struct msg_list *)at(m, l->field[i]))->n > MSG_LIST_MAX)
            return ERR_RANGE;
        size_t add = field_len(m, l->field[i]);
        if (add > MSG_FRAME_MAX || len + add > MSG_FRAME_MAX)
            return ERR_RANGE;
        len += add;
    }
    uint8_t *p = malloc(len);
    if (!p)
        return ERR_NOMEM;
    struct writer w;
    writer_init(&w, p, len);
    writer_u32(&w, (uint32_t)(len - 4));
    writer_u16(&w, m->type);
    for (size_t i = 0; i < FIELDS_MAX && l->field[i].kind; i++)
        put(&w, m, l->field[i]);
    size_t written;
    enum err e = writer_end(&w, &written);
    if (e == ERR_OK && written != len)
        e = ERR_INTERNAL;
    if (e != ERR_OK) {
        cr_wipe(p, len);
        free(p);
        return e;
    }
    *ret = p;
    *ret_len = len;
    return ERR_OK;
}

static struct msg_span take_span(struct reader *r)
{
    uint32_t len = reader_u32(r);
    const uint8_t *p = reader_take(r, len);
    return (struct msg_span){p, p ? len : 0};
}

static enum err take(struct reader *r, struct msg *m, struct field f)
{
    uint8_t *to = (uint8_t *)m + f.off;
    struct msg_span s;
    uint32_t n;
    uint64_t v64;

    switch (f.kind) {
    case FIELD_U32:
        n = reader_u32(r);
        memcpy(to, &n, sizeof n);
        return r->err;
    case FIELD_U64:
        v64 = reader_u64(r);
        memcpy(to, &v64, sizeof v64);
        return r->err;
    case FIELD_SPAN:
        s = take_span(r);
        memcpy(to, &s, sizeof s);
        return r->err;
    default:
        break;
    }
    n = reader_u32(r);
    if (n > MSG_LIST_MAX)
        return ERR_RANGE;
    memcpy(to + offsetof(struct msg_list, n), &n, sizeof n);
    for (uint32_t i = 0; i < n; i++) {
        s = take_span(r);
        memcpy(to + offsetof(struct msg_list, item) + i * sizeof s, &s, sizeof s);
    }
    return r->err;
}

enum err msg_decode(const uint8_t *in, size_t len, struct msg *ret)
{
    struct reader r;
    reader_init(&r, in, len);
    struct msg m = {.type = reader_u16(&r)};
    if (r.err != ERR_OK)
        return r.err;
    const struct layout *l = find(m.type);
    if (!l)
        return ERR_UNSUPPORTED;
    for (size_t i = 0; i < FIELDS_MAX && l->field[i].kind; i++)
        TRY(take(&r, &m, l->field[i]));
    TRY(reader_end(&r));
    *ret = m;
    return ERR_OK;
}

struct msg_span msg_text(const char *text)
{
    return (struct msg_span){(const uint8_t *)text, strlen(text)};
}

enum err msg_text_copy(struct msg_span s, char *ret, size_t cap)
{
    if (s.len >= cap)
        return ERR_RANGE;
    if (s.len && memchr(s.p, 0, s.len))
        return ERR_FORMAT;
    if (s.len)
        memcpy(ret, s.p, s.len);
    ret[s.len] = 0;
    return ERR_OK;
}
