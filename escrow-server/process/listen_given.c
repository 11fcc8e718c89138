/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/listen_given.h"
#include "escrow-server/process/slog.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GIVEN_FIRST 3 /* SD_LISTEN_FDS_START */
#define GIVEN_MAX   (CONF_WORKERS_MAX + 2)
#define GIVEN_NAMES 1024

/* A number of the environment; 0: none. */
static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    unsigned long n = text == NULL ? 0 : strtoul(text, &end, 10);
    return text == NULL || end == text || *end != '\0' ? 0 : n;
}

static int option_of(int fd, int option)
{
    int v = -1;
    socklen_t len = sizeof v;
    return getsockopt(fd, SOL_SOCKET, option, &v, &len) == 0 ? v : -1;
}

static bool make_ours(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static enum err take(struct listen_given *g, int fd, const char *name)
{
    const int one = 1;
    int domain = option_of(fd, SO_DOMAIN);
    bool good = option_of(fd, SO_ACCEPTCONN) == 1 && option_of(fd, SO_TYPE) == SOCK_STREAM && make_ours(fd) &&
                (domain == AF_UNIX || domain == AF_INET || domain == AF_INET6);
    if (!good) {
        slog(SLOG_ERROR, "start", "failed=\"the socket that was handed over is no listening one\" fd=%d", fd);
        return ERR_FORMAT;
    }
    if (strcmp(name, "metrics") == 0) {
        g->metrics = fd;
        return ERR_OK;
    }
    if (domain == AF_UNIX) {
        g->local = fd;
        return ERR_OK;
    }
    if (g->n_tcp == CONF_WORKERS_MAX)
        return ERR_RANGE;
    /* accepted sockets inherit it: listen.c says why */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        return ERR_IO;
    g->tcp[g->n_tcp++] = fd;
    return ERR_OK;
}

enum err listen_given(struct listen_given *ret)
{
    struct listen_given g = {.local = -1, .metrics = -1};
    char names[GIVEN_NAMES] = "";
    bool ours = number_of("LISTEN_PID") == (unsigned long)getpid();
    unsigned long n = ours ? number_of("LISTEN_FDS") : 0;
    const char *all = getenv("LISTEN_FDNAMES");
    if (all != NULL && strlen(all) < sizeof names)
        memcpy(names, all, strlen(all) + 1);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (unsigned i = 0; i < CONF_WORKERS_MAX; i++)
        g.tcp[i] = -1;
    if (n > GIVEN_MAX)
        return ERR_RANGE;
    char *rest = names;
    for (int i = 0; i < (int)n; i++) {
        const char *name = strsep(&rest, ":");
        TRY(take(&g, GIVEN_FIRST + i, name == NULL ? "" : name));
    }
    *ret = g;
    return ERR_OK;
}

void listen_notify(const char *state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path == NULL ? 0 : strlen(path);
    if (len < 2 || len >= sizeof a.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(a.sun_path, path, len + 1);
    if (a.sun_path[0] == '@')
        a.sun_path[0] = '\0'; /* an abstract one */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&a,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
        slog(SLOG_WARN, "start", "warning=\"nobody takes what is said to NOTIFY_SOCKET\"");
    close(fd);
}
