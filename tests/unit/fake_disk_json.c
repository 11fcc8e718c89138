/* SPDX-License-Identifier: GPL-3.0-or-later */
/* source: LUKS2 On-Disk Format Specification 1.1.1, sections 3 and 4; LUKS1 specification, section 2.4 (AF)
 */
#include "tests/unit/fake_disk_json.h"
#include "crypto/random.h"
#include "crypto/sectors.h"
#include "formats/base.h"
#include "formats/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SALT 32

static const uint8_t digest_salt[SALT] = "the digest's salt is of 32 bytes";

json_object *fake_json_get(json_object *o, const char *a, const char *b)
{
    json_object *v = NULL;
    (void)json_object_object_get_ex(o, a, &v);
    if (b)
        (void)json_object_object_get_ex(v, b, &v);
    return v;
}

char *fake_json_new(const uint8_t key[static FAKE_KEY])
{
    uint8_t digest[CR_SHA256_SIZE];
    char salt[BASE64_LEN(SALT) + 1], value[BASE64_LEN(CR_SHA256_SIZE) + 1], *ret = malloc(2048);
    if (!ret ||
        cr_pbkdf2(CR_SHA256, key, FAKE_KEY, digest_salt, SALT, FAKE_COUNT, digest, sizeof digest) != ERR_OK)
        abort();
    base64_encode(digest_salt, SALT, salt);
    base64_encode(digest, sizeof digest, value);
    (void)snprintf(
        ret, 2048,
        "{\"keyslots\":{},\"tokens\":{},\"segments\":{\"0\":{\"type\":\"crypt\",\"offset\":\"%u\","
        "\"size\":\"dynamic\",\"iv_tweak\":\"0\",\"encryption\":\"aes-cbc-plain64\",\"sector_size\":512}},"
        "\"digests\":{\"0\":{\"type\":\"pbkdf2\",\"keyslots\":[],\"segments\":[\"0\"],\"hash\":\"sha256\","
        "\"iterations\":%u,\"salt\":\"%s\",\"digest\":\"%s\"}},"
        "\"config\":{\"json_size\":\"%u\",\"keyslots_size\":\"%u\"}}",
        IMAGE_SIZE, FAKE_COUNT, salt, value, FAKE_HDR - LUKS2_BIN_HDR, IMAGE_SIZE - FAKE_START);
    return ret;
}

/* The first free place for key material, 0 none. */
static uint64_t find_area(json_object *header)
{
    for (uint64_t off = FAKE_START; off + FAKE_AREA <= IMAGE_SIZE; off += FAKE_AREA) {
        bool taken = false;
        json_object_object_foreach(fake_json_get(header, "keyslots", NULL), number, slot)
        {
            (void)number;
            taken = taken ||
                    strtoull(json_object_get_string(fake_json_get(slot, "area", "offset")), NULL, 10) == off;
        }
        if (!taken)
            return off;
    }
    return 0;
}

/* Random stripes, and a last one with which they merge to the key. */
static void split(const uint8_t *key, uint8_t *area)
{
    uint8_t block[4 + FAKE_KEY] = {0}, *d = block + 4, hash[CR_SHA256_SIZE]; /* one block: number 0 */
    if (cr_random(area, (size_t)(LUKS2_STRIPES - 1) * FAKE_KEY) != ERR_OK)
        abort();
    for (size_t s = 0; s < LUKS2_STRIPES - 1; s++) {
        for (size_t i = 0; i < FAKE_KEY; i++)
            d[i] ^= area[s * FAKE_KEY + i];
        if (cr_sha256(block, sizeof block, hash) != ERR_OK)
            abort();
        memcpy(d, hash, FAKE_KEY);
    }
    for (size_t i = 0; i < FAKE_KEY; i++)
        area[(size_t)(LUKS2_STRIPES - 1) * FAKE_KEY + i] = d[i] ^ key[i];
}

static void encrypt(const uint8_t *salt, uint32_t count, const void *passphrase, size_t len, uint8_t *area)
{
    uint8_t key[DISK_AREA_KEY];
    struct cr_sectors c = {0};
    if (cr_pbkdf2(CR_SHA256, passphrase, len, salt, SALT, count, key, sizeof key) != ERR_OK ||
        cr_sectors_init(&c, CR_XTS_PLAIN64, key, sizeof key, 512, 512) != ERR_OK ||
        cr_sectors_crypt(&c, CR_ENCRYPT, 0, area, (size_t)LUKS2_STRIPES * FAKE_KEY) != ERR_OK)
        abort();
    cr_sectors_wipe(&c);
}

