#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The context of an algorithm of ours, for OpenSSL's tables: nothing is kept between calls. */

static inline void *tls_no_ctx(void *provctx)
{
    static char any;
    (void)provctx;
    return &any;
}

static inline void tls_free_no_ctx(void *ctx)
{
    (void)ctx;
}
