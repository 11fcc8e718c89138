/* SPDX-License-Identifier: GPL-3.0-or-later */
#define OPENSSL_SUPPRESS_DEPRECATED    /* RAND_METHOD: a provider's generator is fetched and locked for each \
                                          call */
#include "escrow-server/web/tls_random.h"
#include "crypto/secret.h"
#include <errno.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/random.h>

/* Asked for four times in a handshake, for a few bytes each: the call takes longer than they do. */
static uint8_t pool[256];
static size_t left_in_pool;

static int from_kernel(unsigned char *p, int len)
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

/* What is given is there no more. One thread, and nobody forks: see one_thread.c. */
static int fill(unsigned char *p, int len)
{
    if (len < 0 || (size_t)len > sizeof pool)
        return from_kernel(p, len);
    if ((size_t)len > left_in_pool) {
        if (from_kernel(pool, sizeof pool) != 1)
            return 0;
        left_in_pool = sizeof pool;
    }
    left_in_pool -= (size_t)len;
    memcpy(p, pool + left_in_pool, (size_t)len);
    cr_wipe(pool + left_in_pool, (size_t)len);
    return 1;
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
