/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/store/store_db.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/state_backup.h"
#include "escrow-server/verb/verbs.h"
#include "formats/host/audit_chain.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char usage[] = "  keyholt-server restore [--root DIR] BACKUP-FOLDER [--json]\n";

struct restore {
    const char *root, *dir;
    const struct conf *conf;
    FILE *told;     /* what a person should know besides */
    char aside[48]; /* ending of what stood there before; no file has it yet */
};

static enum err in_backup(const struct restore *r, const char *name, char ret[static PATH_MAX])
{
    return file_join(r->dir, name, ret, PATH_MAX);
}

/* Of this organisation? */
static enum err check_org(const struct restore *r)
{
    BYTES(ours);
    BYTES(theirs);
    char path[PATH_MAX];
    TRY(in_backup(r, "root.pub", path));
    TRY(file_read(path, 1024, &theirs.p, &theirs.len));
    TRY(file_join(r->root, PLACE_ROOT_PUB, path, sizeof path));
    TRY(file_read(path, 1024, &ours.p, &ours.len));
    return ours.len == theirs.len && memcmp(ours.p, theirs.p, ours.len) == 0 ? ERR_OK : ERR_CONFLICT;
}

/* Some file systems know no RENAME_NOREPLACE; choose_aside() has looked, and the lock is ours. */
static enum err move_aside(const struct restore *r, const char *path, const char *ending)
{
    char from[PATH_MAX + 8], to[PATH_MAX + 64];
    snprintf(from, sizeof from, "%s%s", path, ending);
    snprintf(to, sizeof to, "%s%s%s", path, r->aside, ending);
    int code = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    if (code != 0 && errno == EINVAL)
        code = rename(from, to);
    return code == 0 || errno == ENOENT ? ERR_OK : err_from_errno(errno);
}

static bool folder_has(const char *root, const char *place, const char *part)
{
    char path[PATH_MAX];
    DIR *d = file_join(root, place, path, sizeof path) == ERR_OK ? opendir(path) : NULL;
    bool has = false;
    if (d == NULL)
        return false;
    for (const struct dirent *item; !has && (item = readdir(d)) != NULL;)
        has = strstr(item->d_name, part) != NULL;
    closedir(d);
    return has;
}

/* Also another restore of this second may have kept something: all of one have the same ending. */
static void choose_aside(struct restore *r)
{
    static const char *const places[] = {PLACE_WRITER, PLACE_VAULT, PLACE_FOREIGN, KH_ORG_DIR};
    const long long now = time(NULL);
    bool taken = true;
    snprintf(r->aside, sizeof r->aside, ".before-%lld", now);
    for (unsigned n = 2; taken; n++) {
        taken = false;
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
            taken = taken || folder_has(r->root, places[i], r->aside);
        if (taken)
            snprintf(r->aside, sizeof r->aside, ".before-%lld.%u", now, n);
    }
}

static enum err put_back(const struct restore *r, const char *from, const char *to, enum process_kind owner)
{
    uid_t uid = r->conf->uid[owner];
    TRY(backup_copy(from, to));
    return geteuid() != 0 || chown(to, uid, uid) == 0 ? ERR_OK : err_from_errno(errno);
}

/* With its logs, or they would be another file's. A journal is of a migration that was cut off. */
static enum err restore_store(const struct restore *r, enum store_half half)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!state_is_sqlite(r->conf, half)) {
        fprintf(r->told, "%s is in PostgreSQL: put it back with pg_restore, or from a base backup\n",
                half == STORE_RECOVERY ? "recovery" : "compliance");
        return ERR_OK;
    }
    TRY(in_backup(r, store_sqlite_file[half], from));
    if (access(from, R_OK) != 0)
        return ERR_NOT_FOUND;
    TRY(state_sqlite_path(r->root, half, to));
    TRY(move_aside(r, to, ""));
    TRY(move_aside(r, to, "-journal"));
    TRY(move_aside(r, to, "-wal"));
    TRY(move_aside(r, to, "-shm"));
    return put_back(r, from, to, PROCESS_WRITER);
}

/* A log is never put back over a longer one: what it says happened. err: CONFLICT (two stories) */
static enum err restore_log(const struct restore *r, const char *ours, const char *theirs)
{
    uint64_t n_ours, n_theirs, common;
    enum err e = audit_compare(ours, theirs, &n_ours, &n_theirs, &common);
    if (e == ERR_AUTH || e == ERR_FORMAT || (e == ERR_OK && common < n_ours && common < n_theirs))
        e = ERR_CONFLICT;
    if (e == ERR_CONFLICT)
        fprintf(stderr, "keyholt-server: %s and %s tell two stories; neither was changed\n", ours, theirs);
    TRY(e);
    if (n_ours > n_theirs)
        fprintf(r->told, "%s stays: it has %" PRIu64 " entries, and the backup's has %" PRIu64 "\n", ours,
                n_ours, n_theirs);
    if (n_ours >= n_theirs)
        return ERR_OK;
    TRY(move_aside(r, ours, ""));
    return put_back(r, theirs, ours, PROCESS_VAULT);
}

