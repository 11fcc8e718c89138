/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_quiet.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/quiet.h"
#include <string.h>
#include <time.h>

#define SEEN_WAIT (1u << 20) /* bytes for the writer, and no more of them */

/* It brings nothing and asks for nothing, and the audit head that it has is one of ours. */
static bool is_bare(struct web *w, const struct sync *s)
{
    const struct msg_sync *m = &s->m;
    bool brings = m->n > 0 || m->n_proofs > 0 || m->has_set || m->has_package_set || s->has_spki;
    bool behind = w->policy != NULL && w->policy->policy.version > s->policy;
    return s->brief && !brings && !behind && (!m->has_head || web_heads_get(w, m->audit_head) == HEARD_KNOWN);
}

static bool is_quiet(const struct sync *s, const uint8_t courier[static 32])
{
    struct quiet q = {.has_packages = s->m.has_packages};
    memcpy(q.device, s->m.device, sizeof q.device);
    memcpy(q.courier, courier, sizeof q.courier);
    memcpy(q.envelopes, s->m.envelopes, sizeof q.envelopes);
    memcpy(q.last, s->last, sizeof q.last);
    memcpy(q.packages, s->m.packages, sizeof q.packages);
    return quiet_has(&q);
}

/* A writer that hangs is told no more, and then nobody is quiet: else what waits for it would grow for ever.
 */
void web_seen_send(struct web *w)
{
    if (w->seen.n == 0 || !back_is_up(w, BACK_WRITER) || back_waits(w, BACK_WRITER) > SEEN_WAIT)
        return;
    struct writer *body = back_tell(w, BACK_WRITER, MSG_SEEN);
    if (body == NULL)
        return; /* no memory now */
    msg_put_seen(body, &w->seen);
    back_told(w, BACK_WRITER);
    w->seen.n = 0;
}

static void note_seen(struct web *w, const struct sync *s)
{
    struct msg_seen_one *one = &w->seen.item[w->seen.n++];
    memcpy(one->device, s->m.device, sizeof one->device);
    one->time = (uint64_t)time(NULL);
    one->has_head = s->m.has_head;
    memcpy(one->audit_head, s->m.audit_head, sizeof one->audit_head);
    if (w->seen.n == MSG_SEEN_MAX)
        web_seen_send(w);
}

/* While the writer is away nobody is quiet: that a device was here would be lost. */
bool web_quiet(struct web *w, const uint8_t courier[static 32], bool renew, const struct sync *s)
{
    bool heard = back_is_up(w, BACK_WRITER) && w->seen.n < MSG_SEEN_MAX;
    if (!heard || renew || !is_bare(w, s) || !is_quiet(s, courier))
        return false;
    note_seen(w, s);
    metrics_add(METRIC_QUIET, 1);
    return true;
}
