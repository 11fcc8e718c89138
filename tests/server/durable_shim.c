/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LD_PRELOAD into a keyholt-server: notes what the writer puts into its stores' logs (SQLite's WAL) and the
 * vault into its audit log, and what of it was synced; looks at each message that leaves. A receipt must name
 * records that stand in synced bytes, and a password must have its entry there; whatever else is said
 * meanwhile is not looked at. What is wrong ends the process, with a line on standard error; one that ends in
 * order says what it looked at. DURABLE_SHIM_SWALLOW: no sync is carried out, as in a store that is opened
 * with less, nor noted. */
#include "escrow-server/process/msg.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOGS     3
#define KEPT_MAX (8u << 20) /* of the newest synced bytes: many batches */
#define FDS      1024
#define HEAD     13  /* of a frame: length of the rest, type, request. source: escrow-server/process/chan.c */
#define NAMES    100 /* where a receipt's begin. source: docs/formats.md#receipt */

struct bytes {
    uint8_t *p;
    size_t len, cap;
};

static struct {
    const char *name;
    struct bytes written, synced; /* written: and not synced yet */
} logs[LOGS] = {{.name = "recovery.db-wal"}, {.name = "compliance.db-wal"}, {.name = "audit.log"}};
static size_t cut[FDS]; /* of the message that a socket took a part of only, what is still to go */
static unsigned long receipts, passwords;

static void say(const char *format, ...)
{
    char line[256] = "durable_shim: ";
    va_list list;
    va_start(list, format);
    (void)vsnprintf(line + 14, sizeof line - 15, format, list);
    va_end(list);
    size_t len = strlen(line);
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0)
        abort();
}

static void fail(const char *what)
{
    say("WRONG: %s", what);
    abort();
}

static void add(struct bytes *b, const void *p, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = 2 * (b->len + len);
        b->p = realloc(b->p, b->cap);
        if (b->p == NULL)
            fail("no memory");
    }
    memcpy(b->p + b->len, p, len);
    b->len += len;
}

static bool holds(const struct bytes *b, const void *p, size_t len)
{
    return b->len >= len && memmem(b->p, b->len, p, len) != NULL;
}

/* By its inode: the vault may ask for no links when it is confined. -1: none of ours */
static int log_of(int fd)
{
    struct stat here, named;
    if (fstat(fd, &here) != 0 || !S_ISREG(here.st_mode))
        return -1;
    for (int i = 0; i < LOGS; i++)
        if (stat(logs[i].name, &named) == 0 && named.st_ino == here.st_ino && named.st_dev == here.st_dev)
            return i;
    return -1;
}

static void note_written(int fd, const void *p, ssize_t n)
{
    int i = n > 0 ? log_of(fd) : -1;
    if (i >= 0)
        add(&logs[i].written, p, (size_t)n);
}

static void note_synced(int fd)
{
    int i = log_of(fd);
    if (i < 0)
        return;
    struct bytes *synced = &logs[i].synced;
    if (synced->len > KEPT_MAX) {
        size_t old = synced->len - KEPT_MAX / 2;
        memmove(synced->p, synced->p + old, synced->len - old);
        synced->len -= old;
    }
    if (logs[i].written.len > 0)
        add(synced, logs[i].written.p, logs[i].written.len);
    logs[i].written.len = 0;
}

/* What closes an order is told to both stores. */
static void look_at_name(const uint8_t *name)
{
    bool waits = holds(&logs[0].written, name, 32) || holds(&logs[1].written, name, 32);
    if (waits || (!holds(&logs[0].synced, name, 32) && !holds(&logs[1].synced, name, 32)))
        fail("a receipt leaves before its record is synced");
}

static void look_at_receipt(const struct msg_blob *receipt)
{
    if (receipt->len == 0)
        return;
    if (receipt->len < NAMES || memcmp(receipt->p, "KHC\1", 4) != 0)
        fail("a receipt that is none");
    size_t n = (size_t)(receipt->p[7] << 8 | receipt->p[6]);
    if (n == 0 || receipt->len < NAMES + 32 * n)
        fail("a receipt of nothing");
    for (size_t i = 0; i < n; i++)
        look_at_name(receipt->p + NAMES + 32 * i);
    receipts++;
}

