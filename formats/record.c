/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/record.h"
#include "crypto/cursor.h"
#include "crypto/p256.h"
#include "formats/text.h"
#include <string.h>

/* Tags of body fields, written in rising order. */
enum field {
    FIELD_ENVELOPE = 1,
    FIELD_COMPUTER = 2,
    FIELD_LABEL = 3,
    FIELD_EVENT = 16,
    FIELD_KEY_ID = 17,
    FIELD_OTHER_KEY_ID = 18,
    FIELD_VOLUME = 19,
    FIELD_RESULT = 20,
    FIELD_REASON = 21,
    FIELD_EVENT_TIME = 22,
    FIELD_FORMER = 23,
    FIELD_REPORT = 32
};

static void write_field(struct writer *w, enum field tag, const void *p, size_t len)
{
    if (len > UINT16_MAX)
        w->err = ERR_FULL;
    writer_u8(w, (uint8_t)tag);
    writer_u16(w, (uint16_t)len);
    writer_bytes(w, p, len);
}

static void write_text(struct writer *w, enum field tag, const char *text)
{
    char clean[RECORD_TEXT_MAX + 1];
    text_clean(text, strlen(text), clean, sizeof clean);
    if (clean[0])
        write_field(w, tag, clean, strlen(clean));
}

static void write_event(struct writer *w, const struct record *r)
{
    write_field(w, FIELD_EVENT, &r->event, 1);
    write_field(w, FIELD_KEY_ID, r->key_id.bytes, 16);
    write_field(w, FIELD_OTHER_KEY_ID, r->other_key_id.bytes, 16);
    write_field(w, FIELD_VOLUME, r->volume.bytes, 16);
    write_field(w, FIELD_RESULT, &r->result, 1);
    write_field(w, FIELD_REASON, &r->reason, 1);
    writer_u8(w, FIELD_EVENT_TIME);
    writer_u16(w, 8);
    writer_u64(w, r->event_time);
    if (r->event == EVENT_IDENTITY)
        write_field(w, FIELD_FORMER, r->former, sizeof r->former);
}

static enum err encode_body(const struct record *r, uint8_t *ret, size_t *ret_len)
{
    struct writer w;
    writer_init(&w, ret, RECORD_BODY_MAX);
    switch (r->kind) {
    case RECORD_ESCROW:
    case RECORD_KEY_PACKAGE:
        write_field(&w, FIELD_ENVELOPE, r->envelope, r->envelope_len);
        write_text(&w, FIELD_COMPUTER, r->computer);
        write_text(&w, FIELD_LABEL, r->label);
        break;
    case RECORD_REPORT:
        write_field(&w, FIELD_REPORT, r->report, r->report_len);
        break;
    case RECORD_EVENT:
        write_event(&w, r);
        break;
    default:
        return ERR_RANGE;
    }
    return writer_end(&w, ret_len);
}

enum err record_encode_unsigned(const struct record *r, uint8_t *ret, size_t *ret_len)
{
    uint8_t body[RECORD_BODY_MAX];
    size_t body_len = 0, len = 0;
    struct writer w;
    if (r->sequence == 0)
        return ERR_RANGE;
    TRY(encode_body(r, body, &body_len)); /* the header has a fixed size: from here on nothing can fail */
    writer_init(&w, ret, RECORD_HEADER + RECORD_BODY_MAX);
    writer_bytes(&w, "KHR\1", 4);
    writer_u8(&w, r->kind);
    writer_bytes(&w, "\0\0", 3);
    writer_bytes(&w, r->device, 32);
    writer_bytes(&w, r->incarnation, 16);
    writer_u64(&w, r->sequence);
    writer_bytes(&w, r->previous, 32);
    writer_u64(&w, r->time);
    writer_u32(&w, (uint32_t)body_len);
    writer_bytes(&w, body, body_len);
    TRY(writer_end(&w, &len));
    *ret_len = len;
    return ERR_OK;
}

enum err record_encode(const struct record *r, const struct cr_p256_key *device, uint8_t *ret,
                       size_t *ret_len)
{
    uint8_t out[RECORD_MAX];
    size_t len = 0;
    TRY(record_encode_unsigned(r, out, &len));
    TRY(cr_p256_sign(device, out, len, out + len));
    memcpy(ret, out, len + CR_P256_SIG);
    *ret_len = len + CR_P256_SIG;
    return ERR_OK;
}

static enum err decode_start(struct reader *r, struct record *ret)
{
    reader_expect(r, "KHR", 3);
    uint8_t version = reader_u8(r);
    TRY(r->err);
    if (version != 1)
        return ERR_VERSION;
    ret->kind = reader_u8(r);
    reader_expect(r, "\0\0", 3);
    reader_bytes(r, ret->device, 32);
    reader_bytes(r, ret->incarnation, 16);
    ret->sequence = reader_u64(r);
    reader_bytes(r, ret->previous, 32);
    ret->time = reader_u64(r);
    TRY(r->err);
    return ret->sequence ? ERR_OK : ERR_FORMAT;
}

