/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/export/export.h"
#include "escrow-server/process/address.h"
#include <errno.h>
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
    bool tcp = strncmp(address, "tcp://", 6) == 0;
    struct addrinfo *found = NULL;
    if (address[0] == '/')
        return dial_local(address, ret_fd, ret_connecting);
    if (!tcp && strncmp(address, "udp://", 6) != 0)
        return ERR_FORMAT;
    TRY(address_parse(address + strlen("tcp://"), tcp ? SOCK_STREAM : SOCK_DGRAM, 1, &found));
    enum err e = dial(socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                      found->ai_addr, found->ai_addrlen, ret_fd, ret_connecting);
    freeaddrinfo(found);
    return e;
}
