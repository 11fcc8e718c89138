/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/places.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/audit_verbs.h"
#include "formats/host/audit_chain.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A chain as it lies here, for another server's `audit import` or an auditor; without its personal parts
 * where that is wanted: then as if they had been erased, and it verifies all the same. */
struct export
{
    FILE *to;
    bool without_personal;
    bool failed; /* writing, not reading */
};

static enum err print(void *ctx, const struct audit_entry *e, const char *line, size_t len)
{
    struct export *x = ctx;
    const char *tab = memchr(line, '\t', len);
    (void)e;
    size_t n = x->without_personal && tab != NULL ? (size_t)(tab - line) : len;
    bool good = fwrite(line, 1, n, x->to) == n && (n == len || fputs("\t \n", x->to) >= 0);
    x->failed = !good;
    return good ? ERR_OK : ERR_IO;
}

static enum err path_of(const struct audit_words *w, char ret[static PATH_MAX])
{
    char place[PATH_MAX] = PLACE_AUDIT;
    if (w->chain != NULL && (strlen(w->chain) != 32 || strspn(w->chain, "0123456789abcdef") != 32))
        return ERR_FORMAT;
    if (w->chain != NULL)
        snprintf(place, sizeof place, PLACE_FOREIGN "/%s.log", w->chain);
    return file_join(w->root, place, ret, PATH_MAX);
}

/* Names and reasons: for nobody else's eyes, as the log's. */
static FILE *make(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (f == NULL && fd >= 0)
        close(fd);
    return f;
}

static enum err write_all(struct export *x, const char *path, struct audit_head *ret_head)
{
    size_t torn;
    enum err e = audit_verify(path, print, x, ret_head, &torn);
    if (fflush(x->to) != 0 || ferror(x->to))
        x->failed = true;
    if (x->to != stdout && fclose(x->to) != 0)
        x->failed = true;
    return x->failed ? ERR_IO : e;
}

int audit_export_verb(const struct audit_words *w)
{
    char path[PATH_MAX];
    struct audit_head head;
    const char *file = w->rest.n == 1 ? w->rest.item[0] : NULL;
    struct export x = {.to = stdout, .without_personal = w->without_personal};
    if (w->json && file == NULL)
        return state_complain(KH_EXIT_USAGE, "audit export",
                              "with --json, name a FILE: the log is no answer");
    enum err e = path_of(w, path);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_USAGE, w->chain, "a chain's ID has 32 hexadecimal digits");
    if (file != NULL && (x.to = make(file)) == NULL)
        return state_complain(KH_EXIT_FAILED, file, "it is there already, or cannot be written");
    e = write_all(&x, path, &head);
    if (e != ERR_OK && file != NULL)
        (void)unlink(file);
    if (x.failed)
        return state_complain(KH_EXIT_FAILED, file != NULL ? file : "standard output",
                              "it cannot be written whole; is there room for it?");
    if (e != ERR_OK)
        return state_complain(e == ERR_AUTH || e == ERR_FORMAT ? KH_EXIT_NO : KH_EXIT_FAILED, path,
                              err_text(e));
    if (w->json)
        ANSWER_JSON({"chain", head.chain, 0}, {"entries", NULL, head.n}, {"file", file, 0});
    else
        fprintf(stderr, "keyholt-server: chain %s, %llu entries\n", head.chain, (unsigned long long)head.n);
    return KH_EXIT_OK;
}
