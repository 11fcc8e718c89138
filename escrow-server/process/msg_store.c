/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/msg_piece.h"

void msg_put_failed(struct writer *w, enum err e, const char *detail)
{
    writer_u8(w, (uint8_t)e);
    msg_put_text(w, detail);
}

enum err msg_get_failed(const uint8_t *p, size_t len, struct msg_failed *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->err = reader_u8(&r);
    msg_get_text(&r, ret->detail, sizeof ret->detail);
    return reader_end(&r);
}

void msg_put_enroll(struct writer *w, const struct msg_enroll *m)
{
    writer_bytes(w, m->token, sizeof m->token);
    writer_bytes(w, m->spki, sizeof m->spki);
    writer_bytes(w, m->sig, sizeof m->sig);
    writer_u64(w, m->time);
    msg_put_text(w, m->computer);
    msg_put_blob(w, &m->csr);
}

enum err msg_get_enroll(const uint8_t *p, size_t len, struct msg_enroll *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->token, sizeof ret->token);
    reader_bytes(&r, ret->spki, sizeof ret->spki);
    reader_bytes(&r, ret->sig, sizeof ret->sig);
    ret->time = reader_u64(&r);
    msg_get_text(&r, ret->computer, sizeof ret->computer);
    msg_get_blob(&r, &ret->csr);
    return reader_end(&r);
}

void msg_put_device(struct writer *w, const struct msg_device *m)
{
    writer_bytes(w, m->device, sizeof m->device);
    writer_bytes(w, m->courier, sizeof m->courier);
}

enum err msg_get_device(const uint8_t *p, size_t len, struct msg_device *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->device, sizeof ret->device);
    reader_bytes(&r, ret->courier, sizeof ret->courier);
    return reader_end(&r);
}

void msg_put_device_is(struct writer *w, const struct msg_device_is *m)
{
    writer_u8(w, m->revoked);
    writer_u8(w, m->pinned);
    writer_u8(w, m->approved);
    writer_bytes(w, m->spki, sizeof m->spki);
}

enum err msg_get_device_is(const uint8_t *p, size_t len, struct msg_device_is *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->revoked = msg_get_bool(&r);
    ret->pinned = msg_get_bool(&r);
    ret->approved = reader_u8(&r);
    reader_bytes(&r, ret->spki, sizeof ret->spki);
    if (ret->approved > DEVICE_BACK)
        return ERR_RANGE;
    return reader_end(&r);
}

void msg_put_sync(struct writer *w, const struct msg_sync *m)
{
    writer_bytes(w, m->device, sizeof m->device);
    writer_u8(w, m->has_courier);
    writer_bytes(w, m->courier, sizeof m->courier);
    writer_bytes(w, m->envelopes, sizeof m->envelopes);
    writer_u8(w, m->has_head);
    writer_bytes(w, m->audit_head, sizeof m->audit_head);
    writer_u32(w, m->attempt);
    writer_u16(w, (uint16_t)m->n_proofs);
    for (unsigned i = 0; i < m->n_proofs; i++)
        msg_put_blob(w, &m->proof[i]);
    msg_put_blob(w, &m->renew);
    writer_u8(w, m->has_set);
    msg_put_blob(w, &m->set);
    writer_u8(w, m->has_packages);
    writer_u8(w, m->has_package_set);
    writer_bytes(w, m->packages, sizeof m->packages);
    msg_put_blob(w, &m->package_set);
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++)
        msg_put_blob(w, &m->record[i]);
}

static bool is_set(const struct msg_blob *b)
{
    return b->len % 32 == 0 && b->len <= 32 * MSG_SET;
}

enum err msg_get_sync(const uint8_t *p, size_t len, struct msg_sync *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->device, sizeof ret->device);
    ret->has_courier = msg_get_bool(&r);
    reader_bytes(&r, ret->courier, sizeof ret->courier);
    reader_bytes(&r, ret->envelopes, sizeof ret->envelopes);
    ret->has_head = msg_get_bool(&r);
    reader_bytes(&r, ret->audit_head, sizeof ret->audit_head);
    ret->attempt = reader_u32(&r);
    ret->n_proofs = msg_get_count(&r, MSG_PROOFS);
    for (unsigned i = 0; i < ret->n_proofs; i++)
        msg_get_blob(&r, &ret->proof[i]);
    msg_get_blob(&r, &ret->renew);
    ret->has_set = msg_get_bool(&r);
    msg_get_blob(&r, &ret->set);
    ret->has_packages = msg_get_bool(&r);
    ret->has_package_set = msg_get_bool(&r);
    reader_bytes(&r, ret->packages, sizeof ret->packages);
    msg_get_blob(&r, &ret->package_set);
    if (!is_set(&ret->set) || !is_set(&ret->package_set))
        return ERR_RANGE;
    ret->n = msg_get_count(&r, MSG_RECORDS);
    for (unsigned i = 0; i < ret->n; i++)
        msg_get_blob(&r, &ret->record[i]);
    return reader_end(&r);
}

