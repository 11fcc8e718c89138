/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/doctor_facts.h"
#include "crypto/host/file.h"
#include "formats/names.h"
#include <fcntl.h>
#include <limits.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PEM_MAX 16384
#define HOOK    "/usr/share/initramfs-tools/hooks/keyholt"
#define TOOLS   "/usr/sbin/update-initramfs"
#define LISTER  "/usr/bin/lsinitramfs"
#define HELPER  "usr/libexec/keyholt/handoff"

/* When the certificate in a file ends; 0: there is none. */
static int64_t certificate_end(const char *path)
{
    uint8_t *pem;
    size_t len;
    struct tm t;
    int64_t end = 0;
    if (file_read(path, PEM_MAX, &pem, &len) != ERR_OK)
        return 0;
    BIO *in = BIO_new_mem_buf(pem, (int)len);
    X509 *x = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    if (x && ASN1_TIME_to_tm(X509_get0_notAfter(x), &t) == 1)
        end = (int64_t)timegm(&t);
    X509_free(x);
    BIO_free(in);
    free(pem);
    return end;
}

static bool there(const char *root, const char *name)
{
    char path[PATH_MAX];
    return file_join(root, name, path, sizeof path) == ERR_OK && access(path, F_OK) == 0;
}

/* Does a line of the list name the helper? With or without the leading folders' dots and slashes. */
static bool has_helper(FILE *list)
{
    char line[PATH_MAX];
    bool found = false;
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        size_t n = strlen(line), m = strlen(HELPER);
        found = found || (n >= m && strcmp(line + n - m, HELPER) == 0 && (n == m || line[n - m - 1] == '/'));
    }
    return found;
}

/* Run lsinitramfs on one file. No shell: the name comes from the kernel, but even so. */
static uint8_t list_initrd(const char *lister, const char *initrd)
{
    char a0[PATH_MAX], a1[PATH_MAX];
    char *const argv[] = {a0, a1, NULL}, *const env[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                                                         NULL};
    posix_spawn_file_actions_t files;
    int fd[2], status = -1;
    pid_t pid;
    (void)snprintf(a0, sizeof a0, "%s", lister);
    (void)snprintf(a1, sizeof a1, "%s", initrd);
    if (pipe(fd) < 0)
        return INITRD_UNREADABLE;
    bool good = posix_spawn_file_actions_init(&files) == 0;
    if (good) {
        good = posix_spawn_file_actions_adddup2(&files, fd[1], 1) == 0 &&
               posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0) == 0 &&
               posix_spawn_file_actions_addclosefrom_np(&files, 3) == 0 &&
               posix_spawn(&pid, lister, &files, NULL, argv, env) == 0;
        (void)posix_spawn_file_actions_destroy(&files);
    }
    close(fd[1]);
    FILE *list = good ? fdopen(fd[0], "r") : NULL;
    bool found = list && has_helper(list);
    if (list)
        (void)fclose(list);
    else
        close(fd[0]);
    if (!good || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return INITRD_UNREADABLE;
    return found ? INITRD_GOOD : INITRD_WITHOUT;
}

static uint8_t initrd(const char *root, const char *kernel)
{
    char lister[PATH_MAX], path[PATH_MAX], name[128];
    (void)snprintf(name, sizeof name, "/boot/initrd.img-%s", kernel);
    if (!there(root, TOOLS))
        return INITRD_NOT_USED;
    if (!there(root, HOOK))
        return INITRD_NO_HOOK;
    if (!there(root, name))
        return INITRD_MISSING;
    if (file_join(root, LISTER, lister, sizeof lister) != ERR_OK ||
        file_join(root, name, path, sizeof path) != ERR_OK)
        return INITRD_UNREADABLE;
    return list_initrd(lister, path);
}

void doctor_facts(const char *root, struct doctor_facts *ret)
{
    char path[PATH_MAX];
    struct statvfs v;
    struct utsname u;
    ret->now = (int64_t)time(NULL);
    ret->certificate_end = 0;
    if (file_join(root, KH_COURIER_STATE "/tls.crt", path, sizeof path) == ERR_OK)
        ret->certificate_end = certificate_end(path);
    ret->state_free = UINT64_MAX;
    ret->state_read_only = false;
    if (file_join(root, KH_AGENT_STATE, path, sizeof path) == ERR_OK && statvfs(path, &v) == 0) {
        ret->state_free = (uint64_t)v.f_bavail * v.f_frsize;
        ret->state_read_only = v.f_flag & ST_RDONLY;
    }
    (void)snprintf(ret->kernel, sizeof ret->kernel, "%s", uname(&u) == 0 ? u.release : "unknown");
    ret->initrd = initrd(root, ret->kernel);
}
