/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/efivar.h"
#include "agent/boot/handoff.h"
#include "crypto/host/monotonic.h"
#include <libcryptsetup.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PLYMOUTH    "/bin/plymouth"
#define OFFER       "The passphrase was not accepted. Press r and Enter to restart into Keyholt recovery, or Enter "
#define TO_TRY      OFFER "to try again"
#define TO_SHELL    OFFER "to go on to the emergency shell"
#define ANSWER_MAX  64
#define FOREVER     (-1L)
#define BY_PARTUUID "/dev/disk/by-partuuid/" /* udev's, as of all partitions that there are */

/* Is there anything to read before the time until? */
static bool readable(int fd, long until)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    long left = until == FOREVER ? -1 : until - monotonic_ms();
    return (until == FOREVER || left > 0) && poll(&p, 1, (int)left) > 0;
}

/* One line from fd; silence until then and end of file are an empty line. */
static void read_line(int fd, long until, char ret[static ANSWER_MAX])
{
    size_t n = 0;

    while (n + 1 < ANSWER_MAX && readable(fd, until)) {
        if (read(fd, ret + n, 1) != 1 || ret[n] == '\n' || ret[n] == '\r')
            break;
        n++;
    }
    ret[n] = 0;
}

static int run_plymouth(char *const argv[], int out)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (out >= 0)
        (void)dup2(out, STDOUT_FILENO);
    (void)execv(PLYMOUTH, argv);
    _exit(127);
}

static bool plymouth_runs(void)
{
    char *const ping[] = {(char[]){"plymouth"}, (char[]){"--ping"}, NULL};
    int status;
    if (access(PLYMOUTH, X_OK) != 0)
        return false;
    pid_t pid = run_plymouth(ping, -1);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* plymouth owns every console while it runs, the serial one too; its client prints the line typed. There is
 * no time-out: plymouthd keeps a question whose client has ended, so the passphrase typed next would be its
 * answer, shown in clear. */
static bool ask_plymouth(const char *question, char ret[static ANSWER_MAX])
{
    char prompt[sizeof TO_SHELL + 16];
    char *const ask[] = {(char[]){"plymouth"}, (char[]){"ask-question"}, prompt, NULL};
    int fds[2];

    (void)snprintf(prompt, sizeof prompt, "--prompt=%s", question);
    if (pipe(fds) < 0)
        return false;
    pid_t pid = run_plymouth(ask, fds[1]);
    (void)close(fds[1]);
    if (pid > 0) {
        read_line(fds[0], FOREVER, ret);
        (void)waitpid(pid, NULL, 0);
    }
    (void)close(fds[0]);
    return pid > 0;
}

static void ask_console(const char *question, unsigned seconds, char ret[static ANSWER_MAX])
{
    /* Keys pressed before the question was there are no answer to it. */
    (void)tcflush(STDIN_FILENO, TCIFLUSH);
    (void)fprintf(stderr, "%s: ", question);
    read_line(STDIN_FILENO, monotonic_ms() + (long)seconds * 1000, ret);
    fputs("\n", stderr);
}

static bool agreed(const struct handoff_args *a)
{
    const char *question = a->before_shell ? TO_SHELL : TO_TRY;
    char answer[ANSWER_MAX] = "";
    if (!plymouth_runs() || !ask_plymouth(question, answer))
        ask_console(question, a->seconds, answer);
    return strcmp(answer, "r") == 0 || strcmp(answer, "R") == 0;
}

static bool volume_is_ours(const struct handoff_args *a)
{
    struct crypt_device *cd;
    struct guid uuid;
    if (handoff_volume_load(a, &cd, &uuid) != ERR_OK)
        return false;
    bool ours = handoff_volume_is_ours(cd);
    crypt_free(cd);
    return ours;
}

static int go(const struct handoff_args *a, uint16_t entry)
{
    enum err e = handoff_entry_next(a->efivars, entry, a->reason);
    if (e == ERR_OK)
        return KH_EXIT_OK;
    fprintf(stderr,
            "keyholt: the firmware does not take the next start (%s); choose \"" KH_BOOT_ENTRY
            "\" in its boot menu\n",
            err_text(e));
    return KH_EXIT_FAILED;
}

/* Where an offer leads. */
struct way {
    bool entry,
        disk; /* the firmware has an entry; the app is on the volume's own disk, and no entry leads there */
    uint16_t number;
    struct handoff_esp esp;
};

/* An entry whose partition is on no disk here is another disk's, which was in this computer before. */
static bool leads_nowhere(const struct handoff_args *a, uint16_t number)
{
    struct guid guid;
    char path[sizeof BY_PARTUUID + GUID_TEXT] = BY_PARTUUID;
    if (access(BY_PARTUUID, F_OK) != 0 || handoff_entry_partition(a->efivars, number, &guid) != ERR_OK)
        return false;
    guid_encode_lower(&guid, path + strlen(path));
    return access(path, F_OK) != 0;
}

/* Where recovery would lead nowhere, nobody is asked: the prompts stay Debian's own. */
static bool find_way(const struct handoff_args *a, struct way *w)
{
    *w = (struct way){.entry = false};
    enum err e = handoff_entry_find(a->efivars, &w->number);
    w->entry = e == ERR_OK;
    if (w->entry && !leads_nowhere(a, w->number))
        return true;
    w->disk = (w->entry || e == ERR_NOT_FOUND) && efivar_available(a->efivars) &&
              handoff_disk_find(a->efivars, a->device, &w->esp) == ERR_OK;
    return w->disk || w->entry;
}

/* Before somebody agreed nothing is written, also not the entry for a disk that is new to this computer. */
static int take_way(const struct handoff_args *a, struct way *w)
{
    enum err e = !w->disk   ? ERR_OK
                 : w->entry ? handoff_entry_put(a->efivars, &w->esp, w->number)
                            : handoff_entry_add(a->efivars, &w->esp, &w->number);
    if (e == ERR_OK)
        return go(a, w->number);
    fprintf(stderr,
            "keyholt: the firmware does not take a boot entry (%s); start " KH_ESP_APP
            " of this disk from its boot menu\n",
            err_text(e));
    return KH_EXIT_FAILED;
}

int handoff_offer(const struct handoff_args *a)
{
    struct way w;
    if (!volume_is_ours(a) || !find_way(a, &w) || !agreed(a))
        return KH_EXIT_NO;
    return take_way(a, &w);
}

int handoff_to_recovery(const struct handoff_args *a)
{
    uint16_t entry;
    enum err e = handoff_entry_find(a->efivars, &entry);
    if (e == ERR_OK)
        return go(a, entry);
    if (e != ERR_NOT_FOUND) {
        fprintf(stderr, "keyholt: the EFI variables in %s cannot be listed: %s\n", a->efivars, err_text(e));
        return KH_EXIT_FAILED;
    }
    fprintf(stderr, "keyholt: this machine has no boot entry \"" KH_BOOT_ENTRY "\"; start " KH_ESP_APP
                    " from the firmware's boot menu\n");
    return KH_EXIT_NO;
}
