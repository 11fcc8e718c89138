/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/address.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_MAX 96
#define PORT_MAX 65535

/* getaddrinfo() would take it modulo 65536. */
bool address_is_port(const char *text, unsigned min)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    return port >= min && port <= PORT_MAX;
}

enum err address_parse(const char *text, int socktype, unsigned port_min, struct addrinfo **ret)
{
    char host[HOST_MAX];
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = socktype, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    if (len == 0 || len >= sizeof host || !address_is_port(colon + 1, port_min))
        return ERR_FORMAT;
    bool brackets = text[0] == '[' && text[len - 1] == ']' && len > 2;
    snprintf(host, sizeof host, "%.*s", (int)(brackets ? len - 2 : len), text + brackets);
    return getaddrinfo(host, colon + 1, &hints, ret) == 0 ? ERR_OK : ERR_FORMAT;
}

bool address_is_good(const char *text)
{
    struct addrinfo *info = NULL;
    if (address_parse(text, SOCK_STREAM, 1, &info) != ERR_OK)
        return false;
    freeaddrinfo(info);
    return true;
}
