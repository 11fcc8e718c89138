/* SPDX-License-Identifier: GPL-3.0-or-later */
#define OPENSSL_SUPPRESS_DEPRECATED    /* RAND_METHOD: a provider's generator is fetched and locked for each \
                                          call */
#include "escrow-server/web/tls_random.h"
#include <errno.h>
#include <openssl/rand.h>
#include <sys/random.h>

static int fill(unsigned char *p, int len)
{
    size_t left = len < 0 ? 0 : (size_t)len;
    while (left > 0) {
        ssize_t n = getrandom(p, left, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        p += n;
        left -= (size_t)n;
    }
    return len >= 0;
}

static int ready(void)
{
    unsigned char any;
    return fill(&any, sizeof any);
}

enum err tls_random_begin(void)
{
    static const RAND_METHOD kernel = {.bytes = fill, .pseudorand = fill, .status = ready};
    return ready() && RAND_set_rand_method(&kernel) == 1 ? ERR_OK : ERR_UNSUPPORTED;
}
