/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/luks2_image.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SALT "\"R5HMou19lxNg0Bi+ZDK1BDphs0ha1QyrMOBZhsfQjo8=\""
#define AF   "\"af\":{\"type\":\"luks1\",\"hash\":\"sha256\",\"stripes\":4000}"
#define AREA(off)                                                                                            \
    "\"area\":{\"type\":\"raw\",\"encryption\":\"aes-xts-plain64\",\"key_size\":32,\"offset\":\"" off        \
    "\",\"size\":\"131072\"}"
#define SLOT(kdf, off)                                                                                       \
    "{\"type\":\"luks2\",\"key_size\":32,\"kdf\":{" kdf ",\"salt\":" SALT "}," AF "," AREA(off) "}"
#define PBKDF2 "\"type\":\"pbkdf2\",\"hash\":\"sha256\",\"iterations\":1234"
#define ARGON2 "\"type\":\"argon2id\",\"time\":4,\"memory\":1024,\"cpus\":2"

#define SLOT_0 "\"0\":" SLOT(PBKDF2, "32768")
#define SLOT_1 "\"1\":" SLOT(PBKDF2, "163840")
#define SLOT_5 "\"5\":" SLOT(ARGON2, "294912")
#define CLEVIS "\"0\":{\"type\":\"clevis\",\"keyslots\":[\"0\"],\"jwe\":{\"a\":[1,-2.5e3,true,null]}}"
#define KEYHOLT                                                                                              \
    "\"3\":{\"type\":\"keyholt\",\"keyslots\":[\"1\"],\"version\":1,\"state\":\"live\",\"slot\":1,"          \
    "\"count\":1234,\"key_id\":\"3F2504E0-4F89-41D3-9A0C-0305E82C3301\",\"envelope\":\"S0hFAQ==\","          \
    "\"fingerprint\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}"
#define CRYPT(flags, off, size)                                                                              \
    "{\"type\":\"crypt\",\"offset\":\"" off "\",\"size\":\"" size "\",\"iv_tweak\":\"0\","                   \
    "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512" flags "}"
#define DIGEST(slots, segments)                                                                              \
    "{\"type\":\"pbkdf2\",\"keyslots\":[" slots "],\"segments\":[" segments "],\"hash\":\"sha256\","         \
    "\"iterations\":1000,\"salt\":" SALT ",\"digest\":" SALT "}"
#define SIZES "\"json_size\":\"12288\",\"keyslots_size\":\"491520\""

const char image_json[] =
    "{\"keyslots\":{" SLOT_0 "," SLOT_1 "," SLOT_5 "},"
    "\"tokens\":{" CLEVIS "," KEYHOLT "},"
    "\"segments\":{\"0\":" CRYPT("", "524288",
                                 "dynamic") "},"
                                            "\"digests\":{\"0\":" DIGEST("\"0\",\"1\",\"5\"",
                                                                         "\"0\"") "},"
                                                                                  "\"config\":{" SIZES "}}";

#define STATE                                                                                                \
    "\"2\":{\"type\":\"reencrypt\",\"key_size\":1,\"mode\":\"reencrypt\",\"direction\":\"forward\","         \
    "\"area\":{\"type\":\"checksum\",\"hash\":\"sha256\",\"sector_size\":512,\"offset\":\"294912\","         \
    "\"size\":\"131072\"}}"
#define DONE     "\"0\":" CRYPT("", "524288", "65536")
#define LEFT     "\"1\":" CRYPT("", "589824", "dynamic")
#define FINAL    "\"2\":" CRYPT(",\"flags\":[\"backup-final\"]", "524288", "dynamic")
#define PREVIOUS "\"3\":" CRYPT(",\"flags\":[\"backup-previous\"]", "524288", "dynamic")
#define OLD_KEY  "\"0\":" DIGEST("\"0\"", "\"1\",\"3\"")
#define NEW_KEY  "\"1\":" DIGEST("\"1\"", "\"0\",\"2\"")
#define NO_KEY   "\"2\":{\"type\":\"pbkdf2\",\"keyslots\":[\"2\"],\"segments\":[]}"

