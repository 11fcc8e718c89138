/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_call.h"
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#define GZIP_ONLY (MAX_WBITS + 16)

enum err web_inflate(const uint8_t *p, size_t len, size_t max, uint8_t **ret, size_t *ret_len)
{
    z_stream z = {0};
    uint8_t *out = malloc(max + 1);
    if (out == NULL || inflateInit2(&z, GZIP_ONLY) != Z_OK) {
        free(out);
        return ERR_NOMEM;
    }
    z.next_in = p;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)max;
    int code = inflate(&z, Z_FINISH);
    size_t n = max - z.avail_out;
    bool whole = code == Z_STREAM_END && z.avail_in == 0;
    bool large = z.avail_out == 0 && code != Z_STREAM_END;
    inflateEnd(&z);
    if (!whole) {
        free(out);
        return large ? ERR_RANGE : ERR_FORMAT;
    }
    out[n] = 0;
    *ret = out;
    *ret_len = n;
    return ERR_OK;
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
