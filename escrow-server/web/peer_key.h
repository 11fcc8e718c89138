#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose a connection is, as far as its address says. Pure. */

#include <stdint.h>
#include <sys/socket.h>

/* IPv4: the address, also where it is written as an IPv6 one; IPv6: its /64, which is one site's, who has all
 * addresses in it (RFC 6177). 0: neither */
uint64_t peer_key(const struct sockaddr_storage *a);
