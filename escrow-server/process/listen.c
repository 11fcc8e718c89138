/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/listen.h"
#include "crypto/host/file.h"
#include "escrow-server/process/address.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG   1024
#define CONNECT_S 2

static enum err not_bound(int code)
{
    return code == EADDRNOTAVAIL ? ERR_NOT_FOUND : code == EADDRINUSE ? ERR_CONFLICT : err_from_errno(code);
}

static enum err open_one(const struct sockaddr *a, socklen_t len, int *ret)
{
    const int one = 1;
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_from_errno(errno);
    /* accepted sockets inherit TCP_NODELAY: evhttp leaves Nagle on (26 times fewer requests per second) */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 && bind(fd, a, len) == 0 &&
        listen(fd, BACKLOG) == 0) {
        *ret = fd;
        return ERR_OK;
    }
    enum err e = not_bound(errno);
    close(fd);
    return e;
}

/* With SO_REUSEPORT a second server of the same user would silently share the port; so ask without first. */
static enum err check_free(const struct sockaddr *a, socklen_t len)
{
    const int one = 1;
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_from_errno(errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    enum err e = bind(fd, a, len) == 0 ? ERR_OK : not_bound(errno);
    close(fd);
    return e;
}

enum err listen_tcp(const char *where, unsigned n, int *ret_fds, char ret_name[static LISTEN_TEXT])
{
    struct addrinfo *info = NULL;
    struct sockaddr_storage a;
    TRY(address_parse(where, SOCK_STREAM, 0, &info));
    socklen_t len = info->ai_addrlen;
    memcpy(&a, info->ai_addr, len);
    freeaddrinfo(info);
    struct sockaddr *sa = (struct sockaddr *)&a;
    TRY(check_free(sa, len));
    for (unsigned i = 0; i < n; i++) {
        enum err e = open_one(sa, len, &ret_fds[i]);
        if (e == ERR_OK && getsockname(ret_fds[i], sa, &len) != 0) {
            close(ret_fds[i]);
            e = ERR_IO;
        }
        while (e != ERR_OK && i > 0)
            close(ret_fds[--i]);
        TRY(e);
    }
    return listen_name(ret_fds[0], ret_name);
}

enum err listen_one(const char *where, int *ret_fd)
{
    char name[LISTEN_TEXT];
    return listen_tcp(where, 1, ret_fd, name);
}

const char *listen_why(enum err e)
{
    switch (e) {
    case ERR_FORMAT:
        return "a numeric address and a port from 1 to 65535 are wanted, as 127.0.0.1:8443";
    case ERR_CONFLICT:
        return "the address is in use; end who listens there, or name a free port";
    case ERR_NOT_FOUND:
        return "the address is none of this machine's; name one that it has, or 0.0.0.0 or [::] for all";
    case ERR_DENIED:
        return "you may not listen there; ports below 1024 are root's";
    default:
        return err_text(e);
    }
}

enum err listen_name(int fd, char ret[static LISTEN_TEXT])
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char host[64], port[8];
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0 ||
        getnameinfo((const struct sockaddr *)&a, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return ERR_INTERNAL;
    snprintf(ret, LISTEN_TEXT, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return ERR_OK;
}

static enum err local_address(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof ret->sun_path)
        return ERR_RANGE;
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return ERR_OK;
}

enum err listen_local(const char *path, int *ret_fd)
{
    struct sockaddr_un a;
    TRY(local_address(path, &a));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_from_errno(errno);
    (void)unlink(path);
    mode_t before = umask(0177);
    bool ok = bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, BACKLOG) == 0;
    umask(before);
    if (ok) {
        *ret_fd = fd;
        return ERR_OK;
    }
    close(fd);
    return ERR_IO;
}

static void set_send_limit(int fd, unsigned seconds)
{
    const struct timeval limit = {.tv_sec = (time_t)seconds};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static enum err not_connected(int code)
{
    switch (code) {
    case EAGAIN:
        return ERR_BUSY;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_OFFLINE;
    }
}

enum err listen_local_connect(const char *path, unsigned send_s, int *ret_fd)
{
    struct sockaddr_un a;
    TRY(local_address(path, &a));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_from_errno(errno);
    /* connect() waits for room in the backlog for as long as send() may wait: without a limit, for ever */
    set_send_limit(fd, CONNECT_S);
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0) {
        set_send_limit(fd, send_s);
        *ret_fd = fd;
        return ERR_OK;
    }
    enum err e = not_connected(errno);
    close(fd);
    return e;
}
