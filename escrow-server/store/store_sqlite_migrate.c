/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file of an older version is brought forward. */
#include "crypto/host/file.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/store/store_sqlite.h"
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#define PROGRESS_STEPS 50000 /* of SQLite's machine, a few ms */
#define COPIED         6     /* the step to this schema copies the large tables */

/* The one number that a pragma says. */
static enum err ask(struct lite *l, const char *pragma, sqlite3_int64 *ret)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(l->c, pragma, -1, &stmt, NULL) != SQLITE_OK)
        return lite_report(l, pragma);
    enum err e = sqlite3_step(stmt) == SQLITE_ROW ? ERR_OK : lite_report(l, pragma);
    if (e == ERR_OK)
        *ret = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return e;
}

static enum err schema_version(struct lite *l, int *ret)
{
    sqlite3_int64 version = 0;
    TRY(ask(l, "PRAGMA user_version", &version));
    *ret = (int)version;
    return ERR_OK;
}

enum err lite_check_version(struct lite *l)
{
    int version = 0;
    TRY(schema_version(l, &version));
    if (version == SQL_SQLITE_VERSION)
        return ERR_OK;
    slog(SLOG_ERROR, "store", "file=%s reason=\"made by another keyholt-server (schema %d, known %d)\"",
         store_sqlite_file[l->db.half], version, SQL_SQLITE_VERSION);
    return ERR_VERSION;
}

static int on_progress(void *place)
{
    ((const struct store_place *)place)->working();
    return 0;
}

static void say_working(const struct store_place *place)
{
    if (place->working != NULL)
        place->working();
}

/* Dropping a table and emptying the log read and write for long within one step of SQLite's machine: so all
 * reading and writing says it, too. SQLite's calls of the system are of the whole process; there is one
 * writer.
 */
static struct {
    void (*working)(void);
    ssize_t (*read)(int fd, void *p, size_t n, off_t at);
    ssize_t (*write)(int fd, const void *p, size_t n, off_t at);
} io;

static ssize_t read_working(int fd, void *p, size_t n, off_t at)
{
    io.working();
    return io.read(fd, p, n, at);
}

static ssize_t write_working(int fd, const void *p, size_t n, off_t at)
{
    io.working();
    return io.write(fd, p, n, at);
}

/* Puts a call in the place of the one that SQLite was built with. Returns that one, NULL: it has neither. */
static sqlite3_syscall_ptr swap_call(const char *wide, const char *plain, sqlite3_syscall_ptr call)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    if (vfs == NULL || vfs->iVersion < 3 || sizeof(off_t) != sizeof(sqlite3_int64))
        return NULL;
    sqlite3_syscall_ptr was = vfs->xGetSystemCall(vfs, wide);
    const char *name = was != NULL ? wide : plain;
    if (was == NULL)
        was = vfs->xGetSystemCall(vfs, plain);
    return was != NULL && vfs->xSetSystemCall(vfs, name, call) == SQLITE_OK ? was : NULL;
}

static void begin_working(struct lite *l, struct store_place *place)
{
    if (place->working == NULL)
        return;
    sqlite3_progress_handler(l->c, PROGRESS_STEPS, on_progress, place);
    io.working = place->working;
    io.read = (ssize_t(*)(int, void *, size_t, off_t))swap_call("pread64", "pread",
                                                                (sqlite3_syscall_ptr)read_working);
    io.write = (ssize_t(*)(int, const void *, size_t, off_t))swap_call("pwrite64", "pwrite",
                                                                       (sqlite3_syscall_ptr)write_working);
}

static void end_working(struct lite *l)
{
    sqlite3_progress_handler(l->c, 0, NULL, NULL);
    if (io.read != NULL)
        (void)swap_call("pread64", "pread", (sqlite3_syscall_ptr)io.read);
    if (io.write != NULL)
        (void)swap_call("pwrite64", "pwrite", (sqlite3_syscall_ptr)io.write);
    io.read = NULL;
    io.write = NULL;
}

static enum err step_from(struct lite *l, int version)
{
    char pragma[48];
    snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", version + 1);
    TRY(lite_exec(l, sql_sqlite_schema[l->db.half][version], "migrate"));
    return lite_exec(l, pragma, "migrate");
}

/* What became of a file of schema `from`: each step that was committed stays. at: what it is now, or -1. */
static const char *outcome(int from, int at)
{
    if (at < 0)
        return "which schema the file has now could not be read";
    return at == from ? "the file is as it was"
                      : "some steps are done and stay, so that the version before cannot use the file any "
                        "more; the next start goes on from there";
}

static void say_outcome(struct lite *l, int from, const char *why)
{
    int at = -1;
    (void)schema_version(l, &at);
    slog(SLOG_ERROR, "store", "file=%s schema=%d was=%d reason=\"%s; %s\"", store_sqlite_file[l->db.half], at,
         from, why, outcome(from, at));
}

