/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/vault.h"
#include <stdio.h>
#include <string.h>

/* Limits and windows count from when an entry was written. While the vault runs, a clock that nobody sets
 * says that. Of an entry that is read back there is only its time, by a clock that may have been wrong:
 * - one that is later than now is counted from the reading on: an hour's limit is not opened by a clock that
 *   was put right, and holds for an hour at most;
 * - none is older than one that stands before it and is not later than now, and none is younger than one that
 *   stands behind it: the log's order says more than its times.
 * A start while the clock is ahead finds old what is young: whoever can do both, opens a limit once each
 * time.
 */

#define HOUR_S 3600

void vault_age_read(struct vault_mark *m, uint64_t *latest)
{
    uint64_t now = vault_now();
    m->since = vault_up();
    m->ahead = m->time > now || m->time < *latest;
    if (m->time > now)
        return;
    if (m->time > *latest)
        *latest = m->time;
    m->since -= *latest < now ? (int64_t)(now - *latest) : 0;
}

void vault_age_settle(struct vault_mark *m, size_t n)
{
    for (size_t i = n; i-- > 1;)
        if (m[i - 1].since > m[i].since)
            m[i - 1].since = m[i].since;
}

uint64_t vault_age(const struct vault_mark *m)
{
    int64_t up = vault_up();
    return up > m->since ? (uint64_t)(up - m->since) : 0;
}

static bool counts(const struct vault *v, const struct msg_entry *e, const char *who)
{
    if (strcmp(e->who, who) != 0 || strcmp(e->chain, v->seen.chain) != 0)
        return false;
    const struct vault_mark *m = vault_memory_mark_of(v, e->chain, e->n);
    return m == NULL || vault_age(m) < HOUR_S;
}

enum err vault_quota(const struct vault *v, const char *who, char *ret_detail)
{
    uint64_t n = 0;
    for (size_t i = 0; i < v->n_disclosed; i++) /* all: those of imported chains stand among them */
        n += counts(v, &v->disclosed[i], who);
    uint64_t limit = v->conf.quota_per_hour / v->conf.vaults; /* another one may have given the rest */
    if (n < (limit > 0 ? limit : 1))
        return ERR_OK;
    snprintf(ret_detail, MSG_DETAIL,
             "%s has read %llu keys within the last hour, which is the limit (disclosures-per-hour in "
             "server.conf, divided among the vaults); "
             "try again later or let somebody else do it.",
             who, (unsigned long long)n);
    return ERR_BUSY;
}
