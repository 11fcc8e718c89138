/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists of entries: 16-bit length (header included), type, value type, version, data. */
#include "formats/bitlocker_format.h"

enum err bitlocker_entry_next(struct reader *r, struct bitlocker_entry *ret, bool *ret_more)
{
    struct reader at = *r;
    struct bitlocker_entry e = {.off = r->off};
    size_t len = reader_left(r) < BITLOCKER_ENTRY_LEN ? 0 : reader_u16(&at);
    *ret_more = len != 0; /* zeros fill up what is behind the last one */
    if (len == 0)
        return ERR_OK;
    if (len < BITLOCKER_ENTRY_LEN || len > reader_left(r))
        return ERR_FORMAT;
    e.type = reader_u16(&at);
    e.value = reader_u16(&at);
    reader_skip(&at, 2);
    e.len = len - BITLOCKER_ENTRY_LEN;
    e.data = reader_take(&at, e.len);
    if (at.err != ERR_OK)
        return ERR_FORMAT;
    *ret = e;
    *r = at;
    return ERR_OK;
}

enum err bitlocker_entries(const uint8_t *p, size_t len, bitlocker_visit *visit, void *ctx)
{
    struct reader r;
    struct bitlocker_entry e;
    bool more;
    reader_init(&r, p, len);
    for (;;) {
        TRY(bitlocker_entry_next(&r, &e, &more));
        if (!more)
            return ERR_OK;
        TRY(visit(ctx, &e));
    }
}
