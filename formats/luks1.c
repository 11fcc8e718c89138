/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/luks1.h"
#include "crypto/cursor.h"
#include "formats/text.h"
#include <string.h>

#define SLOT_ENABLED  0x00ac71f3u
#define SLOT_DISABLED 0x0000deadu
#define UUID_LEN      40
#define SLOTS_OFF                                                                                            \
    208 /* magic 6, version 2, three names of 32, offset 4, key 4, digest 20, salt 32, count 4, UUID 40 */
#define SLOT_REST 44 /* behind a keyslot's state: count 4, salt 32, offset 4, stripes 4 */

/* A field of n bytes, padded with zeros. */
static void take_text(struct reader *r, size_t n, char *ret, size_t cap)
{
    const uint8_t *p = reader_take(r, n);
    if (p == NULL)
        return;
    const uint8_t *end = memchr(p, 0, n);
    text_clean((const char *)p, end ? (size_t)(end - p) : n, ret, cap);
}

static enum err take_slots(struct reader *r, struct luks1 *ret)
{
    reader_seek(r, SLOTS_OFF);
    for (unsigned i = 0; i < LUKS1_SLOTS; i++) {
        uint32_t state = reader_u32be(r);
        reader_skip(r, SLOT_REST);
        TRY(r->err);
        if (state != SLOT_ENABLED && state != SLOT_DISABLED)
            return ERR_FORMAT;
        ret->slots += state == SLOT_ENABLED;
    }
    return ERR_OK;
}

enum err luks1_decode(const uint8_t *in, size_t len, struct luks1 *ret)
{
    struct reader r;
    struct luks1 l = {.slots = 0};
    char uuid[UUID_LEN + 1] = "";
    reader_init(&r, in, len);
    reader_expect(&r, "LUKS\xba\xbe", 6);
    if (r.err == ERR_FORMAT)
        return ERR_NOT_FOUND;
    uint16_t version = reader_u16be(&r);
    TRY(r.err);
    if (version != 1)
        return version == 2 ? ERR_VERSION : ERR_FORMAT;
    take_text(&r, 32, l.cipher, sizeof l.cipher);
    take_text(&r, 32, l.mode, sizeof l.mode);
    take_text(&r, 32, l.hash, sizeof l.hash);
    reader_skip(&r, 4);
    l.key_bytes = reader_u32be(&r);
    reader_skip(&r, 20 + 32 + 4);
    take_text(&r, UUID_LEN, uuid, sizeof uuid);
    TRY(r.err);
    TRY(guid_decode(uuid, strlen(uuid), &l.uuid));
    TRY(take_slots(&r, &l));
    *ret = l;
    return ERR_OK;
}
