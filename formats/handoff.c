/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/handoff.h"
#include "crypto/cursor.h"
#include <string.h>

enum role { ROLE_PAD = 1, ROLE_SHARE = 2 };

struct share {
    uint8_t nonce[16];
    struct guid volume, key_id;
    uint8_t bytes[RP_BYTES]; /* pad, or password XOR pad */
};

static void start(struct writer *w, char letter, uint8_t *ret, size_t len)
{
    const uint8_t magic[4] = {'K', 'H', (uint8_t)letter, 1};
    memset(ret, 0, len);
    writer_init(w, ret, len);
    writer_bytes(w, magic, sizeof magic);
}

static enum err expect_start(struct reader *r, char letter, const uint8_t *in, size_t len)
{
    const uint8_t magic[3] = {'K', 'H', (uint8_t)letter};
    reader_init(r, in, len);
    reader_expect(r, magic, sizeof magic);
    uint8_t version = reader_u8(r);
    TRY(r->err);
    return version == 1 ? ERR_OK : ERR_VERSION;
}

static void share_encode(const struct share *s, enum role role, uint8_t ret[static HANDOFF_SHARE_LEN])
{
    struct writer w;
    start(&w, 'S', ret, HANDOFF_SHARE_LEN);
    writer_u8(&w, (uint8_t)role);
    writer_bytes(&w, "\0\0", 3);
    writer_bytes(&w, s->nonce, 16);
    writer_bytes(&w, s->volume.bytes, 16);
    writer_bytes(&w, s->key_id.bytes, 16);
    writer_bytes(&w, s->bytes, RP_BYTES);
}

static enum err share_decode(const uint8_t *in, size_t len, enum role role, struct share *ret)
{
    struct reader r;
    const uint8_t kind[4] = {(uint8_t)role, 0, 0, 0};
    TRY(expect_start(&r, 'S', in, len));
    reader_expect(&r, kind, sizeof kind);
    reader_bytes(&r, ret->nonce, 16);
    reader_bytes(&r, ret->volume.bytes, 16);
    reader_bytes(&r, ret->key_id.bytes, 16);
    reader_bytes(&r, ret->bytes, RP_BYTES);
    return reader_end(&r);
}

void handoff_split(const struct guid *volume, const struct guid *key_id, const uint8_t nonce[static 16],
                   const uint8_t pad[static RP_BYTES], const uint8_t password[static RP_BYTES],
                   uint8_t ret_pad[static HANDOFF_SHARE_LEN], uint8_t ret_share[static HANDOFF_SHARE_LEN])
{
    struct share s = {.volume = *volume, .key_id = *key_id};
    memcpy(s.nonce, nonce, 16);
    memcpy(s.bytes, pad, RP_BYTES);
    share_encode(&s, ROLE_PAD, ret_pad);
    for (unsigned i = 0; i < RP_BYTES; i++)
        s.bytes[i] = (uint8_t)(password[i] ^ pad[i]);
    share_encode(&s, ROLE_SHARE, ret_share);
    cr_wipe(&s, sizeof s);
}

static enum err join(const struct share *pad, const struct share *share, struct guid *ret_volume,
                     struct guid *ret_key_id, struct secret *ret_password)
{
    if (memcmp(pad->nonce, share->nonce, 16) != 0 || !guid_equal(&pad->volume, &share->volume) ||
        !guid_equal(&pad->key_id, &share->key_id))
        return ERR_CONFLICT;
    *ret_volume = pad->volume;
    *ret_key_id = pad->key_id;
    secret_wipe(ret_password);
    for (unsigned i = 0; i < RP_BYTES; i++)
        ret_password->bytes[i] = (uint8_t)(pad->bytes[i] ^ share->bytes[i]);
    ret_password->len = RP_BYTES;
    return ERR_OK;
}

enum err handoff_join(const uint8_t *pad, size_t pad_len, const uint8_t *share, size_t share_len,
                      struct guid *ret_volume, struct guid *ret_key_id, struct secret *ret_password)
{
    struct share p, s;
    enum err err = share_decode(pad, pad_len, ROLE_PAD, &p);
    if (err == ERR_OK)
        err = share_decode(share, share_len, ROLE_SHARE, &s);
    if (err == ERR_OK)
        err = join(&p, &s, ret_volume, ret_key_id, ret_password);
    cr_wipe(&p, sizeof p);
    cr_wipe(&s, sizeof s);
    return err;
}

void handoff_reason_encode(const struct handoff_reason *r, uint8_t ret[static HANDOFF_REASON_LEN])
{
    struct writer w;
    start(&w, 'Q', ret, HANDOFF_REASON_LEN);
    writer_u8(&w, r->reason);
    writer_bytes(&w, "\0\0", 3);
    writer_u64(&w, r->time);
}

enum err handoff_reason_decode(const uint8_t *in, size_t len, struct handoff_reason *ret)
{
    struct reader r;
    struct handoff_reason v;
    TRY(expect_start(&r, 'Q', in, len));
    v.reason = reader_u8(&r);
    reader_expect(&r, "\0\0", 3);
    v.time = reader_u64(&r);
    TRY(reader_end(&r));
    if (v.reason < KH_REASON_UNKNOWN || v.reason > KH_REASON_HELPDESK)
        return ERR_FORMAT;
    *ret = v;
    return ERR_OK;
}

static const uint8_t event_tail[16]; /* zeros */

void boot_event_encode(const struct boot_event *e, uint8_t ret[static HANDOFF_EVENT_LEN])
{
    struct writer w;
    start(&w, 'V', ret, HANDOFF_EVENT_LEN);
    writer_u8(&w, e->result);
    writer_u8(&w, e->reason);
    writer_u16(&w, e->attempts);
    writer_bytes(&w, e->key_id.bytes, 16);
    writer_bytes(&w, e->volume.bytes, 16);
    writer_u64(&w, e->time);
    writer_bytes(&w, event_tail, sizeof event_tail);
}

enum err boot_event_decode(const uint8_t *in, size_t len, struct boot_event *ret)
{
    struct reader r;
    struct boot_event e = {.time = 0};
    TRY(expect_start(&r, 'V', in, len));
    e.result = reader_u8(&r);
    e.reason = reader_u8(&r);
    e.attempts = reader_u16(&r);
    reader_bytes(&r, e.key_id.bytes, 16);
    reader_bytes(&r, e.volume.bytes, 16);
    e.time = reader_u64(&r);
    reader_expect(&r, event_tail, sizeof event_tail);
    TRY(reader_end(&r));
    if ((e.result != BOOT_OPENED && e.result != BOOT_NOT_OPENED) || e.reason < KH_REASON_UNKNOWN ||
        e.reason > KH_REASON_HELPDESK)
        return ERR_FORMAT;
    *ret = e;
    return ERR_OK;
}
