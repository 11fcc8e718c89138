/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/state_backup.h"
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "escrow-server/verb/options.h"
#include "formats/base.h"
#include "formats/policy.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK    (64u << 10)
#define SUMS_MAX (64u << 10)

static enum err from_sqlite(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CANTOPEN:
        return ERR_NOT_FOUND;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CONFLICT;
    default:
        return ERR_IO;
    }
}

/* In one step: with a write-ahead log the reader keeps nobody waiting, and sees one moment. */
static enum err copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (b == NULL)
        return from_sqlite(sqlite3_errcode(to));
    (void)sqlite3_backup_step(b, -1);
    return from_sqlite(sqlite3_backup_finish(b));
}

static int is_ok(void *ctx, int n, char **value, char **name)
{
    (void)name;
    bool *ok = ctx;
    *ok = n == 1 && value[0] != NULL && strcmp(value[0], "ok") == 0;
    return 0;
}

/* One file, without a log beside it. */
static enum err finish_copy(sqlite3 *to)
{
    bool ok = false;
    TRY(from_sqlite(sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL)));
    TRY(from_sqlite(sqlite3_exec(to, "PRAGMA integrity_check(1)", is_ok, &ok, NULL)));
    return ok ? ERR_OK : ERR_CONFLICT;
}

/* SQLite would make it readable to all that the umask lets. */
static enum err make_private(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_from_errno(errno);
    close(fd);
    return ERR_OK;
}

enum err backup_sqlite(const char *from, const char *to)
{
    sqlite3 *a = NULL, *b = NULL;
    TRY(make_private(to));
    enum err e = from_sqlite(sqlite3_open_v2(from, &a, SQLITE_OPEN_READWRITE, NULL));
    if (e == ERR_OK)
        e = from_sqlite(sqlite3_open_v2(to, &b, SQLITE_OPEN_READWRITE, NULL));
    if (e == ERR_OK)
        e = from_sqlite(sqlite3_busy_timeout(a, 5000));
    if (e == ERR_OK)
        e = copy_pages(a, b);
    if (e == ERR_OK)
        e = finish_copy(b);
    sqlite3_close(a);
    sqlite3_close(b);
    return e;
}

/* Calls back with each piece of a file. */
typedef enum err piece(void *ctx, const uint8_t *p, size_t len);

static enum err read_pieces(int fd, piece *take, void *ctx)
{
    uint8_t *buffer = malloc(CHUNK);
    ssize_t n = -1;
    enum err e = buffer == NULL ? ERR_NOMEM : ERR_OK;
    while (e == ERR_OK && (n = read(fd, buffer, CHUNK)) > 0)
        e = take(ctx, buffer, (size_t)n);
    free(buffer);
    return e == ERR_OK && n < 0 ? err_from_errno(errno) : e;
}

static enum err hash_piece(void *ctx, const uint8_t *p, size_t len)
{
    return EVP_DigestUpdate(ctx, p, len) == 1 ? ERR_OK : ERR_INTERNAL;
}

enum err backup_digest(const char *path, uint8_t ret[static 32])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    enum err e = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? ERR_OK : ERR_NOMEM;
    if (e == ERR_OK)
        e = read_pieces(fd, hash_piece, md);
    if (e == ERR_OK && EVP_DigestFinal_ex(md, ret, NULL) != 1)
        e = ERR_INTERNAL;
    EVP_MD_CTX_free(md);
    close(fd);
    return e;
}