void msg_put_synced(struct writer *w, const struct msg_synced *m)
{
    msg_put_blob(w, &m->receipt);
    writer_u8(w, m->incomplete);
    writer_u8(w, m->match);
    writer_u8(w, m->has_known);
    writer_bytes(w, m->incarnation, sizeof m->incarnation);
    writer_bytes(w, m->name, sizeof m->name);
    writer_u64(w, m->sequence);
    writer_u16(w, (uint16_t)m->n_commands);
    writer_bytes(w, m->command, (size_t)m->n_commands * COMMAND_LEN);
    writer_bytes(w, m->digest, sizeof m->digest);
    msg_put_blob(w, &m->missing);
    msg_put_blob(w, &m->certificate);
    writer_u8(w, m->packages_match);
    writer_bytes(w, m->packages, sizeof m->packages);
    msg_put_blob(w, &m->missing_packages);
}

enum err msg_get_synced(const uint8_t *p, size_t len, struct msg_synced *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_blob(&r, &ret->receipt);
    ret->incomplete = msg_get_bool(&r);
    ret->match = msg_get_bool(&r);
    ret->has_known = msg_get_bool(&r);
    reader_bytes(&r, ret->incarnation, sizeof ret->incarnation);
    reader_bytes(&r, ret->name, sizeof ret->name);
    ret->sequence = reader_u64(&r);
    ret->n_commands = msg_get_count(&r, MSG_COMMANDS);
    reader_bytes(&r, ret->command, (size_t)ret->n_commands * COMMAND_LEN);
    reader_bytes(&r, ret->digest, sizeof ret->digest);
    msg_get_blob(&r, &ret->missing);
    msg_get_blob(&r, &ret->certificate);
    ret->packages_match = msg_get_bool(&r);
    reader_bytes(&r, ret->packages, sizeof ret->packages);
    msg_get_blob(&r, &ret->missing_packages);
    if (!is_set(&ret->missing) || !is_set(&ret->missing_packages))
        return ERR_RANGE;
    return reader_end(&r);
}

void msg_put_find(struct writer *w, const struct msg_find *m)
{
    msg_put_text(w, m->key);
    msg_put_text(w, m->device);
}

enum err msg_get_find(const uint8_t *p, size_t len, struct msg_find *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_text(&r, ret->key, sizeof ret->key);
    msg_get_text(&r, ret->device, sizeof ret->device);
    return reader_end(&r);
}

void msg_put_found(struct writer *w, const struct msg_found *m)
{
    writer_u8(w, m->more);
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++) {
        msg_put_blob(w, &m->item[i].envelope);
        msg_put_text(w, m->item[i].computer);
        msg_put_text(w, m->item[i].label);
        writer_u8(w, m->item[i].own);
        writer_u64(w, m->item[i].received);
    }
}

void msg_get_found_part(struct reader *r, struct msg_found *ret)
{
    ret->more = msg_get_bool(r);
    ret->n = msg_get_count(r, MSG_CANDIDATES);
    for (unsigned i = 0; i < ret->n; i++) {
        msg_get_blob(r, &ret->item[i].envelope);
        msg_get_text(r, ret->item[i].computer, sizeof ret->item[i].computer);
        msg_get_text(r, ret->item[i].label, sizeof ret->item[i].label);
        ret->item[i].own = msg_get_bool(r);
        ret->item[i].received = reader_u64(r);
    }
}

enum err msg_get_found(const uint8_t *p, size_t len, struct msg_found *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_found_part(&r, ret);
    return reader_end(&r);
}

void msg_put_boots(struct writer *w, const struct msg_boots *m)
{
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++) {
        writer_u64(w, m->item[i].time);
        writer_u64(w, m->item[i].received);
        writer_bytes(w, m->item[i].device, 32);
        writer_bytes(w, m->item[i].key_id.bytes, 16);
        writer_bytes(w, m->item[i].volume.bytes, 16);
        writer_u8(w, m->item[i].result);
        writer_u8(w, m->item[i].reason);
    }
}

enum err msg_get_boots(const uint8_t *p, size_t len, struct msg_boots *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = msg_get_count(&r, MSG_BOOTS_MAX);
    for (unsigned i = 0; i < ret->n; i++) {
        ret->item[i].time = reader_u64(&r);
        ret->item[i].received = reader_u64(&r);
        reader_bytes(&r, ret->item[i].device, 32);
        reader_bytes(&r, ret->item[i].key_id.bytes, 16);
        reader_bytes(&r, ret->item[i].volume.bytes, 16);
        ret->item[i].result = reader_u8(&r);
        ret->item[i].reason = reader_u8(&r);
    }
    return reader_end(&r);
}

void msg_put_token(struct writer *w, const struct msg_token *m)
{
    writer_bytes(w, m->hash, sizeof m->hash);
    writer_u64(w, m->expires);
    writer_u64(w, m->uses);
}

enum err msg_get_token(const uint8_t *p, size_t len, struct msg_token *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->hash, sizeof ret->hash);
    ret->expires = reader_u64(&r);
    ret->uses = reader_u64(&r);
    return reader_end(&r);
}

void msg_put_probed(struct writer *w, const struct msg_probed *m)
{
    for (unsigned half = 0; half < 2; half++) {
        writer_u8(w, m->err[half]);
        writer_u8(w, m->replicated[half]);
    }
}

enum err msg_get_probed(const uint8_t *p, size_t len, struct msg_probed *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    for (unsigned half = 0; half < 2; half++) {
        ret->err[half] = reader_u8(&r);
        ret->replicated[half] = msg_get_bool(&r);
        if (ret->err[half] > ERR_INTERNAL)
            return ERR_RANGE;
    }
    return reader_end(&r);
}
