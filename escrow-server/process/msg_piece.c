/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/msg_piece.h"
#include <string.h>

void msg_put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    writer_u16(w, (uint16_t)len);
    writer_bytes(w, text, len);
}

static void fail(struct reader *r, enum err e)
{
    if (r->err == ERR_OK)
        r->err = e;
}

void msg_get_text(struct reader *r, char *ret, size_t cap)
{
    size_t len = reader_u16(r);
    if (len >= cap) {
        fail(r, ERR_RANGE);
        len = 0;
    }
    reader_bytes(r, ret, len);
    ret[len] = '\0';
    if (strlen(ret) != len)
        fail(r, ERR_FORMAT);
}

void msg_put_blob(struct writer *w, const struct msg_blob *b)
{
    writer_u32(w, (uint32_t)b->len);
    writer_bytes(w, b->p, b->len);
}

void msg_get_blob(struct reader *r, struct msg_blob *ret)
{
    ret->len = reader_u32(r);
    ret->p = reader_take(r, ret->len);
    if (ret->p == NULL)
        ret->len = 0;
}

bool msg_get_bool(struct reader *r)
{
    uint8_t v = reader_u8(r);
    if (v > 1)
        fail(r, ERR_FORMAT);
    return v == 1;
}

unsigned msg_get_count(struct reader *r, unsigned max)
{
    unsigned n = reader_u16(r);
    if (n > max) {
        fail(r, ERR_RANGE);
        return 0;
    }
    return n;
}
