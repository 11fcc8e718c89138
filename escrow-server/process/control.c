/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/control.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union fd_space {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
};

enum err control_send(int socket, enum control_what what, int fd)
{
    uint8_t byte = (uint8_t)what;
    union fd_space u = {0};
    struct iovec io = {&byte, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = u.space;
        m.msg_controllen = sizeof u.space;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    do {
        n = sendmsg(socket, &m, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n == 1 ? ERR_OK : ERR_OFFLINE;
}

enum err control_receive(int socket, enum control_what *ret_what, int *ret_fd)
{
    uint8_t byte = 0;
    union fd_space u = {0};
    struct iovec io = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = u.space, .msg_controllen = sizeof u.space};
    ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? ERR_NOT_FOUND : ERR_OFFLINE;
    if (n == 0)
        return ERR_OFFLINE;
    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    if (byte < CONTROL_LISTEN_TCP || byte > CONTROL_WORKING) {
        if (fd >= 0)
            close(fd);
        return ERR_FORMAT;
    }
    *ret_what = (enum control_what)byte;
    *ret_fd = fd;
    return ERR_OK;
}
