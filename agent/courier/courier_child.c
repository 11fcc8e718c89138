/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier.h"
#include "agent/courier/errand.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program that stands beside ours. */
static enum err find_program(char ret[static PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
    if (n < 0)
        return err_from_errno(errno);
    ret[n] = 0;
    char *slash = strrchr(ret, '/');
    if (!slash || (size_t)(slash - ret) + sizeof "/errand" > PATH_MAX)
        return ERR_RANGE;
    strcpy(slash, "/errand");
    return ERR_OK;
}

static enum err spawn(const char *program, const char *root, long patience_ms, int fd, pid_t *ret)
{
    char patience[24];
    (void)snprintf(patience, sizeof patience, "%ld", patience_ms);
    const char *const argv[] = {"errand", "--root", root, "--patience", patience, NULL};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ERR_NOMEM;
    /* a duplicate is not close-on-exec; everything else that is open here is */
    int e = posix_spawn_file_actions_adddup2(&actions, fd, ERRAND_FD);
    if (e == 0)
        e = posix_spawn(ret, program, &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return err_from_errno(e);
}

enum err courier_child_start(struct courier_child *c, const char *root, long patience_ms, int64_t now_ms,
                             const struct msg *m)
{
    char program[PATH_MAX];
    int fd[2];
    pid_t pid = 0;
    TRY(find_program(program));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
        return err_from_errno(errno);
    enum err e = spawn(program, root, patience_ms, fd[1], &pid);
    (void)close(fd[1]);
    if (e != ERR_OK) {
        (void)close(fd[0]);
        return e;
    }
    *c = (struct courier_child){.pid = pid, .kill_ms = now_ms + COURIER_KILL_MS};
    channel_adopt(fd[0], &c->channel);
    e = channel_queue(&c->channel, m);
    if (e != ERR_OK)
        courier_child_end(c);
    return e;
}

void courier_child_end(struct courier_child *c)
{
    if (c->pid > 0) {
        (void)kill(c->pid, SIGKILL); /* one that has said all it had to say has nothing left to lose */
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    channel_close(&c->channel);
    c->pid = 0;
}
