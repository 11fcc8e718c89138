/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/store/store_db.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/org_file.h"
#include "escrow-server/verb/state_backup.h"
#include "escrow-server/verb/verbs.h"
#include "formats/base.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] = "  keyholt-server backup [--root DIR] NEW-FOLDER [--json]\n";

struct backup {
    const char *root, *dir;
    const struct conf *conf;
    FILE *told;        /* what a person should know besides */
    char at[PATH_MAX]; /* what is being copied */
    char *sums;
    size_t sums_len;
    FILE *list;
};

static enum err add_sum(struct backup *b, const char *path, const char *name)
{
    uint8_t hash[32];
    char hex[BASE16_LEN(32) + 1];
    TRY(backup_digest(path, hash));
    base16_encode(hash, sizeof hash, hex);
    return fprintf(b->list, "%s  %s\n", hex, name) > 0 ? ERR_OK : ERR_NOMEM;
}

static enum err add_file(struct backup *b, const char *from, const char *name)
{
    char to[PATH_MAX];
    snprintf(b->at, sizeof b->at, "%s", from);
    TRY(file_join(b->dir, name, to, sizeof to));
    TRY(backup_copy(from, to));
    return add_sum(b, to, name);
}

static enum err add_bytes(struct backup *b, const void *p, size_t len, const char *name)
{
    char to[PATH_MAX];
    TRY(file_join(b->dir, name, to, sizeof to));
    TRY(file_write(to, p, len, 0600));
    return add_sum(b, to, name);
}

static enum err add_place(struct backup *b, const char *place, const char *name)
{
    char from[PATH_MAX];
    TRY(file_join(b->root, place, from, sizeof from));
    return add_file(b, from, name);
}

static enum err add_store(struct backup *b, enum store_half half)
{
    char from[PATH_MAX], to[PATH_MAX];
    const char *name = store_sqlite_file[half];
    if (!state_is_sqlite(b->conf, half)) {
        fprintf(b->told,
                "%s is in PostgreSQL and is not in this backup. A base backup (pg_basebackup, with its WAL) "
                "can be\n"
                "put back to any moment; of this store alone: pg_dump -Fc -n %s -f FILE 'CONNECTION'\n",
                half == STORE_RECOVERY ? "recovery" : "compliance", sql_pg_name[half]);
        return ERR_OK;
    }
    TRY(state_sqlite_path(b->root, half, from));
    snprintf(b->at, sizeof b->at, "%s", from);
    TRY(file_join(b->dir, name, to, sizeof to));
    TRY(backup_sqlite(from, to));
    return add_sum(b, to, name);
}

static enum err add_foreign(struct backup *b)
{
    char dir[PATH_MAX], from[PATH_MAX];
    TRY(file_join(b->root, PLACE_FOREIGN, dir, sizeof dir));
    DIR *d = opendir(dir);
    enum err e = d == NULL ? err_from_errno(errno) : ERR_OK;
    snprintf(b->at, sizeof b->at, "%s", dir);
    if (d == NULL)
        return e;
    for (const struct dirent *item; e == ERR_OK && (item = readdir(d)) != NULL;) {
        size_t len = strlen(item->d_name);
        if (len < 5 || strcmp(item->d_name + len - 4, ".log") != 0)
            continue;
        e = file_join(dir, item->d_name, from, sizeof from);
        if (e == ERR_OK)
            e = add_file(b, from, item->d_name);
    }
    closedir(d);
    return e;
}

/* Where the organisation has one; it cannot be made again where the policy key lies elsewhere. One that would
 * not be put back is said now, and keeps nothing else out. */
static enum err add_policy(struct backup *b)
{
    static struct org org;
    char json[PATH_MAX], sig[PATH_MAX];
    uint64_t version;
    BYTES(text);
    TRY(file_join(b->root, PLACE_ORG, b->at, sizeof b->at));
    TRY(state_org(b->root, &org, &text.p, &text.len)); /* what org points at */
    TRY(file_join(b->root, PLACE_POLICY_JSON, json, sizeof json));
    TRY(file_join(b->root, PLACE_POLICY_SIG, sig, sizeof sig));
    if (access(json, F_OK) != 0)
        return ERR_OK;
    if (backup_policy(&org, json, sig, &version) != ERR_OK) {
        fputs("policy.json is not signed by the policy key of org.json and is left out; policy set signs it "
              "anew\n",
              b->told);
        return ERR_OK;
    }
    TRY(add_place(b, PLACE_POLICY_JSON, BACKUP_POLICY));
    return add_place(b, PLACE_POLICY_SIG, BACKUP_POLICY_SIG);
}

