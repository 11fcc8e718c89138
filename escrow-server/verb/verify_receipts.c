/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/verify_receipts.h"
#include "crypto/host/file.h"
#include "formats/outbox_answer.h"
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX (64u << 20)

struct reading {
    struct store_check *check;
    const char *path;
};

static void wrong(struct reading *r, const char *what)
{
    r->check->say(what, r->path);
    r->check->n_wrong++;
}

static enum err check_all(struct reading *r, const struct outbox_bytes *receipt, unsigned n,
                          const struct store_kept *kept)
{
    for (unsigned i = 0; i < n; i++) {
        enum err e = store_check_receipt(r->check, receipt[i].p, receipt[i].len, kept);
        if (e == ERR_AUTH)
            wrong(r, "a receipt that no receipt key of this organisation signed");
        else if (e == ERR_FORMAT || e == ERR_VERSION || e == ERR_TRUNCATED)
            wrong(r, "a receipt that cannot be read");
        else
            TRY(e);
    }
    return ERR_OK;
}

/* The records that come again are in the outbox, behind the receipts that they had. */
static enum err check_outbox(struct reading *r, const struct outbox *o)
{
    static uint8_t name[OUTBOX_RECORDS][32];
    struct store_kept kept = {.name = name};
    struct record record;
    for (unsigned i = 0; i < o->n; i++)
        if (record_decode(o->record[i].p, o->record[i].len, &record) == ERR_OK &&
            record.kind != RECORD_REPORT && record.kind != RECORD_EVENT &&
            record_name(o->record[i].p, o->record[i].len, name[kept.n]) == ERR_OK)
            kept.n++;
    return check_all(r, o->proof, o->n_proofs, &kept);
}

/* What begins here, an answer or an outbox. ret_len: 0 where it is neither, or not whole */
static enum err check_one(struct reading *r, const uint8_t *p, size_t len, size_t *ret_len)
{
    static const struct store_kept unknown;
    static struct outbox_answer answer;
    static struct outbox outbox;
    if (outbox_answer_length(p, len, ret_len) == ERR_OK && *ret_len <= len &&
        outbox_answer_decode(p, *ret_len, &answer) == ERR_OK)
        return check_all(r, answer.receipt, answer.n_receipts, &unknown);
    if (outbox_length(p, len, ret_len) == ERR_OK && *ret_len <= len &&
        outbox_decode(p, *ret_len, &outbox) == ERR_OK)
        return check_outbox(r, &outbox);
    *ret_len = 0;
    return ERR_OK;
}

static enum err check_file(struct reading *r)
{
    uint8_t *p = NULL;
    size_t len = 0, n = 0;
    enum err e = file_read(r->path, FILE_MAX, &p, &len);
    if (e != ERR_OK) {
        wrong(r, err_text(e));
        return ERR_OK;
    }
    for (size_t off = 0; e == ERR_OK && (off < len || off == 0); off += n) {
        e = check_one(r, p + off, len - off, &n);
        if (e == ERR_OK && n == 0) {
            wrong(r, "neither an outbox nor an answer to one, or not whole");
            break;
        }
    }
    free(p);
    return e;
}

enum err verify_receipts(struct store_check *c, const char *const *path, unsigned n)
{
    if (n > 0)
        TRY(store_check_receipts(c));
    for (unsigned i = 0; i < n; i++)
        TRY(check_file(&(struct reading){.check = c, .path = path[i]}));
    return ERR_OK;
}