const char image_json_reencrypting[] = "{\"keyslots\":{" SLOT_0 "," SLOT_1 "," STATE "},"
                                       "\"tokens\":{},"
                                       "\"segments\":{" DONE "," LEFT "," FINAL "," PREVIOUS "},"
                                       "\"digests\":{" OLD_KEY "," NEW_KEY "," NO_KEY "},"
                                       "\"config\":{" SIZES ",\"requirements\":{"
                                       "\"mandatory\":[\"online-reencrypt-v2\"]}}}";

const char *image_edit(const char *text, const char *from, const char *to)
{
    static char out[16384];
    const char *at = strstr(text, from);
    if (at == NULL)
        abort();
    int n = snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    if (n < 0 || (size_t)n >= sizeof out)
        abort();
    return out;
}

static void put_be(uint8_t *p, uint64_t v, size_t n)
{
    while (n-- > 0) {
        p[n] = (uint8_t)v;
        v >>= 8;
    }
}

static size_t size_of(const struct image *i, size_t off)
{
    size_t size = 0;
    for (size_t k = 8; k < 16; k++)
        size = size << 8 | i->p[off + k];
    return size;
}

void image_seal(struct image *i, size_t off)
{
    uint8_t sum[32];
    memset(i->p + off + 448, 0, 64);
    if (cr_sha256(i->p + off, size_of(i, off), sum) != ERR_OK)
        abort();
    memcpy(i->p + off + 448, sum, sizeof sum);
}

void image_set_json(struct image *i, size_t off, const char *json, size_t json_len)
{
    size_t room = size_of(i, off) - LUKS2_BIN_HDR;
    memset(i->p + off + LUKS2_BIN_HDR, 0, room);
    memcpy(i->p + off + LUKS2_BIN_HDR, json, json_len < room ? json_len : room);
    image_seal(i, off);
}

void image_set_seqid(struct image *i, size_t off, uint64_t seqid)
{
    put_be(i->p + off + 16, seqid, 8);
    image_seal(i, off);
}

static void write_binary(struct image *i, size_t off, size_t hdr_size)
{
    uint8_t *p = i->p + off;
    memcpy(p, off == 0 ? "LUKS\xba\xbe" : "SKUL\xba\xbe", 6);
    put_be(p + 6, 2, 2);
    put_be(p + 8, hdr_size, 8);
    put_be(p + 16, 5, 8);
    memcpy(p + 24, "label", 6);
    memcpy(p + 72, "sha256", 7);
    memcpy(p + 168, "12a3a118-7039-4575-a649-3f559d8d87ee", 37);
    put_be(p + 256, off, 8);
}

void image_make(struct image *ret, const char *json, size_t json_len, size_t hdr_size)
{
    *ret = (struct image){.len = IMAGE_SIZE > 3 * hdr_size ? IMAGE_SIZE : 3 * hdr_size, .hdr_size = hdr_size};
    ret->p = calloc(1, ret->len);
    if (ret->p == NULL)
        abort();
    for (size_t off = 0; off <= hdr_size; off += hdr_size) {
        write_binary(ret, off, hdr_size);
        image_set_json(ret, off, json, json_len);
    }
}

void image_free(struct image *i)
{
    free(i->p);
    i->p = NULL;
}

static enum err read_image(void *ctx, uint64_t off, void *buf, size_t len)
{
    struct image *i = ctx;
    if (i->fail != ERR_OK)
        return i->fail;
    if (off > i->len || len > i->len - off)
        return ERR_TRUNCATED;
    memcpy(buf, i->p + off, len);
    return ERR_OK;
}

struct volume_io image_io(struct image *i)
{
    return (struct volume_io){.read = read_image, .ctx = i};
}

enum err image_load(struct image *i, struct luks2 *ret)
{
    size_t len = LUKS2_SCRATCH(i->hdr_size);
    void *scratch = malloc(len);
    if (scratch == NULL)
        abort();
    struct volume_io io = image_io(i);
    enum err e = luks2_load(&io, scratch, len, ret);
    free(scratch);
    return e;
}
