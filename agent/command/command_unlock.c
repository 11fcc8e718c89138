/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A BitLocker volume, usually on a removable disk, is opened with its recovery password by cryptsetup; that
 * is the moment at which the password is in somebody's hands, so the keeper proves and escrows it, too. */
#include "agent/command/command.h"
#include "formats/recovery_password.h"
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRYPTSETUP  "/usr/sbin/cryptsetup"
#define DM_NAME_MAX 127 /* of device-mapper */

extern char **environ;

struct options {
    struct command_args args;
    const char *file, *name;
    bool read_only;
};

/* cryptsetup with its standard input. ret: process ID */
static enum err spawn(const struct options *o, const char *device, const char *name, int in, pid_t *ret)
{
    const char *const argv[] = {CRYPTSETUP, "open", "--type", "bitlk", "--key-file=-",
                                "--",       device, name,     NULL};
    const char *const read_only[] = {CRYPTSETUP,     "open", "--readonly", "--type", "bitlk",
                                     "--key-file=-", "--",   device,       name,     NULL};
    posix_spawn_file_actions_t files;
    if (posix_spawn_file_actions_init(&files) != 0)
        return ERR_NOMEM;
    int e = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    if (e == 0)
        e = posix_spawn(ret, CRYPTSETUP, &files, NULL,
                        (char *const *)(uintptr_t)(o->read_only ? read_only : argv), environ);
    (void)posix_spawn_file_actions_destroy(&files);
    return e == 0 ? ERR_OK : e == ENOENT ? ERR_NOT_FOUND : ERR_IO;
}

/* err: NOT_FOUND (no cryptsetup), IO (cryptsetup said why) */
static enum err open_mapping(const struct options *o, const char *device, const char *name,
                             const struct secret *digits)
{
    int in_out[2], status = 0;
    pid_t pid;
    if (pipe(in_out) < 0)
        return ERR_IO;
    /* 55 bytes fit into any pipe: nobody has to read while they are written */
    bool written = write(in_out[1], digits->bytes, digits->len) == (ssize_t)digits->len;
    (void)close(in_out[1]);
    enum err e = written ? spawn(o, device, name, in_out[0], &pid) : ERR_IO;
    (void)close(in_out[0]);
    TRY(e);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ERR_OK : ERR_IO;
}

static int explain(enum err e, const char *device)
{
    if (e == ERR_NOT_FOUND)
        command_say("there is no " CRYPTSETUP "; install cryptsetup-bin");
    else
        command_say("%s was not opened; see what cryptsetup says: dmesg, or cryptsetup --debug open", device);
    return KH_EXIT_FAILED;
}

/* The keeper proves the password on the volume's own header, so it is asked first; whether it could escrow
 * it, or is there at all, keeps nobody from his files. */
static int open_and_show(const struct options *o, const char *device, const char *name,
                         const struct secret *typed, const struct secret *digits)
{
    const struct msg m = {.type = MSG_PROTECT,
                          .protect = {.device = msg_text(device),
                                      .passphrase = {typed->bytes, typed->len},
                                      .flags = MSG_PROTECT_BITLOCKER}};
    struct command_answer answer;
    char path[DM_NAME_MAX + 16];
    command_ask(&o->args, &m, &answer);
    if (answer.exit_code == KH_EXIT_NO)
        return command_show(&o->args, &answer, NULL);
    enum err e = open_mapping(o, device, name, digits);
    if (e != ERR_OK) {
        command_answer_free(&answer);
        return explain(e, device);
    }
    (void)snprintf(path, sizeof path, "/dev/mapper/%s", name);
    if (answer.json)
        json_object_object_add(answer.json, "mapping", json_object_new_string(path));
    if (!o->args.json)
        printf("%s is open: %s\n", device, path);
    return command_show(&o->args, &answer, NULL);
}

static bool mapping_name(const struct options *o, const char *device, char ret[static DM_NAME_MAX + 1])
{
    const char *base = strrchr(device, '/');
    const char *name = o->name ? o->name : base ? base + 1 : device;
    int n = snprintf(ret, DM_NAME_MAX + 1, "%s%s", o->name ? "" : "unlocked-", name);
    return n > 0 && n <= DM_NAME_MAX && !strchr(ret, '/');
}

static int unlock(const struct options *o, const char *device)
{
    SECRET(typed);
    SECRET(password);
    SECRET(digits);
    char name[DM_NAME_MAX + 1];
    unsigned wrong = 0;
    if (command_secret(o->file, "Recovery password (48 digits): ", &typed) != ERR_OK)
        return KH_EXIT_FAILED;
    if (rp_decode_file((const char *)typed.bytes, typed.len, &password, &wrong) != ERR_OK) {
        command_say(wrong ? "group %u of the recovery password is not right; nothing was done"
                          : "a recovery password has 48 digits; nothing was done%.0u",
                    wrong);
        return KH_EXIT_NO;
    }
    rp_encode(password.bytes, &digits);
    if (!mapping_name(o, device, name)) {
        command_say("a name of at most %d characters is wanted, without slashes", DM_NAME_MAX);
        return KH_EXIT_FAILED;
    }
    return open_and_show(o, device, name, &typed, &digits);
}

static int run(int argc, char **argv)
{
    struct options o = {.file = NULL};
    const struct command_option own[] = {{"recovery-password-file", &o.file, NULL},
                                         {"name", &o.name, NULL},
                                         {"read-only", NULL, &o.read_only},
                                         {NULL, NULL, NULL}};
    char device[PATH_MAX];
    int code;
    if (!command_parse(&command_unlock, argc, argv, own, &o.args, &code))
        return code;
    if (o.args.n_devices != 1)
        return command_usage(&command_unlock, "name the one device that is to be opened");
    command_device(o.args.device[0], device);
    return unlock(&o, device);
}

const struct command command_unlock = {
    "unlock", run, "open a BitLocker volume, and escrow its recovery password",
    "[--recovery-password-file FILE] [--name NAME]\n"
    "                             [--read-only] [--json] DEVICE\n\n"
    "Opens it as /dev/mapper/NAME by cryptsetup (\"unlocked-\" and the device's name\n"
    "where none is given) with its 48 digits, asked for or read from FILE (\"-\" is\n"
    "standard input). Before that, the same digits are proved and escrowed under\n"
    "their key ID, as by protect; that it opens does not depend on the escrow.\n\n"
    "Exit codes: 0 open and escrowed; 1 failed; 2 wrong use; 3 it is not opened by\n"
    "these digits; 4 open, and the escrow is not done yet.\n"};
