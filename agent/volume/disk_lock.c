/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who else is at a header: libcryptsetup's locks, looked at before it waits for one without end. */
#include "agent/volume/disk_cryptsetup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* source: cryptsetup lib/utils_device_locking.c; the folder is Debian's configure default */
#define LOCK_FOLDER "/run/cryptsetup"
#define PATIENCE_MS                                                                                          \
    5000 /* a change of a header takes a fraction of a second, adding an Argon2 keyslot a few */
#define STEP_MS 100
/* Who keeps writing has the lock for some milliseconds each time: he is watched for a while. */
#define WATCH_MS      1000
#define WATCH_STEP_MS 5

/* What is locked: a file itself, for a block device a file of that name. err: NOT_FOUND (nobody ever did) */
static enum err open_lock(const struct disk *d, int *ret)
{
    char path[64];
    struct stat s;
    if (fstat(d->fd, &s) < 0)
        return ERR_IO;
    if (S_ISBLK(s.st_mode))
        (void)snprintf(path, sizeof path, LOCK_FOLDER "/L_%u:%u", major(s.st_rdev), minor(s.st_rdev));
    int fd = open(S_ISBLK(s.st_mode) ? path : d->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ERR_NOT_FOUND;
    *ret = fd;
    return ERR_OK;
}

static void name_of(long pid, char *ret, size_t cap)
{
    char path[40], name[64] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    FILE *f = fopen(path, "re");
    if (f && fgets(name, sizeof name, f))
        name[strcspn(name, "\n")] = 0;
    if (f)
        (void)fclose(f);
    (void)snprintf(ret, cap, "%s (process %ld)", name[0] ? name : "a program", pid);
}

/* The kernel's list of locks names process and inode. source: proc(5), /proc/locks */
static bool find_holder(int fd, char *ret, size_t cap)
{
    char line[256];
    struct stat s;
    bool found = false;
    FILE *f = fopen("/proc/locks", "re");
    (void)snprintf(ret, cap, "another program");
    while (!found && f && fstat(fd, &s) == 0 && fgets(line, sizeof line, f)) {
        long pid;
        unsigned maj, min;
        unsigned long inode;
        if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &maj, &min, &inode) != 4)
            continue;
        if (makedev(maj, min) == s.st_dev && inode == s.st_ino && pid > 0 && pid != getpid()) {
            name_of(pid, ret, cap);
            found = true;
        }
    }
    if (f)
        (void)fclose(f);
    return found;
}

void disk_find_writer(struct disk *d, char *ret_who, size_t cap)
{
    const struct timespec step = {.tv_nsec = WATCH_STEP_MS * 1000000L};
    int fd;
    (void)snprintf(ret_who, cap, "another program");
    if (open_lock(d, &fd) != ERR_OK)
        return;
    for (int ms = 0; ms <= WATCH_MS && !find_holder(fd, ret_who, cap); ms += WATCH_STEP_MS)
        (void)nanosleep(&step, NULL);
    (void)close(fd);
}

enum err disk_wait_lock(struct disk *d, char *ret_who, size_t cap)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    int fd;
    bool held = true;
    if (open_lock(d, &fd) != ERR_OK)
        return ERR_OK;
    for (int ms = 0; held && ms <= PATIENCE_MS; ms += STEP_MS) {
        held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
        if (held)
            (void)nanosleep(&step, NULL);
    }
    if (held)
        (void)find_holder(fd, ret_who, cap);
    (void)close(fd); /* and with it our lock */
    return held ? ERR_BUSY : ERR_OK;
}
