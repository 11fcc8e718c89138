/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/msg_piece.h"

void msg_put_entry(struct writer *w, const struct msg_entry *m)
{
    msg_put_text(w, m->chain);
    writer_u64(w, m->n);
    writer_u64(w, m->time);
    msg_put_text(w, m->who);
    writer_bytes(w, m->key_id.bytes, 16);
    writer_bytes(w, m->volume.bytes, 16);
    writer_bytes(w, m->device, 32);
}

static void get_entry(struct reader *r, struct msg_entry *ret)
{
    msg_get_text(r, ret->chain, sizeof ret->chain);
    ret->n = reader_u64(r);
    ret->time = reader_u64(r);
    msg_get_text(r, ret->who, sizeof ret->who);
    reader_bytes(r, ret->key_id.bytes, 16);
    reader_bytes(r, ret->volume.bytes, 16);
    reader_bytes(r, ret->device, 32);
}

enum err msg_get_entry(const uint8_t *p, size_t len, struct msg_entry *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    get_entry(&r, ret);
    return reader_end(&r);
}

void msg_put_entries(struct writer *w, const struct msg_entries *m)
{
    writer_u8(w, m->more);
    writer_u64(w, m->next);
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++)
        msg_put_entry(w, &m->item[i]);
}

enum err msg_get_entries(const uint8_t *p, size_t len, struct msg_entries *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->more = msg_get_bool(&r);
    ret->next = reader_u64(&r);
    ret->n = msg_get_count(&r, MSG_ENTRIES_MAX);
    for (unsigned i = 0; i < ret->n; i++)
        get_entry(&r, &ret->item[i]);
    return reader_end(&r);
}

void msg_put_disclose(struct writer *w, const struct msg_disclose *m)
{
    msg_put_text(w, m->who);
    msg_put_text(w, m->reason);
    msg_put_text(w, m->user);
    msg_put_text(w, m->asked);
    msg_put_blob(w, &m->password);
    msg_put_text(w, m->code);
    msg_put_found(w, &m->found);
}

enum err msg_get_disclose(const uint8_t *p, size_t len, struct msg_disclose *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_text(&r, ret->who, sizeof ret->who);
    msg_get_text(&r, ret->reason, sizeof ret->reason);
    msg_get_text(&r, ret->user, sizeof ret->user);
    msg_get_text(&r, ret->asked, sizeof ret->asked);
    msg_get_blob(&r, &ret->password);
    msg_get_text(&r, ret->code, sizeof ret->code);
    msg_get_found_part(&r, &ret->found);
    return reader_end(&r);
}

void msg_put_opened(struct writer *w, const struct msg_opened *m)
{
    writer_bytes(w, m->digits, sizeof m->digits);
    msg_put_entry(w, &m->entry);
}

enum err msg_get_opened(const uint8_t *p, size_t len, struct msg_opened *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->digits, sizeof ret->digits);
    get_entry(&r, &ret->entry);
    return reader_end(&r);
}

void msg_put_import(struct writer *w, const struct msg_import *m)
{
    msg_put_text(w, m->who);
    msg_put_text(w, m->chain);
}

enum err msg_get_import(const uint8_t *p, size_t len, struct msg_import *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_text(&r, ret->who, sizeof ret->who);
    msg_get_text(&r, ret->chain, sizeof ret->chain);
    return reader_end(&r);
}

void msg_put_imported(struct writer *w, const struct msg_imported *m)
{
    writer_u64(w, m->n);
    writer_u64(w, m->added);
}

enum err msg_get_imported(const uint8_t *p, size_t len, struct msg_imported *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = reader_u64(&r);
    ret->added = reader_u64(&r);
    return reader_end(&r);
}

void msg_put_heard(struct writer *w, const struct msg_heard *m)
{
    writer_bytes(w, m->device, sizeof m->device);
    writer_bytes(w, m->hash, sizeof m->hash);
    msg_put_blob(w, &m->word);
}

enum err msg_get_heard(const uint8_t *p, size_t len, struct msg_heard *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    reader_bytes(&r, ret->device, sizeof ret->device);
    reader_bytes(&r, ret->hash, sizeof ret->hash);
    msg_get_blob(&r, &ret->word);
    return reader_end(&r);
}

void msg_put_approve(struct writer *w, const struct msg_approve *m)
{
    msg_put_text(w, m->who);
    msg_put_blob(w, &m->password);
    msg_put_text(w, m->code);
    writer_u64(w, m->n);
}

enum err msg_get_approve(const uint8_t *p, size_t len, struct msg_approve *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_text(&r, ret->who, sizeof ret->who);
    msg_get_blob(&r, &ret->password);
    msg_get_text(&r, ret->code, sizeof ret->code);
    ret->n = reader_u64(&r);
    return reader_end(&r);
}

