/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command_token.h"
#include "agent/command/command.h"
#include "agent/volume/unlock_token.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIN_TRIES 3

/* Beside the command in a build folder, or where the package puts it. */
static bool find_program(char ret[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = NULL;
    if (n > 0) {
        self[n] = 0;
        slash = strrchr(self, '/');
    }
    if (slash && snprintf(ret, PATH_MAX, "%.*s/../libexec/unlock", (int)(slash - self), self) < PATH_MAX &&
        access(ret, X_OK) == 0)
        return true;
    strcpy(ret, KH_LIBEXEC "/unlock");
    return access(ret, X_OK) == 0;
}

/* What is asked: a token, by number or any; or a key file. */
struct question {
    const char *device, *key_file;
    int token;
};

static enum err spawn(const char *program, const struct question *q, const int in_out[2], pid_t *ret)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", q->token);
    const char *const by_file[] = {"unlock", q->device, UNLOCK_KEY_FILE, q->key_file, NULL},
                      *const by_token[] = {"unlock", q->device, q->token < 0 ? NULL : number, NULL};
    const char *const *argv = q->key_file ? by_file : by_token;
    posix_spawn_file_actions_t files;
    if (posix_spawn_file_actions_init(&files) != 0)
        return ERR_NOMEM;
    int e = posix_spawn_file_actions_adddup2(&files, in_out[0], STDIN_FILENO);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(&files, in_out[1], STDOUT_FILENO);
    if (e == 0)
        e = posix_spawn(ret, program, &files, NULL, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    return err_from_errno(e);
}

/* All of it, or what came first of too much, which its length betrays. */
static void read_all(int fd, uint8_t *ret, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    ssize_t n;
    while (len < cap && ((n = read(fd, ret + len, cap - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    *ret_len = len;
}

static int exit_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return UNLOCK_TOKEN_FAILED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : UNLOCK_TOKEN_FAILED;
}

static enum err take(const uint8_t *said, size_t len, struct secret *ret, uint32_t *ret_flags)
{
    if (len < 2 || len > 1 + sizeof ret->bytes)
        return ERR_IO;
    memcpy(ret->bytes, said + 1, len - 1);
    ret->len = len - 1;
    *ret_flags = said[0] == UNLOCK_TOKEN_VOLUME_KEY ? MSG_PROTECT_VOLUME_KEY : 0;
    return ERR_OK;
}

/* One run of the helper. err: AUTH (it wants a PIN, or another one), NOT_FOUND, IO */
static enum err ask(const struct question *q, const struct secret *pin, struct secret *ret,
                    uint32_t *ret_flags)
{
    char program[PATH_MAX];
    uint8_t said[2 + sizeof ret->bytes];
    size_t len = 0;
    int in[2], out[2];
    pid_t pid = 0;
    if (!find_program(program))
        return ERR_NOT_FOUND;
    if (pipe2(in, O_CLOEXEC) < 0)
        return ERR_IO;
    if (pipe2(out, O_CLOEXEC) < 0)
        return close(in[0]), close(in[1]), ERR_IO;
    bool written = write(in[1], pin->bytes, pin->len) == (ssize_t)pin->len; /* shorter than a pipe holds */
    (void)close(in[1]);
    enum err e = written ? spawn(program, q, (int[]){in[0], out[1]}, &pid) : ERR_IO;
    (void)close(in[0]);
    (void)close(out[1]);
    if (e == ERR_OK) {
        read_all(out[0], said, sizeof said, &len);
        int code = exit_of(pid);
        e = code == UNLOCK_TOKEN_OK    ? take(said, len, ret, ret_flags)
            : code == UNLOCK_TOKEN_NO  ? ERR_NOT_FOUND
            : code == UNLOCK_TOKEN_PIN ? ERR_AUTH
                                       : ERR_IO;
    }
    (void)close(out[0]);
    cr_wipe(said, sizeof said);
    return e;
}

static enum err with_pin(const char *device, int token, const char *pin_file, struct secret *ret,
                         uint32_t *ret_flags)
{
    enum err e = ERR_AUTH;
    for (int i = 0; i < (pin_file ? 1 : PIN_TRIES) && e == ERR_AUTH; i++) {
        SECRET(pin);
        TRY(command_secret(pin_file, "PIN of the token: ", &pin));
        e = ask(&(struct question){.device = device, .token = token}, &pin, ret, ret_flags);
    }
    if (e == ERR_AUTH)
        command_say("token %d of %s does not take this PIN; nothing was changed", token, device);
    return e;
}

enum err command_token(const char *device, int token, const char *pin_file, struct secret *ret,
                       uint32_t *ret_flags)
{
    SECRET(none);
    enum err e = ask(&(struct question){.device = device, .token = token}, &none, ret, ret_flags);
    if (token == COMMAND_ANY_TOKEN)
        return e == ERR_AUTH ? ERR_NOT_FOUND : e;
    if (e == ERR_AUTH)
        return with_pin(device, token, pin_file, ret, ret_flags);
    if (e != ERR_OK)
        command_say("token %d of %s does not open it now; nothing was changed", token, device);
    return e;
}

enum err command_key_file(const char *device, const char *file, struct secret *ret, uint32_t *ret_flags)
{
    SECRET(none);
    enum err e = ask(&(struct question){.device = device, .key_file = file}, &none, ret, ret_flags);
    if (e != ERR_OK)
        command_say("%s: the key file %s %s; nothing was changed", device, file,
                    e == ERR_NOT_FOUND ? "does not open it" : "cannot be used");
    return e == ERR_NOT_FOUND ? ERR_AUTH : e;
}

bool command_token_number(const char *text, int *ret)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 0 || n > 31)
        return false;
    *ret = (int)n;
    return true;
}
