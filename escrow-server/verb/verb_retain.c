/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/state.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include <stdio.h>
#include <time.h>

static const char usage[] = "  keyholt-server retain [--root DIR] [--json]\n";

/* The beginning of the month that many months ago (UTC), in microseconds. */
static enum err cutoff_of(time_t now, uint64_t months, uint64_t *ret_us)
{
    struct tm t;
    if (gmtime_r(&now, &t) == NULL)
        return ERR_RANGE;
    struct tm first = {.tm_year = t.tm_year, .tm_mon = t.tm_mon - (int)months, .tm_mday = 1};
    time_t at = timegm(&first);
    if (at < 0)
        return ERR_RANGE;
    *ret_us = (uint64_t)at * 1000000;
    return ERR_OK;
}

/* SQLite has no queue: who waits for its lock looks again every 100 ms at most, and would not meet the moment
 * between two steps for seconds. */
#define PAUSE_NS 110000000

/* One transaction for each step: the writer gets its turn in between. */
static enum err retain(struct store *s, uint64_t cutoff_us)
{
    bool more = true, replicated;
    while (more) {
        TRY(store_sql.begin(s, STORE_COMPLIANCE));
        enum err e = store_sql.retain(s, cutoff_us, (uint64_t)time(NULL), &more);
        if (e != ERR_OK) {
            store_sql.abandon(s, STORE_COMPLIANCE);
            return e;
        }
        TRY(store_sql.commit(s, STORE_COMPLIANCE, &replicated));
        if (more)
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return ERR_OK;
}

/* What went in all; nothing, where nothing was so old. */
static enum err take_away(struct store *s, uint64_t cutoff_us, uint64_t *ret_records, uint64_t *ret_events)
{
    TRY(retain(s, cutoff_us));
    enum err e = store_sql.retained(s, cutoff_us, ret_records, ret_events);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static int run(int argc, char *const *argv)
{
    const char *root = "/";
    char absolute[PATH_MAX];
    struct conf conf;
    struct store *s = NULL;
    uint64_t cutoff_us = 0, records = 0, events = 0;
    bool json = false;
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"json", OPTION_FLAG, false, &json}};
    if (options_parse(argc, argv, defs, 2, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    int code = state_begin(root, absolute, &conf);
    if (code != 0)
        return code;
    if (conf.compliance_months == 0) {
        if (json)
            ANSWER_JSON({"months", NULL, 0}, {"records", NULL, 0}, {"events", NULL, 0});
        else
            puts("compliance-months is 0: everything is kept");
        return KH_EXIT_OK;
    }
    enum err e = cutoff_of(time(NULL), conf.compliance_months, &cutoff_us);
    if (e == ERR_OK)
        e = state_store_as_writer(absolute, &conf, &s);
    if (e == ERR_OK)
        e = take_away(s, cutoff_us, &records, &events);
    store_sql.close(s);
    if (e != ERR_OK)
        return state_complain(e == ERR_OFFLINE ? KH_EXIT_QUEUED : KH_EXIT_FAILED, "retain",
                              state_store_text(e));
    if (json) {
        ANSWER_JSON({"months", NULL, conf.compliance_months}, {"records", NULL, records},
                    {"events", NULL, events});
        return KH_EXIT_OK;
    }
    printf("taken away, of what came more than %llu months ago: %llu records, %llu events\n",
           (unsigned long long)conf.compliance_months, (unsigned long long)records,
           (unsigned long long)events);
    return KH_EXIT_OK;
}

const struct verb verb_retain = {"retain", run, usage,
                                 "take away compliance records older than compliance-months"};
