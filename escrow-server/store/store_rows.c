/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_rows.h"
#include "crypto/hash.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* The key of the last row seen, or its number. */
struct row_key {
    uint8_t bytes[3][QUERY_TEXT];
    size_t len[3];
    uint64_t number[3];
    uint64_t row;
};

static void keep_key(const struct sql_table *t, const struct db_column *c, struct row_key *k)
{
    for (unsigned i = 0; i < t->n_key; i++) {
        k->number[i] = c[i].number;
        k->len[i] = c[i].len < QUERY_TEXT ? c[i].len : QUERY_TEXT;
        if (c[i].p != NULL)
            memcpy(k->bytes[i], c[i].p, k->len[i]);
    }
}

static bool is_numbered(const struct db *d, const struct sql_table *t)
{
    return d->ops->numbered && t->numbered != NULL;
}

static void bind(struct query *q, char kind, const void *p, size_t len, uint64_t number)
{
    if (kind == 'n') {
        query_u64(q, number);
        return;
    }
    query_blob(q, p, len);
    if (kind == 't' && p != NULL)
        q->param[q->n - 1].kind = QUERY_STRING;
}

/* Behind the last row. */
static void bind_key(struct query *q, const struct sql_table *t, const struct row_key *key)
{
    if (is_numbered(q->db, t)) {
        query_u64(q, key->row);
        return;
    }
    for (unsigned i = 0; q->which == SQL_FREE_2 && i < t->n_key; i++)
        bind(q, t->kinds[i], key->bytes[i], key->len[i], key->number[i]);
}

static enum err read_page(struct store *s, const struct sql_table *t, enum sql which, struct row_key *key,
                          unsigned *ret_n, row_visit *visit, void *ctx)
{
    struct db_column c[SQL_COLUMNS_MAX];
    enum err e;
    unsigned n = 0;
    QUERY(q, s, t->half, which, t->name);
    bind_key(&q, t, key);
    while ((e = query_row(&q)) == ERR_OK) {
        for (int i = 0; t->kinds[i] != '\0'; i++)
            q.db->ops->column(&q, i, &c[i]);
        keep_key(t, c, key);
        if (is_numbered(q.db, t))
            key->row = column_u64(&q, (int)strlen(t->kinds));
        TRY(visit(ctx, c));
        n++;
    }
    *ret_n = n;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err store_each(struct store *s, const struct sql_table *t, row_visit *visit, void *ctx)
{
    struct db *d = s->db[t->half];
    struct row_key key = {.row = 0}; /* numbers begin with 1 */
    unsigned n = 0;
    TRY(d->ops->prepare(d, SQL_FREE_1, is_numbered(d, t) ? t->numbered : t->first));
    TRY(d->ops->prepare(d, SQL_FREE_2, is_numbered(d, t) ? t->numbered : t->next));
    TRY(read_page(s, t, SQL_FREE_1, &key, &n, visit, ctx));
    while (n == SQL_PAGE)
        TRY(read_page(s, t, SQL_FREE_2, &key, &n, visit, ctx));
    return ERR_OK;
}

/* Sums. */

struct summing {
    const struct sql_table *t;
    struct table_sum sum;
    uint8_t row[SQL_COLUMNS_MAX * (QUERY_TEXT + 16) + RECORD_MAX];
};

static enum err append(struct summing *s, size_t *len, const void *p, size_t n)
{
    if (sizeof s->row - *len < n)
        return ERR_RANGE;
    if (n > 0)
        memcpy(s->row + *len, p, n);
    *len += n;
    return ERR_OK;
}

/* Kind, length and bytes; a text as PostgreSQL would have it. */
static enum err append_column(struct summing *s, size_t *len, char kind, const struct db_column *c)
{
    char scratch[QUERY_TEXT];
    size_t n = c->len;
    const void *p = c->p;
    uint64_t number = htobe64(c->number), size;
    if (kind == 'n' && !c->null) {
        p = &number;
        n = sizeof number;
    }
    if (kind == 't' && !c->null)
        p = query_utf8(p, &n, scratch);
    size = htobe64(c->null ? UINT64_MAX : n);
    TRY(append(s, len, &size, sizeof size));
    return append(s, len, p, c->null ? 0 : n);
}

static void add_digest(uint8_t sum[static 32], const uint8_t row[static 32])
{
    unsigned carry = 0;
    for (int i = 31; i >= 0; i--) {
        carry += (unsigned)sum[i] + row[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static enum err sum_row(void *ctx, const struct db_column *c)
{
    struct summing *s = ctx;
    uint8_t hash[32];
    size_t len = 0;
    for (unsigned i = 0; s->t->kinds[i] != '\0'; i++)
        TRY(append_column(s, &len, s->t->kinds[i], &c[i]));
    TRY(cr_sha256(s->row, len, hash));
    add_digest(s->sum.digest, hash);
    s->sum.rows++;
    return ERR_OK;
}

enum err store_sum(struct store *s, const struct sql_table *t, struct table_sum *ret)
{
    struct summing summing = {.t = t};
    TRY(store_each(s, t, sum_row, &summing));
    *ret = summing.sum;
    return ERR_OK;
}

/* Copies. */

struct copying {
    struct store *to;
    const struct sql_table *t;
    unsigned n; /* rows since the last commit */
};

static enum err commit(struct copying *c)
{
    bool replicated;
    if (c->n == 0)
        return ERR_OK;
    c->n = 0;
    return store_sql.commit(c->to, c->t->half, &replicated);
}

/* Where there are months: that of the row. */
static enum err make_month(const struct copying *c, const struct db_column *column)
{
    if (c->t != &sql_tables[TABLE_COMPLIANCE_RECORDS] && c->t != &sql_tables[TABLE_EVENTS])
        return ERR_OK;
    QUERY(q, c->to, c->t->half, SQL_MONTHS, "months");
    query_u64(&q, column[1].number); /* received_us */
    return query_run(&q);
}

static enum err copy_row(void *ctx, const struct db_column *column)
{
    struct copying *c = ctx;
    if (c->n == 0)
        TRY(store_sql.begin(c->to, c->t->half));
    TRY(make_month(c, column));
    QUERY(q, c->to, c->t->half, SQL_FREE_3, c->t->name);
    for (unsigned i = 0; c->t->kinds[i] != '\0'; i++)
        if (column[i].null)
            query_blob(&q, NULL, 0);
        else
            bind(&q, c->t->kinds[i], column[i].p, column[i].len, column[i].number);
    TRY(query_run(&q));
    return ++c->n == SQL_PAGE ? commit(c) : ERR_OK;
}

enum err store_copy(struct store *from, struct store *to, const struct sql_table *t)
{
    struct copying c = {.to = to, .t = t};
    TRY(to->db[t->half]->ops->prepare(to->db[t->half], SQL_FREE_3, t->add));
    enum err e = store_each(from, t, copy_row, &c);
    if (e == ERR_OK)
        e = commit(&c);
    if (e != ERR_OK)
        store_sql.abandon(to, t->half);
    return e;
}
