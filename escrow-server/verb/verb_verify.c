/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/audit/audit_reading.h"
#include "escrow-server/state.h"
#include "escrow-server/store/store_check.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "escrow-server/verb/verify_receipts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "  keyholt-server verify [--root DIR] [--json] [FILE...]\n";

static void say(const char *what, const char *id)
{
    fprintf(stderr, "keyholt-server: %s: %s\n", what, id);
}

/* What the store knows of this chain, against what the log has. */
struct compare {
    struct store_check *check;
    const struct audit_head *head;
};

/* A disclosure behind the end of the log: the log lost it. Columns: chain, n, ... */
static enum err check_disclosure(void *ctx, const struct db_column *col)
{
    struct compare *c = ctx;
    char text[MSG_CHAIN + 32];
    if (col[0].len != strlen(c->head->chain) || memcmp(col[0].p, c->head->chain, col[0].len) != 0 ||
        col[1].number <= c->head->n)
        return ERR_OK;
    snprintf(text, sizeof text, "%s entry %llu", c->head->chain, (unsigned long long)col[1].number);
    say("the store knows a disclosure that the audit log lost", text);
    c->check->n_wrong++;
    return ERR_OK;
}

/* The vault tells the store of each disclosure; the newest may be on their way. */
static enum err count_untold(struct store_check *c, const struct audit_reading *r, uint64_t *ret)
{
    uint64_t untold = 0;
    for (size_t i = 0; i < r->view.n; i++) {
        const struct audit_entry *e = &r->view.line[i].entry;
        bool there;
        if (r->view.line[i].foreign || strcmp(e->action, AUDIT_DISCLOSE) != 0)
            continue;
        TRY(store_check_disclosure(c, e->chain, e->n, &there));
        untold += !there;
    }
    *ret = untold;
    return ERR_OK;
}

static enum err check_audit(struct store_check *c, struct audit_reading *r, const char *root,
                            uint64_t *ret_untold)
{
    struct compare compare = {c, &r->source[0].head};
    TRY(audit_read_all(r, root));
    for (unsigned i = 0; i < r->n; i++) {
        bool good;
        const char *verdict = audit_judge(r, i, &good);
        if (!good)
            say(verdict, r->source[i].path);
        c->n_wrong += !good;
    }
    TRY(store_each(c->store, &sql_tables[TABLE_DISCLOSURES], check_disclosure, &compare));
    return count_untold(c, r, ret_untold);
}

static int report(const struct store_check *c, const struct audit_reading *r, uint64_t untold, bool receipts,
                  bool json)
{
    printf(json ? "{\"devices\":%llu,\"records\":%llu,\"envelopes\":%llu,\"orders\":%llu,\"chains\":%u,"
                  "\"untold\":%llu,"
                : "%llu devices, %llu records, %llu envelopes, %llu orders, %u audit chains; %llu "
                  "disclosures not in the store yet; ",
           (unsigned long long)c->n_devices, (unsigned long long)c->n_records,
           (unsigned long long)c->n_envelopes, (unsigned long long)c->n_orders, r->n,
           (unsigned long long)untold);
    if (json || receipts)
        printf(json ? "\"receipts\":%llu,\"receipted\":%llu,\"too_old\":%llu,"
                    : "%llu receipts of %llu records, of which %llu are not there and from before what "
                      "retention took; ",
               (unsigned long long)c->n_receipts, (unsigned long long)c->n_receipted,
               (unsigned long long)c->n_too_old);
    printf(json ? "\"wrong\":%llu}\n" : "%llu wrong\n", (unsigned long long)c->n_wrong);
    return c->n_wrong == 0 ? KH_EXIT_OK : KH_EXIT_NO;
}

static int failed(enum err e)
{
    return state_complain(e == ERR_OFFLINE ? KH_EXIT_QUEUED : KH_EXIT_FAILED, "verify", state_store_text(e));
}

static int verify(const char *root, const struct conf *conf, const struct option_words *files, bool json)
{
    static struct org org;
    struct store_check c = {.org = &org, .say = say};
    struct audit_reading *r = calloc(1, sizeof *r);
    uint64_t untold = 0;
    if (r == NULL)
        return failed(ERR_NOMEM);
    r->view.key = "";
    enum err e = state_org(root, &org, NULL, NULL);
    if (e == ERR_OK)
        e = state_store(root, conf, &c.store);
    if (e == ERR_OK)
        e = verify_receipts(&c, files->item, files->n);
    if (e == ERR_OK)
        e = store_check(&c);
    if (e == ERR_OK)
        e = check_audit(&c, r, root, &untold);
    int code = e == ERR_OK ? report(&c, r, untold, files->n > 0, json) : failed(e);
    store_sql.close(c.store);
    audit_view_free(&r->view);
    free(r);
    return code;
}

static int parse_and_do(int argc, char *const *argv, struct option_words *files)
{
    const char *root = "/";
    bool json = false;
    char absolute[PATH_MAX];
    struct conf conf;
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"json", OPTION_FLAG, false, &json},
                                      {NULL, OPTION_WORDS, false, files}};
    if (options_parse(argc, argv, defs, 3, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    int code = state_begin(root, absolute, &conf);
    return code != 0 ? code : verify(absolute, &conf, files, json);
}

static int run(int argc, char *const *argv)
{
    struct option_words files = {.max = (unsigned)argc};
    files.item = calloc((size_t)argc + 1, sizeof *files.item);
    if (files.item == NULL)
        return failed(ERR_NOMEM);
    int code = parse_and_do(argc, argv, &files);
    free(files.item);
    return code;
}

const struct verb verb_verify = {
    "verify", run, usage,
    "check every record, envelope, order and audit chain, and receipts in files; changes nothing"};
