/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/errand.h"
#include <stdlib.h>
#define ZLIB_CONST /* input is const */
#include <zlib.h>

enum err errand_gzip(const void *p, size_t len, uint8_t **ret, size_t *ret_len)
{
    const int gzip_window = 15 + 16; /* zlib: the largest window, gzip framing */
    z_stream z = {0};

    if (len > UINT_MAX / 2)
        return ERR_RANGE;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return ERR_NOMEM;
    size_t cap = deflateBound(&z, (uLong)len);
    uint8_t *out = malloc(cap);
    enum err e = out ? ERR_OK : ERR_NOMEM;
    if (e == ERR_OK) {
        z.next_in = p;
        z.avail_in = (uInt)len;
        z.next_out = out;
        z.avail_out = (uInt)cap;
        e = deflate(&z, Z_FINISH) == Z_STREAM_END ? ERR_OK : ERR_INTERNAL;
    }
    if (e == ERR_OK) {
        *ret = out;
        *ret_len = z.total_out;
    } else {
        free(out);
    }
    (void)deflateEnd(&z);
    return e;
}
