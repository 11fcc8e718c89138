/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/outbox_answer.h"
#include "crypto/cursor.h"
#include "formats/command.h"
#include <string.h>

_Static_assert(OUTBOX_ANSWER_COMMAND == COMMAND_LEN, "docs/formats.md#command");

#define VERSION 2 /* 1: without attempt */

enum flag { FLAG_KNOWN = 1, FLAG_MATCH = 2, FLAG_HEAD = 4, FLAG_ALL = 7 };

enum err outbox_answer_length(const uint8_t *in, size_t len, size_t *ret)
{
    struct reader r;
    reader_init(&r, in, len);
    reader_expect(&r, "KHY", 3);
    uint8_t version = reader_u8(&r);
    uint32_t n = reader_u32(&r);
    TRY(r.err);
    if (version < 1 || version > VERSION)
        return ERR_VERSION;
    if (n > OUTBOX_ANSWER_MAX)
        return ERR_RANGE;
    *ret = n;
    return ERR_OK;
}

static bool is_bounded(const struct outbox_answer *a)
{
    for (unsigned i = 0; i < a->n_receipts && i < OUTBOX_ANSWER_RECEIPTS; i++)
        if (a->receipt[i].len > RECEIPT_MAX)
            return false;
    for (unsigned i = 0; i < a->n_commands && i < OUTBOX_ANSWER_COMMANDS; i++)
        if (a->command[i].len != OUTBOX_ANSWER_COMMAND)
            return false;
    return a->n_receipts <= OUTBOX_ANSWER_RECEIPTS && a->n_commands <= OUTBOX_ANSWER_COMMANDS &&
           a->certificate.len <= OUTBOX_ANSWER_PEM_MAX && a->missing.len % 32 == 0 &&
           a->missing.len <= 32 * OUTBOX_SET;
}

static void write_lists(struct writer *w, const struct outbox_answer *a)
{
    writer_u16(w, (uint16_t)a->certificate.len);
    writer_bytes(w, a->certificate.p, a->certificate.len);
    writer_u8(w, (uint8_t)a->n_receipts);
    for (unsigned i = 0; i < a->n_receipts; i++) {
        writer_u32(w, (uint32_t)a->receipt[i].len);
        writer_bytes(w, a->receipt[i].p, a->receipt[i].len);
    }
    writer_u8(w, (uint8_t)a->n_commands);
    for (unsigned i = 0; i < a->n_commands; i++)
        writer_bytes(w, a->command[i].p, OUTBOX_ANSWER_COMMAND);
    writer_u16(w, (uint16_t)(a->missing.len / 32));
    writer_bytes(w, a->missing.p, a->missing.len);
}

enum err outbox_answer_encode(const struct outbox_answer *a, uint8_t *ret, size_t *ret_len)
{
    struct writer w, length;
    size_t len;
    if (!is_bounded(a))
        return ERR_RANGE;
    writer_init(&w, ret, OUTBOX_ANSWER_MAX);
    writer_bytes(&w, a->attempt ? "KHY\2\0\0\0\0" : "KHY\1\0\0\0\0", 8);
    writer_u8(&w, (uint8_t)((a->has_known ? FLAG_KNOWN : 0) | (a->match ? FLAG_MATCH : 0) |
                            (a->has_head ? FLAG_HEAD : 0)));
    writer_bytes(&w, "\0\0", 3);
    writer_bytes(&w, a->org.bytes, 16);
    writer_bytes(&w, a->device, sizeof a->device);
    writer_u64(&w, a->time);
    writer_u64(&w, a->audit_length);
    writer_bytes(&w, a->audit_hash, sizeof a->audit_hash);
    writer_bytes(&w, a->incarnation, sizeof a->incarnation);
    writer_u64(&w, a->sequence);
    writer_bytes(&w, a->name, sizeof a->name);
    writer_bytes(&w, a->envelopes, sizeof a->envelopes);
    if (a->attempt)
        writer_u32(&w, a->attempt);
    write_lists(&w, a);
    TRY(writer_end(&w, &len));
    writer_init(&length, ret + 4, 4);
    writer_u32(&length, (uint32_t)len);
    *ret_len = len;
    return length.err;
}

static enum err take_lists(struct reader *r, struct outbox_answer *a)
{
    a->certificate.len = reader_u16(r);
    a->certificate.p = reader_take(r, a->certificate.len);
    a->n_receipts = reader_u8(r);
    if (a->certificate.len > OUTBOX_ANSWER_PEM_MAX || a->n_receipts > OUTBOX_ANSWER_RECEIPTS)
        return ERR_RANGE;
    for (unsigned i = 0; i < a->n_receipts; i++) {
        size_t len = reader_u32(r);
        if (len > RECEIPT_MAX)
            return ERR_RANGE;
        a->receipt[i] = (struct outbox_bytes){reader_take(r, len), len};
    }
    a->n_commands = reader_u8(r);
    if (a->n_commands > OUTBOX_ANSWER_COMMANDS)
        return ERR_RANGE;
    for (unsigned i = 0; i < a->n_commands; i++)
        a->command[i] = (struct outbox_bytes){reader_take(r, OUTBOX_ANSWER_COMMAND), OUTBOX_ANSWER_COMMAND};
    size_t n = reader_u16(r);
    if (n > OUTBOX_SET)
        return ERR_RANGE;
    a->missing = (struct outbox_bytes){reader_take(r, 32 * n), 32 * n};
    return reader_end(r);
}

enum err outbox_answer_decode(const uint8_t *in, size_t len, struct outbox_answer *ret)
{
    struct outbox_answer a = {.time = 0};
    struct reader r;
    size_t whole;
    TRY(outbox_answer_length(in, len, &whole));
    if (whole != len)
        return len < whole ? ERR_TRUNCATED : ERR_FORMAT;
    reader_init(&r, in, len);
    reader_skip(&r, 3);
    bool numbered = reader_u8(&r) > 1;
    reader_skip(&r, OUTBOX_HEAD - 4);
    uint8_t flags = reader_u8(&r);
    reader_expect(&r, "\0\0", 3);
    reader_bytes(&r, a.org.bytes, 16);
    reader_bytes(&r, a.device, sizeof a.device);
    a.time = reader_u64(&r);
    a.audit_length = reader_u64(&r);
    reader_bytes(&r, a.audit_hash, sizeof a.audit_hash);
    reader_bytes(&r, a.incarnation, sizeof a.incarnation);
    a.sequence = reader_u64(&r);
    reader_bytes(&r, a.name, sizeof a.name);
    reader_bytes(&r, a.envelopes, sizeof a.envelopes);
    a.attempt = numbered ? reader_u32(&r) : 0;
    TRY(r.err);
    if (flags > FLAG_ALL || (numbered && !a.attempt))
        return ERR_FORMAT;
    a.has_known = flags & FLAG_KNOWN;
    a.match = flags & FLAG_MATCH;
    a.has_head = flags & FLAG_HEAD;
    TRY(take_lists(&r, &a));
    *ret = a;
    return ERR_OK;
}
