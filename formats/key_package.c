/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/key_package.h"
#include "crypto/cursor.h"
#include "crypto/hpke.h"
#include "crypto/p256.h"
#include "formats/names.h"
#include "formats/text.h"
#include <string.h>

#define INFO_LEN (sizeof KH_INFO_ENVELOPE + 1 + 16)

void key_package_wipe(struct key_package *p)
{
    cr_wipe(p, sizeof *p);
}

static void put_text(struct writer *w, const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    if (len > max)
        w->err = ERR_RANGE;
    writer_u8(w, (uint8_t)len);
    writer_bytes(w, text, len);
}

static enum err encode_plain(const struct key_package *p, uint8_t ret[static KEY_PACKAGE_PLAIN],
                             size_t *ret_len)
{
    struct writer w;
    if (p->volume_key.len == 0 || p->volume_key.len > LUKS2_KEY_MAX)
        return ERR_RANGE;
    writer_init(&w, ret, KEY_PACKAGE_PLAIN);
    writer_bytes(&w, "KHP\1", 4);
    put_text(&w, p->cipher, KEY_PACKAGE_CIPHER);
    writer_u32(&w, p->sector_size);
    writer_u64(&w, p->offset);
    writer_u64(&w, p->size);
    writer_u64(&w, p->iv_offset);
    writer_u32(&w, p->hdr_size);
    writer_u64(&w, p->keyslots_size);
    writer_u8(&w, p->digest_hash);
    writer_u32(&w, p->digest_iterations);
    put_text(&w, p->label, LUKS2_LABEL);
    put_text(&w, p->subsystem, LUKS2_LABEL);
    writer_u8(&w, (uint8_t)p->volume_key.len);
    writer_bytes(&w, p->volume_key.bytes, p->volume_key.len);
    return writer_end(&w, ret_len);
}

static void take_text(struct reader *r, char *ret, size_t max)
{
    size_t len = reader_u8(r);
    const uint8_t *p = reader_take(r, len);
    if (!p)
        return;
    if (len > max || !text_is_printable((const char *)p, len)) {
        r->err = ERR_FORMAT;
        return;
    }
    memcpy(ret, p, len);
    ret[len] = 0;
}

static enum err decode_plain(const uint8_t *in, size_t len, struct key_package *ret)
{
    KEY_PACKAGE(p);
    struct reader r;
    reader_init(&r, in, len);
    reader_expect(&r, "KHP", 3);
    if (reader_u8(&r) != 1 && r.err == ERR_OK)
        return ERR_VERSION;
    take_text(&r, p.cipher, KEY_PACKAGE_CIPHER);
    p.sector_size = reader_u32(&r);
    p.offset = reader_u64(&r);
    p.size = reader_u64(&r);
    p.iv_offset = reader_u64(&r);
    p.hdr_size = reader_u32(&r);
    p.keyslots_size = reader_u64(&r);
    p.digest_hash = reader_u8(&r);
    p.digest_iterations = reader_u32(&r);
    take_text(&r, p.label, LUKS2_LABEL);
    take_text(&r, p.subsystem, LUKS2_LABEL);
    p.volume_key.len = reader_u8(&r);
    if (r.err == ERR_OK && (p.volume_key.len == 0 || p.volume_key.len > LUKS2_KEY_MAX))
        return ERR_FORMAT;
    reader_bytes(&r, p.volume_key.bytes, r.err == ERR_OK ? p.volume_key.len : 0);
    TRY(reader_end(&r));
    *ret = p;
    return ERR_OK;
}

/* As of an envelope (formats/envelope.c), over all bytes. */
static enum err commitment(const uint8_t *plain, size_t len, const struct envelope *e, uint8_t ret[static 32])
{
    uint8_t salt[32], prk[CR_SHA256_SIZE];
    const struct cr_part ikm = {plain, len};
    const struct cr_part info = {KH_INFO_COMMITMENT, sizeof KH_INFO_COMMITMENT - 1};
    memcpy(salt, e->key_id.bytes, 16);
    memcpy(salt + 16, e->volume.bytes, 16);
    enum err err = cr_hkdf_extract(CR_SHA256, salt, sizeof salt, &ikm, 1, prk);
    if (err == ERR_OK)
        err = cr_hkdf_expand(CR_SHA256, prk, &info, 1, ret, 32);
    cr_wipe(prk, sizeof prk);
    return err;
}

static void make_info(const struct guid *org, uint8_t ret[static INFO_LEN])
{
    memcpy(ret, KH_INFO_ENVELOPE, sizeof KH_INFO_ENVELOPE); /* with its zero byte */
    ret[sizeof KH_INFO_ENVELOPE] = ENVELOPE_KEY_PACKAGE;
    memcpy(ret + sizeof KH_INFO_ENVELOPE + 1, org->bytes, 16);
}

static enum err write_header(struct writer *w, const struct envelope *e, const struct cr_p256_pub *to,
                             unsigned n, size_t plain_len)
{
    const uint8_t start[8] = {'K', 'H', 'E', 1, 1, ENVELOPE_KEY_PACKAGE, (uint8_t)n, 0};
    uint8_t id[CR_KEY_ID];
    writer_bytes(w, start, sizeof start);
    writer_bytes(w, e->key_id.bytes, 16);
    writer_bytes(w, e->volume.bytes, 16);
    writer_bytes(w, e->device, 32);
    writer_u64(w, e->time);
    writer_bytes(w, e->commitment, 32);
    for (unsigned i = 0; i < n; i++) {
        TRY(cr_p256_id(&to[i], id));
        writer_bytes(w, id, sizeof id);
    }
    writer_u16(w, (uint16_t)plain_len);
    return w->err;
}

