/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"
#include "escrow-server/web/web_call.h"
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#define GZIP_ONLY (MAX_WBITS + 16)

/* Inflated into memory that is kept: most bodies are some hundred bytes, and may be up to a megabyte. */
static struct {
    z_stream z;
    bool begun;
    uint8_t *room;
    size_t cap;
} inflater;

static enum err begin_inflate(size_t max)
{
    inflater.begun = inflater.begun || inflateInit2(&inflater.z, GZIP_ONLY) == Z_OK;
    if (!inflater.begun)
        return ERR_NOMEM;
    if (inflater.cap < max) {
        uint8_t *room = realloc(inflater.room, max);
        if (room == NULL)
            return ERR_NOMEM;
        inflater.room = room;
        inflater.cap = max;
    }
    return inflateReset(&inflater.z) == Z_OK ? ERR_OK : ERR_INTERNAL;
}

static enum err copy(const uint8_t *p, size_t len, uint8_t **ret)
{
    uint8_t *out = malloc(len + 1);
    if (out == NULL)
        return ERR_NOMEM;
    memcpy(out, p, len);
    out[len] = 0;
    *ret = out;
    return ERR_OK;
}

enum err web_inflate(const uint8_t *p, size_t len, size_t max, uint8_t **ret, size_t *ret_len)
{
    z_stream *z = &inflater.z;
    TRY(begin_inflate(max));
    z->next_in = p;
    z->avail_in = (uInt)len;
    z->next_out = inflater.room;
    z->avail_out = (uInt)max;
    int code = inflate(z, Z_FINISH);
    size_t n = max - z->avail_out;
    bool whole = code == Z_STREAM_END && z->avail_in == 0;
    bool large = z->avail_out == 0 && code != Z_STREAM_END;
    enum err e = whole ? copy(inflater.room, n, ret) : large ? ERR_RANGE : ERR_FORMAT;
    if (e == ERR_OK)
        *ret_len = n;
    cr_wipe(inflater.room, n);
    return e;
}

enum err web_deflate(const void *p, size_t len, uint8_t **ret, size_t *ret_len)
{
    z_stream z = {0};
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_ONLY, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return ERR_NOMEM;
    size_t cap = deflateBound(&z, len);
    uint8_t *out = malloc(cap + 1);
    z.next_in = p;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    int code = out == NULL ? Z_MEM_ERROR : deflate(&z, Z_FINISH);
    deflateEnd(&z);
    if (code != Z_STREAM_END) {
        free(out);
        return ERR_NOMEM;
    }
    *ret = out;
    *ret_len = cap - z.avail_out;
    return ERR_OK;
}
