/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/msg_piece.h"

void msg_put_devices(struct writer *w, const struct msg_devices *m)
{
    writer_u8(w, m->has_after);
    writer_u8(w, m->waiting);
    writer_bytes(w, m->after, sizeof m->after);
}

enum err msg_get_devices(const uint8_t *p, size_t len, struct msg_devices *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->has_after = msg_get_bool(&r);
    ret->waiting = msg_get_bool(&r);
    reader_bytes(&r, ret->after, sizeof ret->after);
    return reader_end(&r);
}

void msg_put_devices_are(struct writer *w, const struct msg_devices_are *m)
{
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++) {
        writer_bytes(w, m->item[i].device, 32);
        writer_u8(w, m->item[i].approved);
        writer_u8(w, m->item[i].revoked);
        writer_u64(w, m->item[i].enrolled);
        writer_u64(w, m->item[i].seen);
        msg_put_text(w, m->item[i].computer);
    }
}

enum err msg_get_devices_are(const uint8_t *p, size_t len, struct msg_devices_are *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = msg_get_count(&r, MSG_DEVICES_MAX);
    for (unsigned i = 0; i < ret->n; i++) {
        struct msg_device_row *row = &ret->item[i];
        reader_bytes(&r, row->device, 32);
        row->approved = reader_u8(&r);
        row->revoked = msg_get_bool(&r);
        row->enrolled = reader_u64(&r);
        row->seen = reader_u64(&r);
        msg_get_text(&r, row->computer, sizeof row->computer);
        if (row->approved > DEVICE_BACK)
            return ERR_RANGE;
    }
    return reader_end(&r);
}

void msg_put_change(struct writer *w, const struct msg_change *m)
{
    writer_bytes(w, m->device, sizeof m->device);
    writer_u8(w, m->change);
}

enum err msg_get_change(const uint8_t *p, size_t len, struct msg_change *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->device, sizeof ret->device);
    ret->change = reader_u8(&r);
    if (ret->change < CHANGE_APPROVE || ret->change > CHANGE_REPORT)
        return ERR_RANGE;
    return reader_end(&r);
}

void msg_put_adopt(struct writer *w, const struct msg_adopt *m)
{
    writer_bytes(w, m->spki, sizeof m->spki);
    msg_put_blob(w, &m->cert);
}

enum err msg_get_adopt(const uint8_t *p, size_t len, struct msg_adopt *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->spki, sizeof ret->spki);
    msg_get_blob(&r, &ret->cert);
    return reader_end(&r);
}

void msg_put_seen(struct writer *w, const struct msg_seen *m)
{
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++) {
        writer_u64(w, m->item[i].time);
        writer_bytes(w, m->item[i].device, sizeof m->item[i].device);
        writer_u8(w, m->item[i].has_head);
        writer_bytes(w, m->item[i].audit_head, sizeof m->item[i].audit_head);
    }
}

enum err msg_get_seen(const uint8_t *p, size_t len, struct msg_seen *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = msg_get_count(&r, MSG_SEEN_MAX);
    for (unsigned i = 0; i < ret->n; i++) {
        ret->item[i].time = reader_u64(&r);
        reader_bytes(&r, ret->item[i].device, sizeof ret->item[i].device);
        ret->item[i].has_head = msg_get_bool(&r);
        reader_bytes(&r, ret->item[i].audit_head, sizeof ret->item[i].audit_head);
    }
    return reader_end(&r);
}

void msg_put_flags(struct writer *w, const struct msg_flags *m)
{
    writer_u8(w, m->of);
    writer_u64(w, m->received_us);
    writer_bytes(w, m->device, sizeof m->device);
    writer_bytes(w, m->record, sizeof m->record);
    msg_put_text(w, m->kind);
}

enum err msg_get_flags(const uint8_t *p, size_t len, struct msg_flags *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->of = reader_u8(&r);
    ret->received_us = reader_u64(&r);
    reader_bytes(&r, ret->device, sizeof ret->device);
    reader_bytes(&r, ret->record, sizeof ret->record);
    msg_get_text(&r, ret->kind, sizeof ret->kind);
    TRY(reader_end(&r));
    return ret->of > FLAGS_OF_KIND || ret->received_us > FLAGS_NEWEST ? ERR_RANGE : ERR_OK;
}

void msg_put_flags_are(struct writer *w, const struct msg_flags_are *m)
{
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++) {
        writer_u64(w, m->item[i].received_us);
        writer_u64(w, m->item[i].sequence);
        writer_bytes(w, m->item[i].device, 32);
        writer_bytes(w, m->item[i].record, 32);
        msg_put_text(w, m->item[i].kind);
        msg_put_text(w, m->item[i].computer);
    }
}

enum err msg_get_flags_are(const uint8_t *p, size_t len, struct msg_flags_are *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = msg_get_count(&r, MSG_FLAGS_MAX);
    for (unsigned i = 0; i < ret->n; i++) {
        ret->item[i].received_us = reader_u64(&r);
        ret->item[i].sequence = reader_u64(&r);
        reader_bytes(&r, ret->item[i].device, 32);
        reader_bytes(&r, ret->item[i].record, 32);
        msg_get_text(&r, ret->item[i].kind, sizeof ret->item[i].kind);
        msg_get_text(&r, ret->item[i].computer, sizeof ret->item[i].computer);
    }
    return reader_end(&r);
}