static enum err take_back(struct lite *l, enum err e)
{
    if (sqlite3_get_autocommit(l->c) == 0) /* else SQLite did it by itself */
        (void)sqlite3_exec(l->c, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

static enum err migrate_from(struct lite *l, int version, const struct store_place *place)
{
    for (; version < SQL_SQLITE_VERSION; version++) {
        TRY(lite_exec(l, "BEGIN EXCLUSIVE", "migrate"));
        enum err e = step_from(l, version);
        say_working(place); /* what is written is waited for */
        if (e == ERR_OK)
            e = lite_exec(l, "COMMIT", "migrate");
        if (e != ERR_OK)
            return take_back(l, e);
        say_working(place);
    }
    return ERR_OK;
}

/* Beside a reader all went through the log, and of what retention erases later nothing may be left in there.
 * Who reads at this moment keeps it; then the writer's next batches write over it and cut it.
 */
static void empty_log(struct lite *l)
{
    (void)sqlite3_exec(l->c, "PRAGMA busy_timeout=0; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
}

/* What a migration wants of the disk, in bytes: about. */
struct room {
    sqlite3_int64 wanted, there;
};

/* The tables are copied, first into pages that are free. `logged`: and all of it into the log before. */
static enum err look_for_room(struct lite *l, const struct store_place *place, bool logged, struct room *ret)
{
    sqlite3_int64 size, pages, unused;
    struct statvfs fs;
    TRY(ask(l, "PRAGMA page_size", &size));
    TRY(ask(l, "PRAGMA page_count", &pages));
    TRY(ask(l, "PRAGMA freelist_count", &unused));
    if (statvfs(place->dir != NULL ? place->dir : ".", &fs) != 0)
        return err_from_errno(errno);
    pages -= unused;
    ret->wanted = ((pages > unused ? pages - unused : 0) + (logged ? pages : 0)) * size;
    ret->there = (sqlite3_int64)(fs.f_bavail * fs.f_frsize);
    return ERR_OK;
}

/* No failure that may be over when it is tried again: each time the disk would be filled. */
static enum err refuse(struct lite *l, int from, const struct room *r)
{
    char why[192];
    snprintf(why, sizeof why,
             "the disk has no room for bringing it forward, which takes about %lld bytes where %lld are free",
             (long long)r->wanted, (long long)r->there);
    say_outcome(l, from, why);
    return ERR_UNSUPPORTED;
}

static enum err check_room(struct lite *l, int version, const struct store_place *place, bool logged)
{
    struct room r;
    if (version == 0 || version >= COPIED)
        return ERR_OK;
    TRY(look_for_room(l, place, logged, &r));
    return r.wanted > r.there ? refuse(l, version, &r) : ERR_OK;
}

/* Behind the large copy nothing is wanted that could be reckoned: all of it goes into pages that are free. */
static enum err refuse_full(struct lite *l, int from, const struct store_place *place, bool logged)
{
    struct room r;
    int at = 0;
    TRY(schema_version(l, &at));
    TRY(look_for_room(l, place, logged, &r));
    if (at < COPIED)
        return refuse(l, from, &r);
    say_outcome(l, from, "the disk is full");
    return ERR_UNSUPPORTED;
}

static enum err migrate_sorting(struct lite *l, int version, const struct store_place *place)
{
    char *dir = sqlite3_temp_directory;
    sqlite3_temp_directory = sqlite3_mprintf("%s", place->dir != NULL ? place->dir : "."); /* its own disk */
    enum err e = migrate_from(l, version, place);
    sqlite3_free(sqlite3_temp_directory);
    sqlite3_temp_directory = dir;
    return e;
}

/* Large tables are copied. In the log all of it would be written twice, and at the end in one go; beside
 * other users of the file it has to be. What is sorted goes to the same disk, not to memory.
 */
static enum err migrate_large(struct lite *l, int version, const struct store_place *place)
{
    TRY(check_room(l, version, place, false));
    bool logged = version > 0 && sqlite3_exec(l->c, sql_sqlite_alone, NULL, NULL, NULL) != SQLITE_OK;
    enum err e = logged ? check_room(l, version, place, true) : ERR_OK;
    if (e == ERR_OK)
        e = migrate_sorting(l, version, place);
    empty_log(l);
    if (e == ERR_FULL && version > 0)
        e = refuse_full(l, version, place, logged);
    else if (e != ERR_OK && e != ERR_UNSUPPORTED) /* that was said */
        say_outcome(l, version, "it could not be brought forward");
    enum err after = lite_exec(l, sql_sqlite_open, "open");
    return e != ERR_OK ? e : after;
}

enum err lite_migrate(struct lite *l, const struct store_place *place)
{
    int version = 0;
    struct store_place at = *place; /* SQLite's context is not const */
    TRY(schema_version(l, &version));
    if (version > SQL_SQLITE_VERSION) {
        slog(SLOG_ERROR, "store", "file=%s reason=\"made by a newer keyholt-server (schema %d, known %d)\"",
             store_sqlite_file[l->db.half], version, SQL_SQLITE_VERSION);
        return ERR_VERSION;
    }
    if (version == SQL_SQLITE_VERSION)
        return ERR_OK;
    begin_working(l, &at);
    enum err e = migrate_large(l, version, place);
    end_working(l);
    return e;
}
