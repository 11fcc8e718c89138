/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/unlock_token.h"
#include "crypto/err.h"
#include "crypto/host/file.h"
#include "crypto/secret.h"
#include <errno.h>
#include <json-c/json.h>
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

static enum err spawn(const char *device, int slot, int out, pid_t *ret)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", slot);
    const char *const argv[] = {"clevis", "luks", "pass", "-d", device, "-s", number, NULL};
    posix_spawn_file_actions_t files;
    if (posix_spawn_file_actions_init(&files) != 0)
        return ERR_NOMEM;
    int e = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", 0, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (e == 0)
        e = posix_spawnp(ret, argv[0], &files, NULL, (char *const *)(uintptr_t)argv, environ);
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

enum err unlock_clevis(const char *device, const char *token_json, struct secret *ret_passphrase)
{
    SECRET(said);
    int fd[2], slot = slot_of(token_json);
    pid_t pid = 0;
    if (slot < 0)
        return ERR_AUTH;
    if (pipe(fd) < 0)
        return err_from_errno(errno);
    enum err e = spawn(device, slot, fd[1], &pid);
    (void)close(fd[1]);
    if (e == ERR_OK) {
        e = read_all(fd[0], &said);
        if (!ended_well(pid) && e == ERR_OK)
            e = ERR_AUTH;
    }
    (void)close(fd[0]);
    if (e == ERR_OK && said.len == 0)
        e = ERR_AUTH;
    if (e == ERR_OK)
        *ret_passphrase = said;
    return e;
}
