/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/peer_key.h"
#include <netinet/in.h>
#include <string.h>

static uint64_t big_endian(const uint8_t *p, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | p[i];
    return v;
}

uint64_t peer_key(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, a, sizeof four);
        return ntohl(four.sin_addr.s_addr);
    }
    if (a->ss_family != AF_INET6)
        return 0;
    struct sockaddr_in6 six;
    memcpy(&six, a, sizeof six);
    const uint8_t *p = six.sin6_addr.s6_addr;
    /* no /64 of a site is that small a number: ::/8 is reserved (RFC 4291) */
    return IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)   ? big_endian(p + 12, 4)
           : IN6_IS_ADDR_LOOPBACK(&six.sin6_addr) ? 1
                                                  : big_endian(p, 8);
}
