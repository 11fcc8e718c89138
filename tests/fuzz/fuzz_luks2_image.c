/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole LUKS2 device: binary headers of both copies patched and sealed again, cut at any length, one copy's
 * JSON replaced. Input: patches of four bytes (what, offset high, offset low, value) up to a line feed, then
 * the JSON. What is accepted is opened and its data read. */
#include "formats/luks2_data.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/luks2_image.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {"0 !a0\x01\x08z\n", "1 !a1\x01\x08z2@@@\n", "0 !a3\x01\x0fz\n{}",
                                  image_json, NULL};
const char *const fuzz_words[] = {"0 ", "1 ", "2\x40 x", "3 H\x7f", "0\x01 1", "\n", "\n{\"keyslots\":{}}",
                                  NULL};

/* what: bit 0 the copy, bit 1 cut the device there instead, bit 2 leave the checksum wrong */
static void patch(struct image *i, const uint8_t *p)
{
    size_t copy = (p[0] & 1) * (size_t)LUKS2_HDR_MIN, off = (size_t)(p[1] << 8 | p[2]) % LUKS2_HDR_MIN;
    if ((p[0] & 2) != 0)
        i->len = off * 64 + p[3];
    else
        i->p[copy + off] = p[3];
    if ((p[0] & 4) == 0) {
        memset(i->p + copy + 8, 0, 5); /* image_seal() goes by the size stated, this bounds it */
        i->p[copy + 13] &= 7;
        image_seal(i, copy);
    }
}

static void use(struct image *i, const struct luks2 *l)
{
    static struct luks2_data d;
    static uint8_t buf[3 * CR_SECTOR_MAX];
    struct luks2_problem why;
    struct volume_io io = image_io(i);
    SECRET(key);
    if (luks2_data_init(l, &io, i->len, &why, &d) == ERR_OK) {
        key.len = l->segment[0].key_size <= LUKS2_KEY_MAX ? l->segment[0].key_size : 0;
        for (unsigned slot = 0; slot < LUKS2_SLOTS; slot++)
            (void)!luks2_data_key(&d, slot, &key);
        size_t n = d.size < sizeof buf ? (size_t)d.size : sizeof buf;
        if (luks2_read(&d, d.size - n, buf, n) == ERR_OK && luks2_read(&d, d.size, buf, 1) != ERR_RANGE)
            abort();
    }
    luks2_data_wipe(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct luks2 l;
    struct image i;
    enum luks2_kind kind;
    const uint8_t *end = len > 0 ? memchr(data, '\n', len) : NULL;
    size_t patches = end == NULL ? 0 : (size_t)(end - data), json = end == NULL ? 0 : patches + 1;
    image_make(&i, image_json, strlen(image_json), LUKS2_HDR_MIN);
    if (len > json)
        image_set_json(&i, 0, (const char *)data + json, len - json);
    for (size_t k = 0; k + 4 <= patches && k < 64; k += 4)
        patch(&i, data + k);
    struct volume_io io = image_io(&i);
    if (luks2_probe(&io, &kind) != ERR_OK)
        abort();
    if (image_load(&i, &l) == ERR_OK)
        use(&i, &l);
    image_free(&i);
    return 0;
}
