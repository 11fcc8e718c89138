/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/tls_sessions.h"
#include "crypto/secret.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAYS 4 /* places that a session can have; the oldest in them gives way */

struct table {
    pthread_mutex_t lock; /* robust: its holder may be killed */
    uint64_t n;           /* of entries, a multiple of WAYS */
    struct tls_session entry[];
};

static struct table *table; /* of this process: OpenSSL's callbacks carry no context of ours */

static size_t size_of(uint64_t n)
{
    return sizeof(struct table) + n * sizeof(struct tls_session);
}

static enum err map(int fd, size_t len, struct table **ret)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return ERR_NOMEM;
    (void)madvise(p, len, MADV_DONTDUMP);
    *ret = p;
    return ERR_OK;
}

static enum err prepare(struct table *t, uint64_t n)
{
    pthread_mutexattr_t a;
    t->n = n;
    bool ok =
        pthread_mutexattr_init(&a) == 0 && pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0 &&
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(&t->lock, &a) == 0;
    return ok ? ERR_OK : ERR_NOMEM;
}

enum err tls_sessions_make(uint64_t n, int *ret_fd)
{
    struct table *t = NULL;
    if (n < 1 || n > TLS_SESSIONS_MAX)
        return ERR_RANGE;
    n = (n + WAYS - 1) / WAYS * WAYS;
    int fd = memfd_create("keyholt-sessions", MFD_CLOEXEC);
    enum err e = fd >= 0 && ftruncate(fd, (off_t)size_of(n)) == 0 ? map(fd, size_of(n), &t) : ERR_NOMEM;
    if (e == ERR_OK) {
        e = prepare(t, n);
        munmap(t, size_of(n));
    }
    if (e == ERR_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return e;
}

/* Whoever held it may have been killed half-way through an entry: then all of them go. */
static bool lock(void)
{
    int code = pthread_mutex_lock(&table->lock);
    if (code == EOWNERDEAD) {
        memset(table->entry, 0, table->n * sizeof table->entry[0]);
        code = pthread_mutex_consistent(&table->lock);
    }
    return code == 0;
}

static struct tls_session *ways_of(const uint8_t id[static TLS_SESSION_ID])
{
    uint64_t at;
    memcpy(&at, id, sizeof at); /* session IDs are random */
    return &table->entry[at % (table->n / WAYS) * WAYS];
}

void tls_sessions_put(const struct tls_session *e)
{
    struct tls_session *way = ways_of(e->id), *oldest = way;
    if (!lock())
        return;
    for (unsigned i = 1; i < WAYS; i++)
        if (way[i].time < oldest->time)
            oldest = &way[i];
    *oldest = *e;
    pthread_mutex_unlock(&table->lock);
}

/* Where in its places. NULL: not there */
static struct tls_session *find(const uint8_t id[static TLS_SESSION_ID])
{
    struct tls_session *way = ways_of(id);
    for (unsigned i = 0; i < WAYS; i++)
        if (way[i].time != 0 && memcmp(way[i].id, id, TLS_SESSION_ID) == 0)
            return &way[i];
    return NULL;
}

void tls_sessions_note(const uint8_t id[static TLS_SESSION_ID], const void *note, size_t len)
{
    if (table == NULL || len > TLS_SESSION_NOTE || !lock())
        return;
    struct tls_session *e = find(id);
    if (e != NULL) {
        memcpy(e->note, note, len);
        e->note_len = (uint8_t)len;
    }
    pthread_mutex_unlock(&table->lock);
}

/* A ticket is good for one handshake (RFC 8446 appendix C.4); that one brings the next. */
bool tls_sessions_take(const uint8_t id[static TLS_SESSION_ID], struct tls_session *ret)
{
    if (!lock())
        return false;
    struct tls_session *e = find(id);
    if (e != NULL) {
        *ret = *e;
        cr_wipe(e, sizeof *e);
    }
    pthread_mutex_unlock(&table->lock);
    return e != NULL && ret->time + TLS_SESSION_S > (uint64_t)time(NULL);
}

enum err tls_sessions_open(int fd)
{
    struct stat st;
    struct table *t = NULL;
    enum err e = fstat(fd, &st) == 0 && (size_t)st.st_size > sizeof *t ? ERR_OK : ERR_FORMAT;
    if (e == ERR_OK)
        e = map(fd, (size_t)st.st_size, &t);
    close(fd);
    TRY(e);
    if (t->n < WAYS || size_of(t->n) != (size_t)st.st_size)
        return ERR_FORMAT;
    table = t;
    return ERR_OK;
}
