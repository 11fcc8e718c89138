/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/prober.h"
#include "agent/device/probe.h"
#include "crypto/host/monotonic.h"
#include "formats/names.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SILENT_MAX 16 /* devices that did not answer, remembered */
#define LEFT_MAX   16 /* probes that were killed and have not ended: one that waits for a device cannot */

static struct {
    char device[PATH_MAX];
    int64_t until_ms;
} silent[SILENT_MAX];
static pid_t left[LEFT_MAX];

static bool is_silent(const char *device)
{
    for (int i = 0; i < SILENT_MAX; i++)
        if (silent[i].until_ms > monotonic_ms() && strcmp(silent[i].device, device) == 0)
            return true;
    return false;
}

static void remember_silent(const char *device)
{
    int oldest = 0;
    for (int i = 1; i < SILENT_MAX; i++)
        if (silent[i].until_ms < silent[oldest].until_ms)
            oldest = i;
    (void)snprintf(silent[oldest].device, sizeof silent[oldest].device, "%s", device);
    silent[oldest].until_ms = monotonic_ms() + PROBER_FORGET_MS;
}

/* Beside the keeper, or where the package puts it. */
static bool find_program(char ret[PATH_MAX])
{
    static const char *const beside[] = {"/probe", "/../libexec/probe"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = NULL;
    if (n > 0) {
        self[n] = 0;
        slash = strrchr(self, '/');
    }
    for (size_t i = 0; slash && i < sizeof beside / sizeof beside[0]; i++)
        if (snprintf(ret, PATH_MAX, "%.*s%s", (int)(slash - self), self, beside[i]) < PATH_MAX &&
            access(ret, X_OK) == 0)
            return true;
    strcpy(ret, KH_LIBEXEC "/probe");
    return access(ret, X_OK) == 0;
}

/* fd becomes PROBE_FD, everything behind it is closed; no environment, no blocked signals. */
static bool spawn(const char *program, int fd, pid_t *ret)
{
    char *const argv[] = {(char[]){"probe"}, NULL}, *const env[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return false;
    }
    bool good = posix_spawn_file_actions_adddup2(&files, fd, PROBE_FD) == 0 &&
                posix_spawn_file_actions_addclosefrom_np(&files, PROBE_FD + 1) == 0 &&
                posix_spawnattr_setsigmask(&attr, &none) == 0 &&
                posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK) == 0 &&
                posix_spawn(ret, program, &files, &attr, argv, env) == 0;
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return good;
}

static bool start(struct prober *p)
{
    char program[PATH_MAX];
    int pair[2];
    if (!find_program(program) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    /* dup2() onto itself would leave close-on-exec set */
    int child = pair[1] > PROBE_FD ? pair[1] : fcntl(pair[1], F_DUPFD_CLOEXEC, PROBE_FD + 1);
    bool good = child >= 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 && spawn(program, child, &p->pid);
    if (child != pair[1] && child >= 0)
        close(child);
    close(pair[1]);
    if (!good) {
        close(pair[0]);
        return false;
    }
    p->channel = (struct channel){.fd = pair[0]};
    return true;
}

static void reap(void)
{
    for (int i = 0; i < LEFT_MAX; i++)
        if (left[i] && waitpid(left[i], NULL, WNOHANG) != 0)
            left[i] = 0;
}

/* Without waiting: what sleeps in the kernel ends when the kernel lets it. */
static void end(struct prober *p)
{
    channel_close(&p->channel);
    if (!p->pid)
        return;
    (void)kill(p->pid, SIGKILL);
    reap();
    if (waitpid(p->pid, NULL, WNOHANG) == 0)
        for (int i = 0; i < LEFT_MAX; i++)
            if (!left[i]) {
                left[i] = p->pid;
                break;
            }
    p->pid = 0;
}

static enum err ask(struct prober *p, const char *device, bool disk, struct probed *ret)
{
    const struct msg m = {.type = MSG_PROBE,
                          .probe = {.device = msg_text(device), .flags = disk ? MSG_PROBE_DISK : 0}};
    struct msg answer;
    TRY(channel_send(&p->channel, &m, PROBER_DEVICE_MS));
    TRY(channel_recv(&p->channel, PROBER_DEVICE_MS, &answer));
    if (answer.type != MSG_PROBED)
        return ERR_FORMAT;
    return probed_decode((const char *)answer.probed.json.p, answer.probed.json.len, ret);
}

void prober_ask(struct prober *p, const char *device, bool disk, struct probed *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->err = is_silent(device) ? ERR_TIMEOUT : ERR_OK;
    if (ret->err == ERR_OK && !channel_is_open(&p->channel) && !start(p))
        ret->err = ERR_INTERNAL;
    if (ret->err != ERR_OK)
        return;
    enum err e = ask(p, device, disk, ret);
    if (e == ERR_OK)
        return;
    memset(ret, 0, sizeof *ret);
    ret->err = e == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_INTERNAL;
    if (e == ERR_TIMEOUT)
        remember_silent(device);
    end(p);
}

void prober_close(struct prober *p)
{
    end(p);
}