static void take_fixed(struct reader *field, void *ret, size_t len)
{
    reader_bytes(field, ret, len);
    if (field->err == ERR_OK)
        field->err = reader_end(field);
}

static void take_text(const uint8_t *p, size_t len, char ret[static RECORD_TEXT_MAX + 1],
                      struct reader *field)
{
    if (len == 0 || len > RECORD_TEXT_MAX)
        field->err = ERR_FORMAT;
    else /* a device chose these bytes; whoever shows them shall not have to care */
        text_clean((const char *)p, len, ret, RECORD_TEXT_MAX + 1);
}

static enum err decode_field(uint8_t tag, const uint8_t *p, size_t len, struct record *ret)
{
    struct reader f;
    reader_init(&f, p, len);
    switch ((enum field)tag) {
    case FIELD_ENVELOPE:
        ret->envelope = p;
        ret->envelope_len = len;
        break;
    case FIELD_COMPUTER:
        take_text(p, len, ret->computer, &f);
        break;
    case FIELD_LABEL:
        take_text(p, len, ret->label, &f);
        break;
    case FIELD_EVENT:
        take_fixed(&f, &ret->event, 1);
        break;
    case FIELD_KEY_ID:
        take_fixed(&f, ret->key_id.bytes, 16);
        break;
    case FIELD_OTHER_KEY_ID:
        take_fixed(&f, ret->other_key_id.bytes, 16);
        break;
    case FIELD_VOLUME:
        take_fixed(&f, ret->volume.bytes, 16);
        break;
    case FIELD_RESULT:
        take_fixed(&f, &ret->result, 1);
        break;
    case FIELD_REASON:
        take_fixed(&f, &ret->reason, 1);
        break;
    case FIELD_EVENT_TIME:
        ret->event_time = reader_u64(&f);
        take_fixed(&f, NULL, 0);
        break;
    case FIELD_FORMER:
        take_fixed(&f, ret->former, sizeof ret->former);
        break;
    case FIELD_REPORT:
        ret->report = p;
        ret->report_len = len;
        break;
    }
    return f.err == ERR_OK ? ERR_OK : ERR_FORMAT;
}

static enum err decode_body(const uint8_t *body, size_t len, struct record *ret)
{
    struct reader r;
    unsigned last = 0;
    reader_init(&r, body, len);
    while (reader_left(&r) > 0) {
        uint8_t tag = reader_u8(&r);
        size_t n = reader_u16(&r);
        const uint8_t *p = reader_take(&r, n);
        if (r.err != ERR_OK || tag <= last) /* rising order, so no field comes twice; none has tag 0 */
            return ERR_FORMAT;
        last = tag;
        TRY(decode_field(tag, p, n, ret));
    }
    return ERR_OK;
}

/* Each kind has one field that it is about. */
static bool is_complete(const struct record *r)
{
    switch (r->kind) {
    case RECORD_ESCROW:
    case RECORD_KEY_PACKAGE:
        return r->envelope != NULL;
    case RECORD_REPORT:
        return r->report != NULL;
    case RECORD_EVENT:
        return r->event != 0;
    default:
        return false;
    }
}

enum err record_decode(const uint8_t *in, size_t len, struct record *ret)
{
    struct reader r;
    struct record rec = {.kind = 0};
    reader_init(&r, in, len);
    TRY(decode_start(&r, &rec));
    uint32_t body_len = reader_u32(&r);
    if (body_len > RECORD_BODY_MAX)
        return ERR_FORMAT;
    const uint8_t *body = reader_take(&r, body_len);
    reader_skip(&r, CR_P256_SIG);
    TRY(reader_end(&r));
    TRY(decode_body(body, body_len, &rec));
    if (!is_complete(&rec))
        return ERR_FORMAT;
    *ret = rec;
    return ERR_OK;
}

enum err record_verify(const uint8_t *in, size_t len, const struct cr_p256_pub *pub)
{
    struct record rec;
    uint8_t id[CR_KEY_ID];
    TRY(record_decode(in, len, &rec));
    TRY(cr_p256_id(pub, id));
    if (memcmp(id, rec.device, sizeof id) != 0)
        return ERR_AUTH;
    return cr_p256_verify(pub, in, len - CR_P256_SIG, in + len - CR_P256_SIG);
}

enum err record_name(const uint8_t *in, size_t len, uint8_t ret[static 32])
{
    return cr_sha256(in, len, ret);
}