enum err fake_json_add_slot(json_object *header, unsigned slot, uint32_t count, const uint8_t *key,
                            const void *passphrase, size_t len, uint8_t *ret_area, uint64_t *ret_off)
{
    char text[512], number[8], salt64[BASE64_LEN(SALT) + 1];
    uint8_t salt[SALT];
    uint64_t off = find_area(header);
    if (off == 0)
        return ERR_FULL;
    if (cr_random(salt, sizeof salt) != ERR_OK)
        abort();
    base64_encode(salt, sizeof salt, salt64);
    (void)snprintf(number, sizeof number, "%u", slot);
    (void)snprintf(
        text, sizeof text,
        "{\"type\":\"luks2\",\"key_size\":%u,\"kdf\":{\"type\":\"pbkdf2\",\"hash\":\"sha256\","
        "\"iterations\":%u,\"salt\":\"%s\"},\"af\":{\"type\":\"luks1\",\"hash\":\"sha256\",\"stripes\":%d},"
        "\"area\":{\"type\":\"raw\",\"encryption\":\"aes-xts-plain64\",\"key_size\":%d,\"offset\":\"%llu\","
        "\"size\":\"%u\"}}",
        FAKE_KEY, count, salt64, LUKS2_STRIPES, DISK_AREA_KEY, (unsigned long long)off, FAKE_AREA);
    json_object_object_add(fake_json_get(header, "keyslots", NULL), number, json_tokener_parse(text));
    json_object_array_add(fake_json_get(fake_json_get(header, "digests", "0"), "keyslots", NULL),
                          json_object_new_string(number));
    split(key, ret_area);
    encrypt(salt, count, passphrase, len, ret_area);
    *ret_off = off;
    return ERR_OK;
}

static void remove_name(json_object *array, const char *name)
{
    for (size_t i = json_object_array_length(array); i-- > 0;)
        if (strcmp(json_object_get_string(json_object_array_get_idx(array, i)), name) == 0)
            json_object_array_del_idx(array, i, 1);
}

void fake_json_remove_slot(json_object *header, unsigned slot)
{
    char number[8];
    (void)snprintf(number, sizeof number, "%u", slot);
    json_object_object_del(fake_json_get(header, "keyslots", NULL), number);
    remove_name(fake_json_get(fake_json_get(header, "digests", "0"), "keyslots", NULL), number);
    json_object_object_foreach(fake_json_get(header, "tokens", NULL), id, token)
    {
        (void)id;
        remove_name(fake_json_get(token, "keyslots", NULL), number);
    }
}

int fake_json_free_token(json_object *header)
{
    char number[8];
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        (void)snprintf(number, sizeof number, "%d", i);
        if (!fake_json_get(header, "tokens", number))
            return i;
    }
    return -1;
}

static void add(uint8_t sum[static 32], const char *name, const void *p, size_t len)
{
    const struct cr_part parts[] = {{sum, 32}, {name, strlen(name)}, {p, len}};
    uint8_t next[CR_SHA256_SIZE];
    if (cr_hash_parts(CR_SHA256, parts, 3, next) != ERR_OK)
        abort();
    memcpy(sum, next, sizeof next);
}

/* A keyslot of Keyholt's is known by its count, as docs/formats.md says. */
static bool is_ours(json_object *slot)
{
    int64_t count = json_object_get_int64(fake_json_get(slot, "kdf", "iterations"));
    return count != FAKE_COUNT;
}

void fake_json_hash_others(json_object *header, const uint8_t *image, uint8_t ret[static 32])
{
    memset(ret, 0, 32);
    json_object_object_foreach(fake_json_get(header, "keyslots", NULL), number, slot)
    {
        const char *text = json_object_to_json_string_ext(slot, JSON_C_TO_STRING_PLAIN);
        if (is_ours(slot))
            continue;
        add(ret, number, text, strlen(text));
        uint64_t off = strtoull(json_object_get_string(fake_json_get(slot, "area", "offset")), NULL, 10);
        add(ret, "area", image + off, FAKE_AREA);
    }
    json_object_object_foreach(fake_json_get(header, "tokens", NULL), id, token)
    {
        const char *text = json_object_to_json_string_ext(token, JSON_C_TO_STRING_PLAIN);
        const char *type = json_object_get_string(fake_json_get(token, "type", NULL));
        if (strcmp(type, KH_TOKEN_TYPE) != 0 && strcmp(type, KH_TOKEN_MANAGEMENT) != 0)
            add(ret, id, text, strlen(text));
    }
    const char *segments = json_object_to_json_string_ext(fake_json_get(header, "segments", NULL), 0);
    add(ret, "segments", segments, strlen(segments));
    const char *digest =
        json_object_get_string(fake_json_get(fake_json_get(header, "digests", "0"), "digest", NULL));
    add(ret, "digest", digest, strlen(digest));
}