static enum err restore_foreign(const struct restore *r)
{
    char ours[PATH_MAX], theirs[PATH_MAX], place[PATH_MAX];
    enum err e = ERR_OK;
    DIR *d = opendir(r->dir);
    if (d == NULL)
        return err_from_errno(errno);
    for (const struct dirent *item; e == ERR_OK && (item = readdir(d)) != NULL;) {
        if (strlen(item->d_name) != 32 + 4 || strcmp(item->d_name + 32, ".log") != 0)
            continue;
        snprintf(place, sizeof place, PLACE_FOREIGN "/%s", item->d_name);
        e = file_join(r->root, place, ours, sizeof ours);
        if (e == ERR_OK)
            e = in_backup(r, item->d_name, theirs);
        if (e == ERR_OK)
            e = restore_log(r, ours, theirs);
    }
    closedir(d);
    return e;
}

static enum err restore_audit(const struct restore *r)
{
    char ours[PATH_MAX], theirs[PATH_MAX];
    TRY(file_join(r->root, PLACE_AUDIT, ours, sizeof ours));
    TRY(in_backup(r, BACKUP_LOG, theirs));
    TRY(restore_log(r, ours, theirs));
    return restore_foreign(r);
}

static enum err put_policy(const struct restore *r, const char *from, const char *to)
{
    TRY(move_aside(r, to, ""));
    TRY(backup_copy(from, to));
    return chmod(to, 0644) == 0 ? ERR_OK : err_from_errno(errno);
}

/* Laptops take no older policy, so none is put back over a newer one; older backups have none. */
static enum err restore_policy(const struct restore *r)
{
    static struct org org;
    char ours[2][PATH_MAX], theirs[2][PATH_MAX];
    uint64_t have = 0, brings = 0;
    BYTES(json);
    TRY(state_org(r->root, &org, &json.p, &json.len)); /* what org points at */
    TRY(file_join(r->root, PLACE_POLICY_JSON, ours[0], sizeof ours[0]));
    TRY(file_join(r->root, PLACE_POLICY_SIG, ours[1], sizeof ours[1]));
    TRY(in_backup(r, BACKUP_POLICY, theirs[0]));
    TRY(in_backup(r, BACKUP_POLICY_SIG, theirs[1]));
    if (access(theirs[0], F_OK) != 0)
        return ERR_OK;
    if (backup_policy(&org, theirs[0], theirs[1], &brings) != ERR_OK) {
        fputs("the backup's policy is not signed by the policy key of this org.json and is left out\n",
              r->told);
        return ERR_OK;
    }
    bool good = backup_policy(&org, ours[0], ours[1], &have) == ERR_OK;
    if (good && have > brings)
        fprintf(r->told, "%s stays: it is version %" PRIu64 ", and the backup's is %" PRIu64 "\n", ours[0],
                have, brings);
    if (good && have >= brings)
        return ERR_OK;
    TRY(put_policy(r, theirs[0], ours[0]));
    return put_policy(r, theirs[1], ours[1]);
}

/* NULL where it has one. */
static const char *why_no_list(const char *dir)
{
    char path[PATH_MAX];
    struct stat st;
    if (stat(dir, &st) != 0)
        return errno == ENOENT ? "there is no such folder" : err_text(err_from_errno(errno));
    if (!S_ISDIR(st.st_mode))
        return "it is no folder";
    if (file_join(dir, BACKUP_SUMS, path, sizeof path) == ERR_OK && access(path, F_OK) != 0 &&
        errno == ENOENT)
        return "there is no " BACKUP_SUMS " in it: that backup was not finished, or it is none";
    return NULL;
}

/* Everything is checked before anything is changed; the log goes first, because it can say no. */
static enum err restore(const struct restore *r)
{
    TRY(backup_check(r->dir));
    TRY(check_org(r));
    TRY(restore_audit(r));
    for (unsigned half = 0; half < STORE_HALVES; half++)
        TRY(restore_store(r, half));
    return restore_policy(r);
}

static const char *reason_of(enum err e)
{
    return e == ERR_CONFLICT ? "it is another organisation's, or its audit log contradicts this one"
           : e == ERR_AUTH   ? "a file is not as it was when the backup was made; nothing was changed"
                             : err_text(e);
}

static int run(int argc, char *const *argv)
{
    struct backup_words w;
    int code = backup_begin(argc, argv, usage, &w);
    if (code != KH_EXIT_OK)
        return code;
    code = backup_check_org(w.root);
    if (code != KH_EXIT_OK)
        return code;
    const char *none = why_no_list(w.dir);
    if (none != NULL)
        return state_complain(KH_EXIT_FAILED, w.dir, none);
    struct restore r = {.root = w.root, .dir = w.dir, .conf = &w.conf, .told = w.json ? stderr : stdout};
    enum err e = state_lock(w.root);
    if (e == ERR_BUSY)
        return state_complain(KH_EXIT_FAILED, w.root, "the server runs; stop it first");
    choose_aside(&r);
    if (e == ERR_OK)
        e = restore(&r);
    if (e != ERR_OK)
        return state_complain(e == ERR_CONFLICT || e == ERR_AUTH ? KH_EXIT_NO : KH_EXIT_FAILED, w.dir,
                              reason_of(e));
    if (w.json) {
        ANSWER_JSON({"restored", w.dir, 0}, {"before", r.aside, 0});
        return KH_EXIT_OK;
    }
    printf("restored; what stood there before ends in %s. Newer envelopes come back from the devices\n",
           r.aside);
    return KH_EXIT_OK;
}

const struct verb verb_restore = {"restore", run, usage, "put a backup back, with the server stopped"};
