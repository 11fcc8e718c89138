/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/export/export.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum err dial(int fd, const struct sockaddr *to, socklen_t len, int *ret_fd, bool *ret_connecting)
{
    const int size = EXPORT_SEND_BUFFER;
    if (fd < 0)
        return ERR_OFFLINE;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* little is lost with a connection */
    bool now = connect(fd, to, len) == 0;
    if (!now && errno != EINPROGRESS) {
        close(fd);
        return ERR_OFFLINE;
    }
    *ret_fd = fd;
    *ret_connecting = !now;
    return ERR_OK;
}

static enum err dial_local(const char *path, int *ret_fd, bool *ret_connecting)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return ERR_FORMAT;
    memcpy(to.sun_path, path, strlen(path) + 1);
    return dial(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), (const struct sockaddr *)&to,
                sizeof to, ret_fd, ret_connecting);
}

enum err export_dial(const char *address, int *ret_fd, bool *ret_connecting)
{
    char host[256];
    const char *at = address + strlen("tcp://"), *colon = strrchr(address, ':');
    bool tcp = strncmp(address, "tcp://", 6) == 0;
    if (address[0] == '/')
        return dial_local(address, ret_fd, ret_connecting);
    if ((!tcp && strncmp(address, "udp://", 6) != 0) || colon == NULL || colon < at)
        return ERR_FORMAT;
    bool brackets = at[0] == '[' && colon[-1] == ']';
    size_t len = (size_t)(colon - at) - 2 * brackets;
    if (len == 0 || len >= sizeof host)
        return ERR_FORMAT;
    memcpy(host, at + brackets, len);
    host[len] = '\0';
    /* numeric: looking up a name waits */
    const struct addrinfo hints = {.ai_socktype = tcp ? SOCK_STREAM : SOCK_DGRAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return ERR_FORMAT;
    enum err e = dial(socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                      found->ai_addr, found->ai_addrlen, ret_fd, ret_connecting);
    freeaddrinfo(found);
    return e;
}
