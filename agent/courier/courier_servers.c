/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier.h"
#include <string.h>

#define PREFERRED_MS (6ll * 3600 * 1000)
#define RETRY_MAX_S  86400u

static unsigned find(const struct courier_servers *s, struct msg_span url)
{
    for (unsigned i = 0; i < s->n; i++)
        if (strlen(s->item[i].url) == url.len && memcmp(s->item[i].url, url.p, url.len) == 0)
            return i;
    return s->n;
}

/* The organisation's list may change at any time; what is known of a server that stays is kept. */
static void take_list(struct courier_servers *s, const struct msg_list *org)
{
    struct courier_servers now = {.preferred_until_ms = s->preferred_until_ms};
    int preferred = -1;
    for (uint32_t i = 0; i < org->n && now.n < ORG_SERVERS; i++) {
        struct courier_server *to = &now.item[now.n];
        if (msg_text_copy(org->item[i], to->url, sizeof to->url) != ERR_OK)
            continue;
        unsigned was = find(s, org->item[i]);
        to->not_before_ms = was < s->n ? s->item[was].not_before_ms : 0;
        if (was < s->n && was == s->preferred)
            preferred = (int)now.n;
        now.n++;
    }
    now.preferred = preferred < 0 ? now.n : (unsigned)preferred;
    *s = now;
}

static void pick_one(const struct courier_servers *s, unsigned i, bool all, int64_t now_ms,
                     struct msg_list *ret)
{
    if (all || s->item[i].not_before_ms <= now_ms)
        ret->item[ret->n++] = msg_text(s->item[i].url);
}

void courier_servers_pick(struct courier_servers *s, const struct msg_list *org, int64_t now_ms, bool person,
                          struct msg_list *ret)
{
    take_list(s, org);
    ret->n = 0;
    if (now_ms >= s->preferred_until_ms)
        s->preferred = s->n;
    if (s->preferred < s->n)
        pick_one(s, s->preferred, person, now_ms, ret);
    for (unsigned i = 0; i < s->n; i++)
        if (i != s->preferred)
            pick_one(s, i, person, now_ms, ret);
}

void courier_servers_said(struct courier_servers *s, struct msg_span url, uint32_t status,
                          uint64_t retry_after_s, int64_t now_ms)
{
    unsigned i = find(s, url);
    if (i == s->n)
        return;
    if (retry_after_s > RETRY_MAX_S)
        retry_after_s = RETRY_MAX_S;
    s->item[i].not_before_ms = status == MSG_DONE ? 0 : now_ms + (int64_t)retry_after_s * 1000;
    if (status != MSG_DONE || i == s->preferred)
        return; /* its hours are counted from when it took over, not from when it worked last */
    s->preferred = i == 0 ? s->n : i;
    s->preferred_until_ms = now_ms + PREFERRED_MS;
}

uint64_t courier_servers_wait_s(const struct courier_servers *s, int64_t now_ms)
{
    int64_t least = INT64_MAX;
    for (unsigned i = 0; i < s->n; i++)
        if (s->item[i].not_before_ms < least)
            least = s->item[i].not_before_ms;
    return s->n == 0 || least <= now_ms ? 0 : (uint64_t)(least - now_ms + 999) / 1000;
}
