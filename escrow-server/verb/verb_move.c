/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/state.h"
#include "escrow-server/store/store_rows.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/base.h"
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "  keyholt-server move [--root DIR] --to postgres://... [--half recovery|compliance] [--json]\n";

static const char *const half_name[STORE_HALVES] = {"recovery", "compliance"};

struct move {
    bool json;
    const char *root, *to, *half;
    struct conf conf;
    struct store *from, *dest;
};

/* Both sides counted and summed, after the copy. ret_same: nothing is missing and nothing is more */
static enum err compare(struct move *m, const struct sql_table *t, bool *ret_same)
{
    struct table_sum a, b;
    char hex[BASE16_LEN(32) + 1];
    TRY(store_sum(m->from, t, &a));
    TRY(store_sum(m->dest, t, &b));
    *ret_same = a.rows == b.rows && memcmp(a.digest, b.digest, sizeof a.digest) == 0;
    base16_encode(a.digest, sizeof a.digest, hex);
    fprintf(m->json ? stderr : stdout, "%s.%s: %llu rows, digest %.16s: %s\n", half_name[t->half], t->name,
            (unsigned long long)a.rows, hex, *ret_same ? "the same on both sides" : "NOT THE SAME there");
    return ERR_OK;
}

static enum err move_half(struct move *m, enum store_half half, bool *ret_same)
{
    *ret_same = true;
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        bool same;
        if (sql_tables[i].half != half)
            continue;
        TRY(store_copy(m->from, m->dest, &sql_tables[i]));
        TRY(compare(m, &sql_tables[i], &same));
        *ret_same = *ret_same && same;
    }
    return ERR_OK;
}

static bool wanted(const struct move *m, enum store_half half)
{
    return m->half == NULL || strcmp(m->half, half_name[half]) == 0;
}

/* What is not moved stays where it is, and is not touched. */
static enum err open_both(struct move *m)
{
    struct store_place place = {.patient = true};
    TRY(state_store(m->root, &m->conf, &m->from));
    for (unsigned half = 0; half < STORE_HALVES; half++)
        place.url[half] = wanted(m, half) ? m->to : NULL; /* NULL: in memory, not used */
    return store_sql.open(&place, &m->dest);
}

static int move(struct move *m)
{
    bool all = true, same;
    enum err e = open_both(m);
    for (unsigned half = 0; half < STORE_HALVES && e == ERR_OK; half++) {
        if (!wanted(m, half))
            continue;
        e = move_half(m, half, &same);
        all = all && same;
    }
    if (e != ERR_OK)
        return state_complain(e == ERR_OFFLINE ? KH_EXIT_QUEUED : KH_EXIT_FAILED, "move",
                              state_store_text(e));
    if (!all)
        return state_complain(KH_EXIT_NO, "move",
                              "the copy is not the same; the server's own stores are as they were");
    if (m->json) {
        ANSWER_JSON({"moved", m->half == NULL ? "both" : m->half, 0}, {"to", m->to, 0});
        return KH_EXIT_OK;
    }
    for (unsigned half = 0; half < STORE_HALVES; half++)
        if (wanted(m, half))
            printf("next: %s = %s in server.conf, then start the server\n", half_name[half], m->to);
    return KH_EXIT_OK;
}

static int run(int argc, char *const *argv)
{
    struct move m = {.root = "/"};
    char root[PATH_MAX];
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &m.root},
                                      {"to", OPTION_TEXT, true, &m.to},
                                      {"half", OPTION_TEXT, false, &m.half},
                                      {"json", OPTION_FLAG, false, &m.json}};
    if (options_parse(argc, argv, defs, 4, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (strncmp(m.to, "postgres", strlen("postgres")) != 0 && strchr(m.to, '=') == NULL)
        return state_complain(KH_EXIT_USAGE, m.to,
                              "--to is a connection string of PostgreSQL, as postgres://HOST/DATABASE");
    if (m.half != NULL && !wanted(&m, STORE_RECOVERY) && !wanted(&m, STORE_COMPLIANCE))
        return state_complain(KH_EXIT_USAGE, m.half, "--half is recovery or compliance");
    int code = state_begin(m.root, root, &m.conf);
    if (code != 0)
        return code;
    m.root = root;
    for (unsigned half = 0; half < STORE_HALVES; half++)
        if (wanted(&m, half) && !state_is_sqlite(&m.conf, half))
            return state_complain(KH_EXIT_NO, half_name[half],
                                  "it is in PostgreSQL already; use PostgreSQL's own tools");
    enum err e = state_lock(root);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, root,
                              e == ERR_BUSY ? "the server runs; stop it first" : err_text(e));
    code = move(&m);
    store_sql.close(m.from);
    store_sql.close(m.dest);
    return code;
}

const struct verb verb_move = {"move", run, usage,
                               "copy stores from SQLite to PostgreSQL and compare both sides"};
