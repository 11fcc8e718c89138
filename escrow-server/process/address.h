#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses as people write them: "127.0.0.1:8443", "[::1]:8443". Numbers only: the server asks no name
 * server. */

#include "crypto/err.h"
#include <netdb.h>
#include <stdbool.h>

/* Digits from min to 65535, at most 5 of them. */
bool address_is_port(const char *text, unsigned min);
/* socktype: SOCK_STREAM or SOCK_DGRAM
 * port_min: 0 where a free port may be taken, else 1
 * ret:      freeaddrinfo() frees it. err: FORMAT */
MUST_CHECK enum err address_parse(const char *text, int socktype, unsigned port_min, struct addrinfo **ret);
/* With a port from 1 to 65535. */
bool address_is_good(const char *text);
