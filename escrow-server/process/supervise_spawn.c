/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/supervise_slot.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const executables[] = {[PROCESS_WEB] = "web",
                                          [PROCESS_WRITER] = "writer",
                                          [PROCESS_VAULT] = "vault",
                                          [PROCESS_EXPORT] = "export",
                                          [PROCESS_READER] = "reader"};

const char *slot_name(const struct slot *slot)
{
    return executables[slot->kind];
}

/* In the child, between fork and exec: only async-signal-safe calls. */
static void become(const struct supervisor *s, const char *path, const char *name, int null, int control,
                   pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* the socket's end says it too, to a child that changed its uid */
    if (getppid() != parent)
        _exit(1);
    /* no terminal, neither as input nor by name: nothing that runs in a child may ask anybody */
    if (setsid() < 0 || dup2(null, STDIN_FILENO) != STDIN_FILENO || fcntl(STDIN_FILENO, F_SETFD, 0) != 0)
        _exit(1);
    if (control == CONTROL_FD) {
        if (fcntl(control, F_SETFD, 0) != 0)
            _exit(1);
    } else if (dup2(control, CONTROL_FD) != CONTROL_FD) {
        _exit(1);
    }
    execl(path, name, "--root", s->root, (char *)NULL);
    _exit(127);
}

enum err slot_spawn(const struct supervisor *s, struct slot *slot)
{
    char path[PATH_MAX];
    int pair[2];
    int n = snprintf(path, sizeof path, "%s/%s", s->libexec, slot_name(slot));
    if (n < 0 || (size_t)n >= sizeof path)
        return ERR_RANGE;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
        return ERR_IO;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        close(null);
        return ERR_IO;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(s, path, slot_name(slot), null, pair[1], parent);
    close(null);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return ERR_NOMEM;
    }
    slot->pid = pid;
    slot->control = pair[0];
    slot->ready = false;
    slot->started_ms = monotonic_ms();
    return ERR_OK;
}