static enum err write_piece(void *ctx, const uint8_t *p, size_t len)
{
    const int *fd = ctx;
    while (len > 0) {
        ssize_t n = write(*fd, p, len);
        if (n < 0)
            return err_from_errno(errno);
        p += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum err backup_copy(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return err_from_errno(errno);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum err e = out < 0 ? (errno == EEXIST ? ERR_CONFLICT : err_from_errno(errno)) : ERR_OK;
    if (e == ERR_OK)
        e = read_pieces(in, write_piece, &out);
    if (e == ERR_OK && fsync(out) != 0)
        e = err_from_errno(errno);
    if (out >= 0)
        close(out);
    close(in);
    return e;
}

/* "HASH  NAME" */
static enum err check_line(const char *dir, const char *line)
{
    char path[PATH_MAX];
    uint8_t want[32], got[32];
    size_t n;
    if (strlen(line) < 67 || memcmp(line + 64, "  ", 2) != 0 || strstr(line + 66, "..") != NULL)
        return ERR_FORMAT;
    TRY(base16_decode(line, 64, want, sizeof want, &n));
    TRY(file_join(dir, line + 66, path, sizeof path));
    TRY(backup_digest(path, got));
    return memcmp(want, got, sizeof want) == 0 ? ERR_OK : ERR_AUTH;
}

enum err backup_check(const char *dir)
{
    char path[PATH_MAX];
    uint8_t *text = NULL;
    size_t len;
    TRY(file_join(dir, BACKUP_SUMS, path, sizeof path));
    TRY(file_read(path, SUMS_MAX, &text, &len));
    enum err e = len > 0 ? ERR_OK : ERR_FORMAT;
    for (char *line = (char *)text, *next; e == ERR_OK && *line != '\0'; line = next) {
        next = strchr(line, '\n');
        if (next == NULL) {
            e = ERR_FORMAT;
            break;
        }
        *next++ = '\0';
        e = check_line(dir, line);
        if (e != ERR_OK)
            fprintf(stderr, "keyholt-server: %s/%s: %s\n", dir, strlen(line) > 66 ? line + 66 : BACKUP_SUMS,
                    err_text(e));
    }
    free(text);
    return e;
}

int backup_begin(int argc, char *const *argv, const char *usage, struct backup_words *ret)
{
    const char *root = "/";
    struct option_list rest = {.n = 0};
    ret->json = false;
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"json", OPTION_FLAG, false, &ret->json},
                                      {NULL, OPTION_REST, false, &rest}};
    if (options_parse(argc, argv, defs, 3, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (rest.n != 1) {
        fprintf(stderr, "keyholt-server: one folder is wanted\n%s", usage);
        return KH_EXIT_USAGE;
    }
    int code = state_begin(root, ret->root, &ret->conf);
    if (code != 0)
        return code;
    enum err e = place_absolute(rest.item[0], ret->dir);
    return e == ERR_OK ? KH_EXIT_OK : state_complain(KH_EXIT_FAILED, rest.item[0], err_text(e));
}

void backup_bytes_free(struct backup_bytes *b)
{
    free(b->p);
}

enum err backup_policy(const struct org *org, const char *json, const char *sig, uint64_t *ret_version)
{
    BYTES(text);
    BYTES(signature);
    BYTES(scratch);
    struct cr_p256_pub pub;
    struct policy p;
    TRY(file_read(json, POLICY_MAX, &text.p, &text.len));
    TRY(file_read(sig, POLICY_SIG, &signature.p, &signature.len));
    TRY(cr_p256_from_spki(org->policy.spki, sizeof org->policy.spki, &pub));
    TRY(signature.len == POLICY_SIG ? ERR_OK : ERR_FORMAT);
    TRY(policy_verify(text.p, text.len, signature.p, &pub));
    scratch.len = POLICY_SCRATCH(text.len);
    scratch.p = malloc(scratch.len);
    TRY(scratch.p != NULL ? ERR_OK : ERR_NOMEM);
    TRY(policy_decode((const char *)text.p, text.len, &org->id, scratch.p, scratch.len, &p));
    *ret_version = p.version;
    return ERR_OK;
}

int backup_check_org(const char *root)
{
    static struct org org;
    char path[PATH_MAX];
    enum err e = state_org(root, &org, NULL, NULL);
    if (e == ERR_OK)
        return KH_EXIT_OK;
    bool bad = e == ERR_AUTH || e == ERR_FORMAT || e == ERR_RANGE;
    const char *what = file_join(root, PLACE_ORG, path, sizeof path) == ERR_OK ? path : root;
    return state_complain(KH_EXIT_FAILED, what,
                          bad ? "the root's signature of it (org.json.sig, root.pub) does not verify; "
                                "nothing was changed"
                          : e == ERR_NOT_FOUND
                              ? "it, org.json.sig or root.pub is not there; nothing was changed"
                              : err_text(e));
}