/* One that org set was kept from putting in its place counts, and is the one of the backup. */
static enum err add_org(struct backup *b)
{
    BYTES(json);
    uint8_t sig[CR_P256_SIG];
    TRY(file_join(b->root, PLACE_ORG, b->at, sizeof b->at));
    TRY(state_org_bytes(b->root, &json.p, &json.len, sig));
    TRY(add_bytes(b, json.p, json.len, "org.json"));
    return add_bytes(b, sig, sizeof sig, "org.json.sig");
}

/* The stores first: what the log has more than they is told them again, and never the other way round. */
static enum err add_all(struct backup *b)
{
    for (unsigned half = 0; half < STORE_HALVES; half++)
        TRY(add_store(b, half));
    TRY(add_foreign(b));
    TRY(add_place(b, PLACE_AUDIT, BACKUP_LOG));
    TRY(add_org(b));
    TRY(add_place(b, PLACE_ROOT_PUB, "root.pub"));
    TRY(add_place(b, PLACE_AUDIT_PUB, "audit.pub"));
    TRY(add_policy(b));
    return add_place(b, PLACE_CONF, "server.conf");
}

/* Half a backup would be taken for one; the folder is ours, and flat. */
static void discard(const char *dir)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return;
    for (const struct dirent *item; (item = readdir(d)) != NULL;)
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
            (void)unlinkat(dirfd(d), item->d_name, 0);
    closedir(d);
    (void)rmdir(dir);
}

/* The list is written last: a backup without it was not finished. */
static enum err fill(struct backup *b)
{
    char path[PATH_MAX];
    b->list = open_memstream(&b->sums, &b->sums_len);
    if (b->list == NULL)
        return ERR_NOMEM;
    enum err e = add_all(b);
    if (fclose(b->list) != 0 && e == ERR_OK)
        e = ERR_NOMEM;
    if (e == ERR_OK)
        e = file_join(b->dir, BACKUP_SUMS, path, sizeof path);
    if (e == ERR_OK)
        snprintf(b->at, sizeof b->at, "%s", path);
    if (e == ERR_OK)
        e = file_write(path, b->sums, b->sums_len, 0600);
    free(b->sums);
    return e;
}

static const char *why_no_folder(enum err e)
{
    switch (e) {
    case ERR_CONFLICT:
        return "it is there already; a backup is put into a folder that is made for it";
    case ERR_NOT_FOUND:
        return "the folder above it is not there";
    case ERR_DENIED:
        return "you may not make it there";
    default:
        return err_text(e);
    }
}

static int complain(const struct backup *b, enum err e)
{
    if (e == ERR_FULL || b->at[0] == '\0')
        return state_complain(KH_EXIT_FAILED, b->dir, err_text(e));
    return state_complain(KH_EXIT_FAILED, b->at,
                          e == ERR_CONFLICT ? "the store is damaged; no backup was made" : err_text(e));
}

static int run(int argc, char *const *argv)
{
    struct backup_words w;
    int code = backup_begin(argc, argv, usage, &w);
    if (code == KH_EXIT_OK)
        code = backup_check_org(w.root);
    if (code != KH_EXIT_OK)
        return code;
    if (mkdir(w.dir, 0700) != 0)
        return state_complain(KH_EXIT_FAILED, w.dir, why_no_folder(err_from_errno(errno)));
    struct backup b = {.root = w.root, .dir = w.dir, .conf = &w.conf, .told = w.json ? stderr : stdout};
    enum err e = fill(&b);
    if (e != ERR_OK) {
        discard(w.dir);
        return complain(&b, e);
    }
    if (w.json) {
        ANSWER_JSON({"backup", w.dir, 0});
        return KH_EXIT_OK;
    }
    printf(
        "backup in %s; no private key is in it: keep the vault's and the writer's folders' keys elsewhere\n",
        w.dir);
    return KH_EXIT_OK;
}

const struct verb verb_backup = {"backup", run, usage, "copy stores and audit chains while the server runs"};
