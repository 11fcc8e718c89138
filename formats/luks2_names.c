/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names and numbers as LUKS2 headers write them. */
#include "formats/luks2_metadata.h"
#include <string.h>

enum err luks2_id(const struct jw *j, int node, unsigned max, unsigned *ret)
{
    uint64_t v;
    if (jw_u64(j, node, JW_STRING, max, &v) != ERR_OK)
        return ERR_FORMAT;
    /* "07" and "7" would be two objects for one number. */
    char text[21];
    char *p = text + sizeof text - 1;
    *p = 0;
    uint64_t rest = v;
    do
        *--p = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (!jw_is(j, node, p))
        return ERR_FORMAT;
    *ret = (unsigned)v;
    return ERR_OK;
}

bool luks2_is_numbered(const struct jw *j, int node)
{
    uint64_t v;
    enum err e = jw_u64(j, node, JW_STRING, UINT64_MAX, &v);
    return e == ERR_OK || e == ERR_RANGE || jw_is(j, node, "");
}

int luks2_string(const struct jw *j, int object, const char *name)
{
    int node = jw_get_as(j, object, name, JW_STRING);
    char start[16];
    jw_excerpt(j, node, start, sizeof start);
    /* a zero character ends it for cryptsetup */
    return start[0] == 0 || strncmp(start, "\\u0000", 6) == 0 ? JW_NONE : node;
}

enum err luks2_decimal(const struct jw *j, int object, const char *name, uint64_t *ret)
{
    return jw_u64(j, jw_get(j, object, name), JW_STRING, UINT64_MAX, ret) == ERR_OK ? ERR_OK : ERR_FORMAT;
}

bool luks2_all_strings(const struct jw *j, int array)
{
    struct jw_each e;
    if (jw_type(j, array) != JW_ARRAY)
        return false;
    for (jw_each(j, array, &e); jw_each_next(j, &e);)
        if (jw_type(j, e.value) != JW_STRING)
            return false;
    return true;
}

void luks2_each(const struct jw *j, int section, struct luks2_each *ret)
{
    struct jw_each e;
    for (unsigned i = 0; i < 32; i++)
        ret->last[i] = JW_NONE;
    for (jw_each(j, section, &e); jw_each_next(j, &e);) {
        unsigned id;
        if (luks2_id(j, e.name, 31, &id) == ERR_OK)
            ret->last[id] = e.value;
    }
    jw_each(j, section, &ret->each);
}

bool luks2_each_next(const struct jw *j, struct luks2_each *e, int *ret_name, int *ret_value)
{
    while (jw_each_next(j, &e->each)) {
        unsigned id;
        if (luks2_id(j, e->each.name, 31, &id) == ERR_OK && e->last[id] != e->each.value)
            continue;
        *ret_name = e->each.name;
        *ret_value = e->each.value;
        return true;
    }
    return false;
}

/* cryptsetup hands the name to OpenSSL, which minds no case. */
uint8_t luks2_hash(const struct jw *j, int node)
{
    static const struct {
        const char *lower, *upper;
        enum cr_hash hash;
    } known[] = {{"sha256", "SHA256", CR_SHA256}, {"sha512", "SHA512", CR_SHA512}, {"sha1", "SHA1", CR_SHA1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (jw_is(j, node, known[i].lower) || jw_is(j, node, known[i].upper))
            return (uint8_t)known[i].hash;
    return 0;
}

static const struct {
    const char *name;
    enum luks2_cipher cipher;
    enum cr_sectors_mode mode;
} ciphers[] = {{"aes-xts-plain64", LUKS2_XTS_PLAIN64, CR_XTS_PLAIN64},
               {"aes-xts-plain", LUKS2_XTS_PLAIN, CR_XTS_PLAIN},
               {"aes-cbc-essiv:sha256", LUKS2_CBC_ESSIV, CR_CBC_ESSIV_SHA256},
               {"aes-cbc-plain64", LUKS2_CBC_PLAIN64, CR_CBC_PLAIN64},
               {"aes-cbc-plain", LUKS2_CBC_PLAIN, CR_CBC_PLAIN}};
#define N_CIPHERS (sizeof ciphers / sizeof *ciphers)

uint8_t luks2_cipher(const struct jw *j, int node)
{
    for (size_t i = 0; i < N_CIPHERS; i++)
        if (jw_is(j, node, ciphers[i].name))
            return (uint8_t)ciphers[i].cipher;
    return 0;
}

enum cr_sectors_mode luks2_cipher_mode(uint8_t cipher)
{
    for (size_t i = 0; i < N_CIPHERS; i++)
        if (ciphers[i].cipher == cipher)
            return ciphers[i].mode;
    return 0;
}

bool luks2_cipher_takes(uint8_t cipher, uint32_t key_size)
{
    if (cipher == LUKS2_XTS_PLAIN64 || cipher == LUKS2_XTS_PLAIN)
        return key_size == 32 || key_size == 64;
    return cipher != 0 && (key_size == 16 || key_size == 32);
}
