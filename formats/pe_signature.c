/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/pe_signature.h"
#include "crypto/cursor.h"

#define PE_POINTER  0x3c
#define COFF_HEADER 20
#define MAGIC_32    0x10b /* of the optional header */
#define MAGIC_64    0x20b
#define CHECKSUM    64 /* in the optional header */
#define SECURITY_32 128
#define SECURITY_64 144
#define PKCS_SIGNED 2 /* WIN_CERT_TYPE_PKCS_SIGNED_DATA */
#define CERT_HEADER 8

/* Offsets in the image. */
struct places {
    size_t checksum, entry; /* of the table in the directory */
    size_t table, table_len;
};

static enum err find(struct reader *r, size_t len, struct places *ret)
{
    reader_expect(r, "MZ", 2);
    reader_seek(r, PE_POINTER);
    size_t pe = reader_u32(r);
    reader_seek(r, pe);
    reader_expect(r, "PE\0\0", 4);
    reader_skip(r, COFF_HEADER);
    size_t optional = r->off;
    uint16_t magic = reader_u16(r);
    TRY(r->err);
    if (magic != MAGIC_32 && magic != MAGIC_64)
        return ERR_FORMAT;
    *ret = (struct places){.checksum = optional + CHECKSUM,
                           .entry = optional + (magic == MAGIC_64 ? SECURITY_64 : SECURITY_32)};
    reader_seek(r, ret->entry);
    ret->table = reader_u32(r);
    ret->table_len = reader_u32(r);
    TRY(r->err);
    if (ret->table_len == 0)
        ret->table = len;
    else if (ret->table < r->off || ret->table > len || len - ret->table != ret->table_len)
        return ERR_FORMAT;
    return ERR_OK;
}

static enum err list(struct reader *r, const struct places *at, struct pe_signatures *ret)
{
    reader_seek(r, at->table);
    while (r->err == ERR_OK && reader_left(r) > 0) {
        size_t len = reader_u32(r);
        reader_skip(r, 2); /* revision */
        uint16_t type = reader_u16(r);
        if (r->err == ERR_OK && len < CERT_HEADER)
            return ERR_FORMAT;
        struct cr_part p = {reader_take(r, len - CERT_HEADER), len - CERT_HEADER};
        size_t pad = -len % 8;
        reader_skip(r, pad < reader_left(r) ? pad : reader_left(r));
        if (r->err != ERR_OK || type != PKCS_SIGNED)
            continue;
        if (ret->n == PE_SIGNATURES)
            return ERR_RANGE;
        ret->signature[ret->n++] = p;
    }
    return r->err;
}

enum err pe_signatures_read(const void *image, size_t len, struct pe_signatures *ret)
{
    struct reader r;
    struct places at;
    struct pe_signatures s = {.n = 0};
    const uint8_t *p = image;
    reader_init(&r, image, len);
    TRY(find(&r, len, &at));
    TRY(list(&r, &at, &s));
    const struct cr_part parts[] = {{p, at.checksum},
                                    {p + at.checksum + 4, at.entry - at.checksum - 4},
                                    {p + at.entry + 8, at.table - at.entry - 8}};
    TRY(cr_hash_parts(CR_SHA256, parts, 3, s.sha256));
    *ret = s;
    return ERR_OK;
}
