/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/wal_gather.h"
#include <stdlib.h>
#include <string.h>

/* Bytes at once; of a batch of 64 records 2 MiB come together. SQLite's own xWrite takes no more than 17 bits
 * of a length (os_unix.c, seekAndWriteFd). */
#define GATHER (124 * 1024)

/* A log; SQLite's own file lies behind it, in the memory that SQLite gave for both. */
struct gathered {
    sqlite3_file file; /* first */
    sqlite3_file *own;
    unsigned char *bytes; /* NULL until something is written: a reader never does */
    sqlite3_int64 at;     /* where the first of them belongs */
    int len;
};

static struct gathered *of(sqlite3_file *f)
{
    return (struct gathered *)f;
}

static int flush(struct gathered *g)
{
    int len = g->len;
    g->len = 0; /* also when that fails: then the transaction does, and its frames are written anew */
    return len == 0 ? SQLITE_OK : g->own->pMethods->xWrite(g->own, g->bytes, len, g->at);
}

static int write_log(sqlite3_file *f, const void *p, int len, sqlite3_int64 at)
{
    struct gathered *g = of(f);
    if (g->len > 0 && (at != g->at + g->len || len > GATHER - g->len)) {
        int code = flush(g);
        if (code != SQLITE_OK)
            return code;
    }
    if (g->bytes == NULL)
        g->bytes = malloc(GATHER);
    if (g->bytes == NULL || len > GATHER)
        return g->own->pMethods->xWrite(g->own, p, len, at);
    if (g->len == 0)
        g->at = at;
    memcpy(g->bytes + g->len, p, (size_t)len);
    g->len += len;
    return SQLITE_OK;
}

static int read_log(sqlite3_file *f, void *p, int len, sqlite3_int64 at)
{
    struct gathered *g = of(f);
    int code = flush(g);
    return code != SQLITE_OK ? code : g->own->pMethods->xRead(g->own, p, len, at);
}

static int sync_log(sqlite3_file *f, int flags)
{
    struct gathered *g = of(f);
    int code = flush(g);
    return code != SQLITE_OK ? code : g->own->pMethods->xSync(g->own, flags);
}

static int truncate_log(sqlite3_file *f, sqlite3_int64 len)
{
    struct gathered *g = of(f);
    int code = flush(g);
    return code != SQLITE_OK ? code : g->own->pMethods->xTruncate(g->own, len);
}

static int size_of_log(sqlite3_file *f, sqlite3_int64 *ret)
{
    struct gathered *g = of(f);
    int code = flush(g);
    return code != SQLITE_OK ? code : g->own->pMethods->xFileSize(g->own, ret);
}

static int close_log(sqlite3_file *f)
{
    struct gathered *g = of(f);
    (void)flush(g); /* of no commit: that was synced */
    free(g->bytes);
    return g->own->pMethods->xClose(g->own);
}

static int control(sqlite3_file *f, int what, void *arg)
{
    return of(f)->own->pMethods->xFileControl(of(f)->own, what, arg);
}

static int sector_size(sqlite3_file *f)
{
    return of(f)->own->pMethods->xSectorSize(of(f)->own);
}

static int characteristics(sqlite3_file *f)
{
    return of(f)->own->pMethods->xDeviceCharacteristics(of(f)->own);
}

/* Nobody locks a log: the locks are the database's. */
static int lock(sqlite3_file *f, int how)
{
    (void)f, (void)how;
    return SQLITE_OK;
}

static int is_reserved(sqlite3_file *f, int *ret)
{
    (void)f;
    *ret = 0;
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = close_log,
                                           .xRead = read_log,
                                           .xWrite = write_log,
                                           .xTruncate = truncate_log,
                                           .xSync = sync_log,
                                           .xFileSize = size_of_log,
                                           .xLock = lock,
                                           .xUnlock = lock,
                                           .xCheckReservedLock = is_reserved,
                                           .xFileControl = control,
                                           .xSectorSize = sector_size,
                                           .xDeviceCharacteristics = characteristics};

int wal_gather_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    sqlite3_vfs *own = sqlite3_vfs_find(NULL);
    if (own == NULL)
        return SQLITE_CANTOPEN;
    if ((flags & SQLITE_OPEN_WAL) == 0)
        return own->xOpen(v, name, f, flags, ret_flags);
    struct gathered *g = of(f);
    *g = (struct gathered){.own = (sqlite3_file *)(g + 1)};
    int code = own->xOpen(v, name, g->own, flags, ret_flags);
    f->pMethods = g->own->pMethods != NULL ? &methods : NULL;
    return code;
}

int wal_gather_size(void)
{
    return (int)sizeof(struct gathered);
}
