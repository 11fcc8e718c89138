/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as the JSON of a LUKS2 header with right checksums; what is accepted is opened too. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/luks2_image.h"
#include <stdlib.h>

const char *const fuzz_seeds[] = {image_json, image_json_reencrypting, NULL};
const char *const fuzz_words[] = {"\"keyslots\":",
                                  "\"reencrypt\"",
                                  "\"crypt\"",
                                  "\"dynamic\"",
                                  "18446744073709551615",
                                  "\"512\"",
                                  "\\ud800",
                                  "[[[[[[[[",
                                  "{\"0\":{}}",
                                  "\"flags\":[\"backup-final\"],",
                                  NULL};

/* Not every KDF may cost what a header can say. */
static int is_cheap(const struct luks2 *l, const struct luks2_slot *s)
{
    return s->supported && s->iterations <= 2000 && l->digest[s->digest].iterations <= 2000 &&
           s->area_size <= 131072 && (uint64_t)s->memory_kib * s->iterations <= 4096;
}

static void use(struct image *i, const struct luks2 *l)
{
    static uint8_t area[LUKS2_AREA_MAX];
    struct volume_io io = image_io(i);
    uint8_t hash[32];
    for (unsigned slot = 0; slot < LUKS2_SLOTS; slot++) {
        SECRET(key);
        enum err e = luks2_fingerprint(&io, l, slot, area, sizeof area, hash);
        if (e != ERR_OK && e != ERR_UNSUPPORTED && e != ERR_NOT_FOUND)
            abort();
        if (is_cheap(l, &l->slot[slot]) &&
            luks2_open_slot(&io, l, slot, "x", 1, area, sizeof area, &key) != ERR_AUTH)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct luks2 l;
    struct image i;
    image_make(&i, (const char *)data, len, LUKS2_HDR_MIN);
    if (image_load(&i, &l) == ERR_OK)
        use(&i, &l);
    image_free(&i);
    return 0;
}