static enum err seal(const struct envelope *head, const struct guid *org, const struct cr_p256_pub *to,
                     unsigned n, const uint8_t *plain, size_t plain_len, struct writer *w)
{
    uint8_t info[INFO_LEN], out[KEY_PACKAGE_SEAL(KEY_PACKAGE_PLAIN)];
    struct envelope e = *head;
    TRY(commitment(plain, plain_len, &e, e.commitment));
    TRY(write_header(w, &e, to, n, plain_len));
    size_t aad = w->off;
    make_info(org, info);
    for (unsigned i = 0; i < n; i++) {
        TRY(cr_hpke_seal(&to[i], info, sizeof info, w->base, aad, plain, plain_len, out, out + CR_HPKE_ENC));
        writer_bytes(w, out, KEY_PACKAGE_SEAL(plain_len));
    }
    return w->err;
}

enum err key_package_seal(const struct envelope *head, const struct guid *org, const struct cr_p256_pub *to,
                          unsigned n, const struct key_package *p, uint8_t ret[static KEY_PACKAGE_MAX],
                          size_t *ret_len)
{
    uint8_t plain[KEY_PACKAGE_PLAIN], out[KEY_PACKAGE_MAX];
    size_t plain_len = 0, len = 0;
    struct writer w;
    if (n < 1 || n > ENVELOPE_RECIPIENTS)
        return ERR_RANGE;
    enum err e = encode_plain(p, plain, &plain_len);
    writer_init(&w, out, sizeof out);
    if (e == ERR_OK)
        e = seal(head, org, to, n, plain, plain_len, &w);
    cr_wipe(plain, sizeof plain);
    TRY(e);
    TRY(writer_end(&w, &len));
    memcpy(ret, out, len);
    *ret_len = len;
    return ERR_OK;
}

/* seals: where the first one begins */
static enum err decode(const uint8_t *in, size_t len, struct envelope *ret, size_t *ret_plain,
                       size_t *ret_seals)
{
    struct envelope e = {.kind = ENVELOPE_KEY_PACKAGE};
    struct reader r;
    reader_init(&r, in, len);
    reader_expect(&r, "KHE", 3);
    uint8_t version = reader_u8(&r), suite = reader_u8(&r), kind = reader_u8(&r);
    e.n_recipients = reader_u8(&r);
    reader_expect(&r, "\0", 1);
    TRY(r.err);
    if (version != 1 || suite != 1)
        return ERR_VERSION;
    if (kind != ENVELOPE_KEY_PACKAGE)
        return ERR_FORMAT;
    if (e.n_recipients < 1 || e.n_recipients > ENVELOPE_RECIPIENTS)
        return ERR_RANGE;
    reader_bytes(&r, e.key_id.bytes, 16);
    reader_bytes(&r, e.volume.bytes, 16);
    reader_bytes(&r, e.device, 32);
    e.time = reader_u64(&r);
    reader_bytes(&r, e.commitment, 32);
    for (unsigned i = 0; i < e.n_recipients; i++)
        reader_bytes(&r, e.recipient[i], 32);
    size_t plain = reader_u16(&r);
    e.header_len = r.off;
    TRY(r.err);
    if (plain == 0 || plain > KEY_PACKAGE_PLAIN)
        return ERR_FORMAT;
    reader_skip(&r, e.n_recipients * KEY_PACKAGE_SEAL(plain));
    TRY(reader_end(&r));
    *ret_plain = plain;
    *ret_seals = e.header_len;
    *ret = e;
    return ERR_OK;
}

enum err key_package_decode(const uint8_t *in, size_t len, struct envelope *ret)
{
    size_t plain, seals;
    return decode(in, len, ret, &plain, &seals);
}

static enum err find_recipient(const struct envelope *e, const struct cr_p256_key *key, unsigned *ret)
{
    struct cr_p256_pub pub;
    uint8_t id[CR_KEY_ID];
    TRY(cr_p256_public(key, &pub));
    TRY(cr_p256_id(&pub, id));
    for (unsigned i = 0; i < e->n_recipients; i++)
        if (memcmp(e->recipient[i], id, sizeof id) == 0) {
            *ret = i;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

static enum err check_plain(const uint8_t *plain, size_t len, const struct envelope *e,
                            struct key_package *ret)
{
    uint8_t now[32];
    TRY(commitment(plain, len, e, now));
    return cr_equal(now, e->commitment, sizeof now) ? decode_plain(plain, len, ret) : ERR_AUTH;
}

enum err key_package_open(const uint8_t *in, size_t len, const struct guid *org,
                          const struct cr_p256_key *key, struct key_package *ret)
{
    uint8_t info[INFO_LEN], plain[KEY_PACKAGE_PLAIN];
    struct envelope e;
    size_t plain_len, at;
    unsigned i;
    TRY(decode(in, len, &e, &plain_len, &at));
    TRY(find_recipient(&e, key, &i));
    at += i * KEY_PACKAGE_SEAL(plain_len);
    make_info(org, info);
    enum err err = cr_hpke_open(key, in + at, info, sizeof info, in, e.header_len, in + at + CR_HPKE_ENC,
                                plain_len + CR_HPKE_TAG, plain);
    err = err == ERR_FORMAT ? ERR_AUTH : err; /* enc is no point: a changed byte like any other */
    if (err == ERR_OK)
        err = check_plain(plain, plain_len, &e, ret);
    cr_wipe(plain, sizeof plain);
    return err;
}
