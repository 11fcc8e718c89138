/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"
#include <stdio.h>
#include <string.h>

void query_end(struct query *q)
{
    q->db->ops->end(q);
}

/* Which parameters a statement has is fixed by our own code: one too many is a defect that a test shows, and
 * the statement then fails for want of a parameter. */
static struct query_param *next(struct query *q, enum query_kind kind)
{
    static struct query_param none;
    struct query_param *p = q->n < QUERY_PARAMS ? &q->param[q->n++] : &none;
    p->kind = kind;
    return p;
}

void query_blob(struct query *q, const void *p, size_t len)
{
    struct query_param *param = next(q, p == NULL ? QUERY_NULL : QUERY_BLOB);
    param->p = p;
    param->len = len;
}

void query_u64(struct query *q, uint64_t v)
{
    next(q, QUERY_U64)->number = v;
}

void query_text(struct query *q, const char *text)
{
    struct query_param *param = next(q, QUERY_STRING);
    param->p = text;
    param->len = strlen(text);
}

static void own_text(struct query *q, const char *text, const char *end)
{
    struct query_param *param = next(q, QUERY_STRING);
    snprintf(param->own, sizeof param->own, "%s%s", text, end);
    param->p = param->own;
    param->len = strlen(param->own);
}

void query_guid(struct query *q, const struct guid *g)
{
    char text[GUID_TEXT];
    guid_encode(g, text);
    own_text(q, text, "");
}

/* The range of texts that begin with a prefix: [prefix, prefix with a character behind all of a GUID's). */
void query_prefix(struct query *q, const char *prefix)
{
    own_text(q, prefix, "");
    own_text(q, prefix, "~");
}

static bool is_utf8(const uint8_t *p, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t v = p[i] < 0x80 ? p[i] : p[i] < 0xe0 ? p[i] & 0x1fu : p[i] < 0xf0 ? p[i] & 0xfu : p[i] & 7u;
        n = p[i] < 0x80 ? 1 : p[i] < 0xc2 ? 0 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : p[i] < 0xf5 ? 4 : 0;
        if (n == 0 || p[i] == 0 || len - i < n)
            return false;
        for (size_t k = 1; k < n; k++) {
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
            v = v << 6 | (p[i + k] & 0x3fu);
        }
        if ((n == 3 && v < 0x800) || (n == 4 && (v < 0x10000 || v > 0x10ffff)) || (v >= 0xd800 && v < 0xe000))
            return false;
    }
    return true;
}

const void *query_utf8(const void *p, size_t *len, char scratch[static QUERY_TEXT])
{
    const uint8_t *bytes = p;
    if (is_utf8(bytes, *len))
        return p;
    if (*len > QUERY_TEXT)
        *len = QUERY_TEXT;
    for (size_t i = 0; i < *len; i++)
        scratch[i] = bytes[i] >= 0x80 || bytes[i] == 0 ? '?' : (char)bytes[i];
    return scratch;
}

enum err query_run(struct query *q)
{
    return q->db->ops->run(q, NULL);
}

enum err query_changed(struct query *q, uint64_t *ret_changed)
{
    return q->db->ops->run(q, ret_changed);
}

enum err query_row(struct query *q)
{
    return q->db->ops->row(q);
}

enum err query_any(struct query *q, bool *ret)
{
    enum err e = query_row(q);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_OK;
    return ERR_OK;
}

enum err column_blob(const struct query *q, int column, uint8_t *ret, size_t len)
{
    struct db_column c;
    q->db->ops->column(q, column, &c);
    if (c.p == NULL || c.len != len)
        return ERR_FORMAT;
    memcpy(ret, c.p, len);
    return ERR_OK;
}

void column_text(const struct query *q, int column, char *ret, size_t cap)
{
    struct db_column c;
    q->db->ops->column(q, column, &c);
    size_t len = c.p == NULL ? 0 : c.len < cap ? c.len : cap - 1;
    if (len > 0)
        memcpy(ret, c.p, len);
    ret[len] = '\0';
}

uint64_t column_u64(const struct query *q, int column)
{
    struct db_column c;
    q->db->ops->column(q, column, &c);
    return c.number;
}
