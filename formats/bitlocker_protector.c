/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What protects the volume master key: one row for each entry of that type. */
#include "formats/bitlocker_format.h"

#define VMK_LEN 28 /* key ID, time, hints, protection */

/* The high byte of the protection is a set: 1 TPM, 2 external key, 4 PIN, 8 recovery password, 16 public key,
 * 32 passphrase. source: docs/formats.md#bitlocker-protectors */
static uint8_t kind_of(uint16_t protection)
{
    static const struct {
        uint8_t bits, kind;
    } known[] = {{0x00, BITLOCKER_CLEAR_KEY},   {0x01, BITLOCKER_TPM},
                 {0x02, BITLOCKER_STARTUP_KEY}, {0x03, BITLOCKER_TPM_STARTUP_KEY},
                 {0x05, BITLOCKER_TPM_PIN},     {0x07, BITLOCKER_TPM_PIN_STARTUP_KEY},
                 {0x08, BITLOCKER_RECOVERY},    {0x10, BITLOCKER_PUBLIC_KEY},
                 {0x20, BITLOCKER_PASSPHRASE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].bits == protection >> 8)
            return known[i].kind;
    return BITLOCKER_OTHER;
}

/* What the properties of a protector hold. */
struct found {
    struct bitlocker_protector *row;
    bool stretch, sealed, key;
};

static enum err see(void *ctx, const struct bitlocker_entry *e)
{
    struct found *f = ctx;
    f->stretch = f->stretch || (e->value == BITLOCKER_VALUE_STRETCH && e->len >= 4 + BITLOCKER_SALT);
    f->sealed = f->sealed || (e->value == BITLOCKER_VALUE_SEALED && e->len > BITLOCKER_SEALED_LEN);
    f->key = f->key || (e->value == BITLOCKER_VALUE_KEY && e->len == 4 + 32);
    if (e->value == BITLOCKER_VALUE_TEXT && f->row->description[0] == 0)
        bitlocker_text(e->data, e->len, f->row->description, sizeof f->row->description);
    return ERR_OK;
}

static bool opens(uint8_t kind, const struct found *f)
{
    switch (kind) {
    case BITLOCKER_RECOVERY:
    case BITLOCKER_PASSPHRASE:
        return f->stretch; /* what it seals may lie inside */
    case BITLOCKER_STARTUP_KEY:
        return f->sealed;
    case BITLOCKER_CLEAR_KEY:
        return f->sealed && f->key;
    default:
        return false;
    }
}

enum err bitlocker_protector_decode(const uint8_t *data, size_t len, uint32_t off,
                                    struct bitlocker_protector *ret)
{
    struct reader r;
    struct bitlocker_protector row = {.off = off + VMK_LEN};
    struct found f = {.row = &row};
    reader_init(&r, data, len);
    reader_bytes(&r, row.key_id.bytes, sizeof row.key_id.bytes);
    row.changed = bitlocker_time(reader_u64(&r));
    reader_skip(&r, 2);
    row.protection = reader_u16(&r);
    if (r.err != ERR_OK)
        return ERR_FORMAT;
    row.len = (uint32_t)(len - VMK_LEN);
    row.kind = kind_of(row.protection);
    /* a property that does not fit spoils this protector only */
    enum err e = bitlocker_entries(data + VMK_LEN, row.len, see, &f);
    row.opens_here = e == ERR_OK && opens(row.kind, &f);
    *ret = row;
    return ERR_OK;
}

const char *bitlocker_kind_name(uint8_t kind)
{
    static const char *const names[] = {
        "unknown",     "clear key",           "recovery password",        "passphrase", "startup key", "TPM",
        "TPM and PIN", "TPM and startup key", "TPM, PIN and startup key", "public key", "unknown"};
    return names[kind < sizeof names / sizeof *names ? kind : 0];
}