void msg_put_wish(struct writer *w, const struct msg_wish *m)
{
    writer_u64(w, m->n);
    writer_u8(w, m->approved);
    msg_put_text(w, m->who);
    msg_put_text(w, m->reason);
    msg_put_text(w, m->user);
    msg_put_text(w, m->key_id);
    msg_put_text(w, m->volume);
    msg_put_text(w, m->device);
}

enum err msg_get_wish(const uint8_t *p, size_t len, struct msg_wish *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = reader_u64(&r);
    ret->approved = msg_get_bool(&r);
    msg_get_text(&r, ret->who, sizeof ret->who);
    msg_get_text(&r, ret->reason, sizeof ret->reason);
    msg_get_text(&r, ret->user, sizeof ret->user);
    msg_get_text(&r, ret->key_id, sizeof ret->key_id);
    msg_get_text(&r, ret->volume, sizeof ret->volume);
    msg_get_text(&r, ret->device, sizeof ret->device);
    return reader_end(&r);
}

void msg_put_wanted(struct writer *w, const struct msg_wanted *m)
{
    writer_u64(w, m->n);
    msg_put_text(w, m->detail);
}

enum err msg_get_wanted(const uint8_t *p, size_t len, struct msg_wanted *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->n = reader_u64(&r);
    msg_get_text(&r, ret->detail, sizeof ret->detail);
    return reader_end(&r);
}

void msg_put_lines(struct writer *w, const struct msg_lines *m)
{
    writer_u64(w, m->first);
    msg_put_blob(w, &m->bytes);
}

enum err msg_get_lines(const uint8_t *p, size_t len, struct msg_lines *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->first = reader_u64(&r);
    msg_get_blob(&r, &ret->bytes);
    return reader_end(&r);
}

void msg_put_erase(struct writer *w, const struct msg_erase *m)
{
    msg_put_text(w, m->who);
    msg_put_blob(w, &m->password);
    msg_put_text(w, m->code);
    msg_put_text(w, m->chain);
    writer_u16(w, (uint16_t)m->count);
    for (unsigned i = 0; i < m->count; i++)
        writer_u64(w, m->n[i]);
}

enum err msg_get_erase(const uint8_t *p, size_t len, struct msg_erase *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_text(&r, ret->who, sizeof ret->who);
    msg_get_blob(&r, &ret->password);
    msg_get_text(&r, ret->code, sizeof ret->code);
    msg_get_text(&r, ret->chain, sizeof ret->chain);
    ret->count = msg_get_count(&r, MSG_ERASE_MAX);
    for (unsigned i = 0; i < ret->count; i++)
        ret->n[i] = reader_u64(&r);
    return reader_end(&r);
}

void msg_put_head(struct writer *w, const struct msg_head *m)
{
    msg_put_text(w, m->chain);
    writer_u64(w, m->n);
    writer_bytes(w, m->hash, sizeof m->hash);
    msg_put_blob(w, &m->word);
}

enum err msg_get_head(const uint8_t *p, size_t len, struct msg_head *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    msg_get_text(&r, ret->chain, sizeof ret->chain);
    ret->n = reader_u64(&r);
    reader_bytes(&r, ret->hash, sizeof ret->hash);
    msg_get_blob(&r, &ret->word);
    return reader_end(&r);
}

void msg_put_vault_is(struct writer *w, const struct msg_vault_is *m)
{
    writer_u8(w, m->log);
    writer_u64(w, m->lost);
    writer_u16(w, (uint16_t)m->n);
    for (unsigned i = 0; i < m->n; i++) {
        msg_put_text(w, m->key[i].name);
        writer_bytes(w, m->key[i].id, sizeof m->key[i].id);
        writer_u8(w, m->key[i].err);
    }
    msg_put_losses(w, &m->losses);
}

enum err msg_get_vault_is(const uint8_t *p, size_t len, struct msg_vault_is *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    ret->log = msg_get_bool(&r);
    ret->lost = reader_u64(&r);
    ret->n = msg_get_count(&r, MSG_VAULT_KEYS);
    for (unsigned i = 0; i < ret->n; i++) {
        msg_get_text(&r, ret->key[i].name, sizeof ret->key[i].name);
        reader_bytes(&r, ret->key[i].id, sizeof ret->key[i].id);
        ret->key[i].err = reader_u8(&r);
    }
    msg_get_some_losses(&r, &ret->losses);
    return reader_end(&r);
}

void msg_put_u64(struct writer *w, uint64_t v)
{
    writer_u64(w, v);
}

enum err msg_get_u64(const uint8_t *p, size_t len, uint64_t *ret)
{
    struct reader r;
    reader_init(&r, p, len);
    *ret = reader_u64(&r);
    return reader_end(&r);
}
