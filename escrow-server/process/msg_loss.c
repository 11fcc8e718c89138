/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/msg_piece.h"

/* Losses of the audit log, from the vault to the web workers and on to the writer. */

void msg_put_losses(struct writer *w, const struct msg_losses *m)
{
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++) {
        const struct msg_loss *l = &m->item[i];
        writer_u64(w, l->n);
        writer_u64(w, l->proved);
        writer_u64(w, l->mark);
        writer_u64(w, l->lost);
        writer_u64(w, l->have);
        writer_u64(w, l->from);
        writer_u64(w, l->to);
        writer_u64(w, l->until);
        writer_u64(w, l->acknowledged);
        writer_u8(w, l->stopped);
        writer_u64(w, l->rotate_from);
        writer_u64(w, l->rotate_until);
    }
}

void msg_get_some_losses(struct reader *r, struct msg_losses *ret)
{
    ret->n = msg_get_count(r, MSG_LOSSES_MAX);
    for (unsigned i = 0; i < ret->n; i++) {
        struct msg_loss *l = &ret->item[i];
        l->n = reader_u64(r);
        l->proved = reader_u64(r);
        l->mark = reader_u64(r);
        l->lost = reader_u64(r);
        l->have = reader_u64(r);
        l->from = reader_u64(r);
        l->to = reader_u64(r);
        l->until = reader_u64(r);
        l->acknowledged = reader_u64(r);
        l->stopped = msg_get_bool(r);
        l->rotate_from = reader_u64(r);
        l->rotate_until = reader_u64(r);
    }
}

enum err msg_get_losses(const uint8_t *p, size_t len, struct msg_losses *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_some_losses(&r, ret);
    return reader_end(&r);
}

void msg_put_taken_back(struct writer *w, const struct msg_taken_back *m)
{
    writer_u64(w, m->n);
    writer_u64(w, m->gone);
    writer_u64(w, m->alien);
    writer_u8(w, m->more);
}

enum err msg_get_taken_back(const uint8_t *p, size_t len, struct msg_taken_back *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = reader_u64(&r);
    ret->gone = reader_u64(&r);
    ret->alien = reader_u64(&r);
    ret->more = msg_get_bool(&r);
    return reader_end(&r);
}

void msg_put_loss_word(struct writer *w, const struct msg_loss_word *m)
{
    msg_put_text(w, m->who);
    msg_put_blob(w, &m->password);
    msg_put_text(w, m->code);
    msg_put_text(w, m->reason);
    writer_u8(w, m->word);
    writer_u64(w, m->n);
    writer_u64(w, m->from);
    writer_u64(w, m->until);
}

enum err msg_get_loss_word(const uint8_t *p, size_t len, struct msg_loss_word *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_text(&r, ret->who, sizeof ret->who);
    msg_get_blob(&r, &ret->password);
    msg_get_text(&r, ret->code, sizeof ret->code);
    msg_get_text(&r, ret->reason, sizeof ret->reason);
    ret->word = reader_u8(&r);
    ret->n = reader_u64(&r);
    ret->from = reader_u64(&r);
    ret->until = reader_u64(&r);
    TRY(reader_end(&r));
    return ret->word >= LOSS_ACKNOWLEDGE && ret->word <= LOSS_NARROW ? ERR_OK : ERR_FORMAT;
}
