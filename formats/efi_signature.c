/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/efi_signature.h"
#include <string.h>

#define OWNER 16

/* As they lie in the variable. source: UEFI 2.10 section 32.4.1 */
static const struct {
    uint8_t guid[16];
    enum efi_signature_kind kind;
    size_t min, max; /* of one, without the owner */
} kinds[] = {
    {{0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72},
     EFI_SIGNATURE_X509,
     1,
     1u << 20},
    {{0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28},
     EFI_SIGNATURE_SHA256,
     32,
     32},
    {{0x92, 0xa4, 0xd2, 0x3b, 0xc0, 0x96, 0x79, 0x40, 0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03, 0xed},
     EFI_SIGNATURE_TBS_SHA256,
     32,
     48},
};

void efi_signatures_begin(const void *lists, size_t len, struct efi_signatures *ret)
{
    *ret = (struct efi_signatures){.kind = EFI_SIGNATURE_OTHER};
    reader_init(&ret->r, lists, len);
}

static enum efi_signature_kind kind_of(const uint8_t *guid, size_t each)
{
    for (size_t i = 0; guid && i < sizeof kinds / sizeof kinds[0]; i++)
        if (memcmp(guid, kinds[i].guid, sizeof kinds[i].guid) == 0 && each - OWNER >= kinds[i].min &&
            each - OWNER <= kinds[i].max)
            return kinds[i].kind;
    return EFI_SIGNATURE_OTHER;
}

/* The head of a list. What its fields say must fit into it. */
static void begin_list(struct efi_signatures *s)
{
    size_t start = s->r.off;
    const uint8_t *type = reader_take(&s->r, 16);
    size_t len = reader_u32(&s->r), header = reader_u32(&s->r);
    s->each = reader_u32(&s->r);
    size_t body = s->r.off - start;
    if (s->r.err == ERR_OK && (len < body || len - body < header || s->each <= OWNER ||
                               (len - body - header) % s->each != 0 || len - body > reader_left(&s->r)))
        s->r.err = ERR_FORMAT;
    if (s->r.err != ERR_OK)
        return;
    s->end = start + len;
    s->kind = kind_of(type, s->each);
    reader_skip(&s->r, header);
}

bool efi_signatures_next(struct efi_signatures *s, struct efi_signature *ret)
{
    while (s->r.err == ERR_OK && s->r.off == s->end) {
        if (reader_left(&s->r) == 0)
            return false;
        begin_list(s);
    }
    reader_skip(&s->r, OWNER);
    const uint8_t *p = reader_take(&s->r, s->each - OWNER);
    if (s->r.err != ERR_OK)
        return false;
    *ret = (struct efi_signature){.kind = s->kind, .p = p, .len = s->each - OWNER};
    return true;
}

bool efi_signatures_whole(const struct efi_signatures *s)
{
    return s->r.err == ERR_OK;
}
