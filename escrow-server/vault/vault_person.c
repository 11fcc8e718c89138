/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Waiting is measured by a clock that nobody sets. */
static uint64_t seconds_up(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

/* The row of a name. People are never forgotten: who could push a row out would have free tries again. */
static struct throttle *throttle_of(struct vault *v, const char *who, bool known)
{
    unsigned i = 1;
    if (!known || who[0] == '\0')
        return &v->throttle[0];
    while (i < VAULT_THROTTLED && v->throttle[i].who[0] != '\0' && strcmp(v->throttle[i].who, who) != 0)
        i++;
    if (i == VAULT_THROTTLED) /* only when people were replaced by others while the vault ran */
        return &v->throttle[0];
    snprintf(v->throttle[i].who, sizeof v->throttle[i].who, "%s", who);
    return &v->throttle[i];
}

static void count_failure(struct vault *v, struct throttle *t, uint64_t now)
{
    t->failures++;
    uint64_t wait = 0;
    if (t->failures >= VAULT_FREE_TRIES) {
        unsigned doublings = t->failures - VAULT_FREE_TRIES;
        wait = doublings > 7 ? VAULT_WAIT_MAX_S : (uint64_t)VAULT_WAIT_S << doublings;
    }
    t->until = now + (wait > VAULT_WAIT_MAX_S ? VAULT_WAIT_MAX_S : wait);
    v->spent_until = (v->spent_until > now ? v->spent_until : now) + VAULT_SPACE_S;
}

/* err: BUSY, with a sentence */
static enum err check_throttle(const struct vault *v, const struct throttle *t, uint64_t now,
                               char *ret_detail)
{
    uint64_t full = now + (VAULT_BURST - 1) * VAULT_SPACE_S;
    if (t->failures >= VAULT_FREE_TRIES && now < t->until) {
        snprintf(ret_detail, MSG_DETAIL, "Too many wrong passwords for %s; try again in %llu seconds.",
                 t == &v->throttle[0] ? "names like this" : "this name",
                 (unsigned long long)(t->until - now));
        return ERR_BUSY;
    }
    if (v->spent_until > full) {
        snprintf(ret_detail, MSG_DETAIL,
                 "Too many wrong passwords for all names together; try again in %llu seconds.",
                 (unsigned long long)(v->spent_until - full));
        return ERR_BUSY;
    }
    return ERR_OK;
}

static enum err no_people(enum err e, char *ret_detail)
{
    slog(SLOG_ERROR, "people", "failed=\"read the file of users\" reason=\"%s\"", err_text(e));
    snprintf(ret_detail, MSG_DETAIL, "The vault cannot read its file of users; nobody can be recognised.");
    return ERR_IO;
}

static enum err check_both(struct vault *v, const char *who, const struct msg_blob *given, const char *code,
                           struct vault_asker *ret)
{
    SECRET(password);
    struct person p;
    struct vault_asker asker = {.step = 0};
    if (given->len > SECRET_MAX)
        return ERR_AUTH; /* nobody's password, and counted as such */
    memcpy(password.bytes, given->p, given->len);
    password.len = given->len;
    enum err e = people_check(NAME_USERS, who, &password, &p);
    if (e == ERR_OK) {
        asker.role = p.role;
        e = vault_code_check(v, who, &p, code, &asker.step);
        cr_wipe(&p, sizeof p);
    }
    if (e == ERR_OK)
        *ret = asker;
    return e;
}

enum err vault_step_up(struct vault *v, const char *who, const struct msg_blob *password, const char *code,
                       struct vault_asker *ret, char *ret_detail)
{
    uint64_t now = seconds_up();
    bool known = false;
    enum err e = people_known(NAME_USERS, who, &known);
    if (e != ERR_OK)
        return no_people(e, ret_detail);
    struct throttle *t = throttle_of(v, who, known);
    v->refusal = REFUSAL_THROTTLED;
    TRY(check_throttle(v, t, now, ret_detail));
    v->refusal = REFUSAL_OTHER;
    e = check_both(v, who, password, code, ret);
    if (e == ERR_OK) {
        t->failures = 0;
        return ERR_OK;
    }
    if (e != ERR_AUTH && e != ERR_RANGE)
        return no_people(e, ret_detail);
    count_failure(v, t, now);
    v->refusal = REFUSAL_PASSWORD;
    snprintf(ret_detail, MSG_DETAIL, "Wrong name, password or one-time code.");
    return ERR_AUTH;
}

/* What shows nothing, in UTF-8: blanks, spaces of every width, fillers and marks of no width. */
static const char *const blanks[] = {
    " ",      "\t",     "\u00a0", "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u1680",
    "\u180e", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007",
    "\u2008", "\u2009", "\u200a", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2028",
    "\u2029", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u202f", "\u205f", "\u2060",
    "\u2061", "\u2062", "\u2063", "\u2064", "\u2800", "\u3000", "\u3164", "\ufeff", "\uffa0"};

static size_t blank_len(const char *text)
{
    for (size_t i = 0; i < sizeof blanks / sizeof blanks[0]; i++)
        if (strncmp(text, blanks[i], strlen(blanks[i])) == 0)
            return strlen(blanks[i]);
    return 0;
}

bool vault_is_blank(const char *text)
{
    for (size_t len; (len = blank_len(text)) > 0;)
        text += len;
    return text[0] == '\0';
}

enum err vault_person(struct vault *v, const struct msg_disclose *d, struct vault_asker *ret,
                      const char **ret_why, char *ret_detail)
{
    *ret_why = "wrong name, password or code";
    TRY(vault_step_up(v, d->who, &d->password, d->code, ret, ret_detail));
    enum people_role role = ret->role;
    if (role != PEOPLE_HELP_DESK && role != PEOPLE_ADVANCED) {
        v->refusal = REFUSAL_ROLE;
        *ret_why = "the role may not read keys";
        snprintf(ret_detail, MSG_DETAIL, "The role %s may not read keys.", people_role_text(role));
        return ERR_DENIED;
    }
    if (vault_is_blank(d->reason)) {
        *ret_why = "no reason";
        snprintf(ret_detail, MSG_DETAIL, "A reason is needed; give it with --reason.");
        return ERR_DENIED;
    }
    if (role == PEOPLE_HELP_DESK && vault_is_blank(d->user)) {
        *ret_why = "no user, whom this role must name";
        snprintf(
            ret_detail, MSG_DETAIL,
            "The help desk must also name the user whose laptop it is (--user); only the advanced help desk "
            "may ask without.");
        return ERR_DENIED;
    }
    return ERR_OK;
}
