/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/places.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/audit_verbs.h"
#include "formats/host/audit_chain.h"
#include <stdio.h>
#include <string.h>

/* A chain as it lies here, for another server's `audit import` or an auditor; without its personal parts
 * where that is wanted: then as if they had been erased, and it verifies all the same. */
struct export
{
    FILE *to;
    bool without_personal;
};

static enum err print(void *ctx, const struct audit_entry *e, const char *line, size_t len)
{
    const struct export *x = ctx;
    const char *tab = memchr(line, '\t', len);
    (void)e;
    size_t n = x->without_personal && tab != NULL ? (size_t)(tab - line) : len;
    bool good = fwrite(line, 1, n, x->to) == n && (n == len || fputs("\t \n", x->to) >= 0);
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

int audit_export_verb(const struct audit_words *w)
{
    char path[PATH_MAX];
    struct audit_head head;
    size_t torn;
    struct export x = {.to = stdout, .without_personal = w->without_personal};
    if (w->json && w->rest.n != 1)
        return state_complain(KH_EXIT_USAGE, "audit export",
                              "with --json, name a FILE: the log is no answer");
    enum err e = path_of(w, path);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_USAGE, w->chain, "a chain's ID has 32 hexadecimal digits");
    if (w->rest.n == 1 && (x.to = fopen(w->rest.item[0], "wxe")) == NULL)
        return state_complain(KH_EXIT_FAILED, w->rest.item[0], "it is there already, or cannot be written");
    e = audit_verify(path, print, &x, &head, &torn);
    if (fflush(x.to) != 0 && e == ERR_OK)
        e = ERR_IO;
    if (x.to != stdout && fclose(x.to) != 0 && e == ERR_OK)
        e = ERR_IO;
    if (e != ERR_OK)
        return state_complain(e == ERR_AUTH || e == ERR_FORMAT ? KH_EXIT_NO : KH_EXIT_FAILED, path,
                              err_text(e));
    if (w->json)
        ANSWER_JSON({"chain", head.chain, 0}, {"entries", NULL, head.n}, {"file", w->rest.item[0], 0});
    else
        fprintf(stderr, "keyholt-server: chain %s, %llu entries\n", head.chain, (unsigned long long)head.n);
    return KH_EXIT_OK;
}