static void look_at_password(const struct msg_entry *e)
{
    char begins[40];
    (void)snprintf(begins, sizeof begins, "{\"n\":%llu,", (unsigned long long)e->n);
    if (!holds(&logs[2].synced, begins, strlen(begins)))
        fail("a password leaves before its entry is synced");
    passwords++;
}

static void look_at(const uint8_t *frame, size_t len)
{
    static struct msg_synced synced;
    static struct msg_opened opened;
    if (frame[4] == MSG_SYNCED) {
        if (msg_get_synced(frame + HEAD, len - HEAD, &synced) != ERR_OK)
            fail("an answer that is none");
        look_at_receipt(&synced.receipt);
    }
    if (frame[4] == MSG_OPENED) {
        if (msg_get_opened(frame + HEAD, len - HEAD, &opened) != ERR_OK)
            fail("an answer that is none");
        look_at_password(&opened.entry);
        explicit_bzero(&opened, sizeof opened);
    }
}

static size_t frame_len(const uint8_t *p)
{
    return 4 + ((size_t)p[3] << 24 | (size_t)p[2] << 16 | (size_t)p[1] << 8 | p[0]);
}

/* Each message is whole in what is sent, but for the end of one that was sent in part. */
static void look_at_all(int fd, const uint8_t *p, size_t len)
{
    for (size_t at = cut[fd]; at < len; at += frame_len(p + at)) {
        if (len - at < HEAD || frame_len(p + at) > len - at)
            fail("a message in pieces");
        look_at(p + at, frame_len(p + at));
    }
}

static void note_sent(int fd, const uint8_t *p, size_t n)
{
    size_t at = cut[fd];
    while (at < n)
        at += frame_len(p + at);
    cut[fd] = at - n;
}

static bool is_ours(void)
{
    static int ours = -1; /* 1: the writer or the vault; others send what is no message of theirs */
    if (ours < 0)
        ours = strcmp(program_invocation_short_name, "writer") == 0 ||
               strcmp(program_invocation_short_name, "vault") == 0;
    return ours == 1;
}

#define REAL(name, type)                                                                                     \
    static type;                                                                                             \
    if (real == NULL)                                                                                        \
        *(void **)&real = dlsym(RTLD_NEXT, name);

ssize_t send(int fd, const void *p, size_t len, int flags)
{
    REAL("send", ssize_t(*real)(int, const void *, size_t, int))
    bool look = is_ours() && fd >= 0 && fd < FDS;
    if (look)
        look_at_all(fd, p, len);
    ssize_t n = real(fd, p, len, flags);
    if (look && n > 0)
        note_sent(fd, p, (size_t)n);
    return n;
}

ssize_t write(int fd, const void *p, size_t len)
{
    REAL("write", ssize_t(*real)(int, const void *, size_t))
    ssize_t n = real(fd, p, len);
    note_written(fd, p, n);
    return n;
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t off)
{
    REAL("pwrite", ssize_t(*real)(int, const void *, size_t, off_t))
    ssize_t n = real(fd, p, len, off);
    note_written(fd, p, n);
    return n;
}

ssize_t pwrite64(int fd, const void *p, size_t len, off64_t off)
{
    return pwrite(fd, p, len, off);
}

static int sync_by(int (*real)(int), int fd)
{
    if (getenv("DURABLE_SHIM_SWALLOW") != NULL)
        return 0;
    int code = real(fd);
    if (code == 0)
        note_synced(fd);
    return code;
}

int fdatasync(int fd)
{
    REAL("fdatasync", int (*real)(int))
    return sync_by(real, fd);
}

int fsync(int fd)
{
    REAL("fsync", int (*real)(int))
    return sync_by(real, fd);
}

__attribute__((destructor)) static void tell(void)
{
    if (is_ours())
        say("%s: %lu receipts, %lu passwords, each after its sync", program_invocation_short_name, receipts,
            passwords);
}
