/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/unlock_token.h"
#include "crypto/err.h"
#include "crypto/host/file.h"
#include "crypto/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first keyslot that the token names: clevis looks its own data up by that. */
static int slot_of(const char *json)
{
    struct json_object *o = json_tokener_parse(json), *slots = NULL;
    int slot = -1;
    if (o && json_object_object_get_ex(o, "keyslots", &slots) &&
        json_object_is_type(slots, json_type_array) && json_object_array_length(slots) > 0)
        slot = json_object_get_int(json_object_array_get_idx(slots, 0));
    json_object_put(o);
    return slot;
}

/* clevis is a shell script with children (curl, jose, tpm2): all of them are one process group, which goes
 * when this helper has to. As a group of its own it does not hear of Ctrl-C by itself. */
static volatile pid_t group; /* 0: none */
static const int ends[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
#define N_ENDS (sizeof ends / sizeof ends[0])

struct watch {
    sigset_t mask; /* as it was */
    struct sigaction before[N_ENDS];
};

static void end_group(int sig)
{
    static const char late[] = "unlock: clevis gave no answer in time\n";
    if (sig == SIGALRM && write(STDERR_FILENO, late, sizeof late - 1) < 0)
        _exit(1);
    if (group > 0)
        (void)kill(-group, SIGKILL);
    (void)signal(sig, SIG_DFL);
    (void)raise(sig); /* held back until this returns */
}

/* Held back until the group has its number. */
static void watch_begin(struct watch *w)
{
    sigset_t held;
    const struct sigaction end = {.sa_handler = end_group};
    (void)sigemptyset(&held);
    for (size_t i = 0; i < N_ENDS; i++)
        (void)sigaddset(&held, ends[i]);
    (void)sigprocmask(SIG_BLOCK, &held, &w->mask);
    for (size_t i = 0; i < N_ENDS; i++)
        (void)sigaction(ends[i], &end, &w->before[i]);
}

static void watch_end(const struct watch *w)
{
    group = 0;
    for (size_t i = 0; i < N_ENDS; i++)
        (void)sigaction(ends[i], &w->before[i], NULL);
}

static int group_of_its_own(posix_spawnattr_t *how, const sigset_t *mask)
{
    int e = posix_spawnattr_setflags(how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    if (e == 0)
        e = posix_spawnattr_setpgroup(how, 0);
    return e ? e : posix_spawnattr_setsigmask(how, mask);
}

static enum err spawn(const char *device, int slot, int out, const sigset_t *mask, pid_t *ret)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", slot);
    const char *const argv[] = {"clevis", "luks", "pass", "-d", device, "-s", number, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    if (posix_spawn_file_actions_init(&files) != 0)
        return ERR_NOMEM;
    if (posix_spawnattr_init(&how) != 0)
        return (void)posix_spawn_file_actions_destroy(&files), ERR_NOMEM;
    int e = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", 0, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (e == 0)
        e = group_of_its_own(&how, mask);
    if (e == 0)
        e = posix_spawnp(ret, argv[0], &files, &how, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawnattr_destroy(&how);
    (void)posix_spawn_file_actions_destroy(&files);
    return err_from_errno(e);
}

/* To the end of what it says; one byte too many is too much. */
static enum err read_all(int fd, struct secret *ret)
{
    SECRET(s);
    for (;;) {
        uint8_t extra;
        bool full = s.len == sizeof s.bytes;
        ssize_t n = full ? read(fd, &extra, 1) : read(fd, s.bytes + s.len, sizeof s.bytes - s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            break;
        if (full)
            return ERR_RANGE;
        s.len += (size_t)n;
    }
    *ret = s;
    return ERR_OK;
}

static bool ended_well(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static enum err ask(const char *device, int slot, int fd[2], struct secret *ret)
{
    struct watch w;
    pid_t pid = 0;
    watch_begin(&w);
    enum err e = spawn(device, slot, fd[1], &w.mask, &pid);
    group = e == ERR_OK ? pid : 0;
    (void)sigprocmask(SIG_SETMASK, &w.mask, NULL);
    (void)close(fd[1]);
    if (e == ERR_OK) {
        e = read_all(fd[0], ret);
        if (!ended_well(pid) && e == ERR_OK)
            e = ERR_AUTH;
    }
    watch_end(&w);
    (void)close(fd[0]);
    return e;
}

enum err unlock_clevis(const char *device, const char *token_json, unsigned seconds,
                       struct secret *ret_passphrase)
{
    SECRET(said);
    int fd[2], slot = slot_of(token_json);
    if (slot < 0)
        return ERR_AUTH;
    if (pipe2(fd, O_CLOEXEC) < 0)
        return err_from_errno(errno);
    unsigned left = alarm(seconds);
    if (left)
        (void)alarm(left); /* the caller's own limit, for several tokens together */
    enum err e = ask(device, slot, fd, &said);
    if (!left)
        (void)alarm(0);
    if (e == ERR_OK && said.len == 0)
        e = ERR_AUTH;
    if (e == ERR_OK)
        *ret_passphrase = said;
    return e;
}
