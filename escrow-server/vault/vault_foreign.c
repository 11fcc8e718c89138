/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/base.h"
#include "formats/text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Chains of desks and other vaults: verified here, put on record with their heads, kept whole and never
 * re-linked. What was erased here stays erased, though the original may come again. */

#define PATH_LEN (sizeof NAME_FOREIGN + 1 + 32 + 8)

static enum err path_of(const char *chain, const char *suffix, char ret[static PATH_LEN])
{
    size_t len = strlen(chain);
    if (len != 32 || strspn(chain, "0123456789abcdef") != len)
        return ERR_FORMAT;
    snprintf(ret, PATH_LEN, NAME_FOREIGN "/%s%s", chain, suffix);
    return ERR_OK;
}

enum err vault_foreign_path(const char *chain, char ret[static VAULT_FOREIGN_PATH])
{
    _Static_assert(VAULT_FOREIGN_PATH >= PATH_LEN, "room");
    return path_of(chain, ".log", ret);
}

/* One entry of a chain that is here. A disclosure that names no key of a device orders nothing. */
static enum err take(void *ctx, const struct audit_entry *a, const char *line, size_t len)
{
    struct vault *v = ctx;
    (void)line, (void)len;
    vault_erase_seen(v, a);
    if (vault_memory_copy(v, a) == ERR_NOMEM || vault_memory_entry(v, a) == ERR_NOMEM)
        return ERR_NOMEM;
    return ERR_OK;
}

static void read_one(struct vault *v, const char *name)
{
    char path[PATH_LEN];
    struct audit_head head;
    size_t torn;
    snprintf(path, sizeof path, NAME_FOREIGN "/%s", name);
    enum err e = audit_verify(path, take, v, &head, &torn);
    if (e != ERR_OK)
        slog(SLOG_ERROR, "audit",
             "file=%s alarm=\"an imported chain is broken behind entry %llu\" reason=\"%s\"", path,
             (unsigned long long)head.n, err_text(e));
}

void vault_foreign_read(struct vault *v)
{
    DIR *d = opendir(NAME_FOREIGN);
    if (d == NULL) {
        slog(SLOG_ERROR, "audit", "folder=" NAME_FOREIGN " alarm=\"imported chains cannot be read\"");
        return;
    }
    for (const struct dirent *item; (item = readdir(d)) != NULL;)
        if (strlen(item->d_name) == 32 + 4 && strcmp(item->d_name + 32, ".log") == 0)
            read_one(v, item->d_name);
    closedir(d);
}

/* What came, behind what is here. */
struct incoming {
    struct vault *v;
    uint64_t had;
    int out;
};

static enum err copy_line(void *ctx, const struct audit_entry *a, const char *line, size_t len)
{
    struct incoming *in = ctx;
    if (a->n <= in->had)
        return ERR_OK;
    ssize_t n = write(in->out, line, len);
    if (n != (ssize_t)len)
        return n < 0 ? err_from_errno(errno) : ERR_FULL;
    return take(in->v, a, line, len);
}

/* A torn line is what an import left that broke off. */
static enum err cut_torn(const char *path)
{
    struct audit_head head;
    size_t torn = 0;
    struct stat st;
    enum err e = audit_verify(path, NULL, NULL, &head, &torn);
    if (e != ERR_OK || torn == 0)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    return stat(path, &st) == 0 && truncate(path, st.st_size - (off_t)torn) == 0 ? ERR_OK
                                                                                 : err_from_errno(errno);
}

struct coming {
    const struct vault *v;
    const char **why;
};

static enum err judge(void *ctx, const struct audit_entry *a, const char *line, size_t len)
{
    const struct coming *c = ctx;
    (void)line, (void)len;
    enum err e = vault_head_judge_foreign(c->v, a);
    if (e == ERR_CONFLICT)
        *c->why = "This is the log of another organisation's server; nothing was imported.";
    else if (e != ERR_OK)
        *c->why =
            "A checkpoint in it is false: it does not speak of the entry before it, or is not signed by "
            "the key that it names; nothing was imported.";
    return e;
}

