/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include <stdio.h>
#include <string.h>

void vault_refuse_count(const struct vault *v, enum err e)
{
    static const char *const why[] = {
        [REFUSAL_PASSWORD] = "password", [REFUSAL_THROTTLED] = "throttled", [REFUSAL_ROLE] = "role",
        [REFUSAL_QUOTA] = "quota",       [REFUSAL_APPROVAL] = "approval",   [REFUSAL_OTHER] = "other"};
    if (e == ERR_OK)
        return;
    metrics_add(METRIC_REFUSALS + v->refusal, 1);
    if (metrics_may_log(why[v->refusal], strlen(why[v->refusal])))
        slog(SLOG_WARN, "refuse", "refused=1 reason=%s", why[v->refusal]);
}

enum err vault_refuse(struct vault *v, struct audit_entry *entry, enum err e, const char *why)
{
    uint64_t n;
    snprintf(entry->action, sizeof entry->action, "%s", AUDIT_REFUSE);
    if (vault_log_append(v, entry, &n) != ERR_OK)
        slog(SLOG_WARN, "refuse", "refused=\"%s\" audited=0", why);
    return e;
}

enum err vault_refuse_word(struct vault *v, struct audit_entry *entry, enum err e, const char *what,
                           const char *why)
{
    bool good = entry->role[0] != '\0';
    if (!good && e != ERR_AUTH)
        return e;
    if (!good)
        snprintf(entry->role, sizeof entry->role, "-");
    if (entry->who[0] == '\0')
        snprintf(entry->who, sizeof entry->who, "?");
    if (good)
        snprintf(entry->detail, sizeof entry->detail, "%s refused: %s", what, why);
    else
        snprintf(entry->detail, sizeof entry->detail, "%s refused: wrong name, password or code", what);
    return vault_refuse(v, entry, e, what);
}