/* Verify what comes, all of it, and compare. ret: its head; ret_had: entries that are here */
static enum err check(const char *here, const char *coming, struct coming *c, struct audit_head *ret,
                      uint64_t *ret_had)
{
    size_t torn;
    uint64_t n_here, n_coming, common;
    TRY(cut_torn(here));
    TRY(audit_verify(coming, judge, c, ret, &torn));
    TRY(audit_compare(here, coming, &n_here, &n_coming, &common));
    *ret_had = n_here;
    if (n_coming == 0)
        return ERR_FORMAT;
    return common == (n_here < n_coming ? n_here : n_coming) ? ERR_OK : ERR_CONFLICT;
}

/* A new file is there for good only when its folder is on disk, too. */
static enum err sync_folder(void)
{
    int fd = open(NAME_FOREIGN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err e = fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    close(fd);
    return e;
}

static enum err copy_new(struct incoming *in, const char *here, const char *coming)
{
    struct audit_head head;
    size_t torn;
    in->out = open(here, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (in->out < 0)
        return err_from_errno(errno);
    enum err e = audit_verify(coming, copy_line, in, &head, &torn);
    if (e == ERR_OK && fsync(in->out) != 0)
        e = err_from_errno(errno);
    close(in->out);
    TRY(e);
    return sync_folder();
}

static enum err put_on_record(struct vault *v, const struct msg_import *i, const struct audit_head *head)
{
    struct audit_entry a = {.time = vault_now(), .role = "-", .action = AUDIT_IMPORT};
    char hash[BASE16_LEN(32) + 1];
    uint64_t n;
    base16_encode(head->hash, sizeof head->hash, hash);
    text_clean(i->who, strlen(i->who), a.who, sizeof a.who);
    snprintf(a.detail, sizeof a.detail, "the name was only given: an import asks for no password");
    snprintf(a.note, sizeof a.note, "chain=%s entries=%llu head=%s", head->chain, (unsigned long long)head->n,
             hash);
    return vault_log_append(v, &a, &n);
}

static enum err import(struct vault *v, const struct msg_import *i, struct msg_imported *ret,
                       const char **why)
{
    char here[PATH_LEN], coming[PATH_LEN];
    struct incoming in = {.v = v, .out = -1};
    struct audit_head head;
    *why = "The chain's ID is none.";
    TRY(path_of(i->chain, ".log", here));
    TRY(path_of(i->chain, ".new", coming));
    *why = "The vault's audit log cannot be written, so nothing can be put on record.";
    if (vault_log_ready(v) != ERR_OK)
        return ERR_IO;
    *why = "This is the vault's own log; nothing was imported.";
    if (strcmp(i->chain, v->seen.chain) == 0)
        return ERR_CONFLICT;
    *why = "The chain is broken, or contradicts what was imported from it earlier; nothing was imported.";
    TRY(check(here, coming, &(struct coming){v, why}, &head, &in.had));
    if (strcmp(head.chain, i->chain) != 0)
        return ERR_FORMAT;
    *ret = (struct msg_imported){.n = head.n, .added = head.n > in.had ? head.n - in.had : 0};
    if (ret->added == 0)
        return ERR_OK;
    *why = "The vault's audit log cannot be written, so nothing can be put on record.";
    if (put_on_record(v, i, &head) != ERR_OK)
        return ERR_IO;
    *why = "The copy cannot be written whole; import the chain again.";
    return copy_new(&in, here, coming);
}

enum err vault_import(struct vault *v, const struct msg_import *i, struct msg_imported *ret, char *ret_detail)
{
    const char *why = "";
    enum err e = import(v, i, ret, &why);
    if (e != ERR_OK)
        snprintf(ret_detail, MSG_DETAIL, "%s", why);
    return e;
}
