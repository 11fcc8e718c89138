/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/settle.h"
#include "formats/names.h"

#define DAY UINT64_C(86400)

uint64_t settle_since(uint64_t made, uint64_t proved, uint64_t now)
{
    return made <= now || proved == 0 ? made : proved < made ? proved : made;
}

static bool is_newer(const struct settle_key *a, const struct settle_key *b)
{
    return a->preferred != b->preferred ? a->preferred : a->made > b->made;
}

int settle_newest(const struct settle_key *k, unsigned n)
{
    int newest = -1;
    for (unsigned i = 0; i < n; i++)
        if (k[i].proved && (newest < 0 || is_newer(&k[i], &k[newest])))
            newest = (int)i;
    return newest;
}

/* The newest receipted one but N: R, unless N is. told: or said to be. */
static int last_receipted(const struct settle_key *k, unsigned n, int aside, bool told)
{
    int last = -1;
    for (unsigned i = 0; i < n; i++)
        if ((int)i != aside && k[i].proved && (k[i].receipted || (told && k[i].told)) &&
            (last < 0 || is_newer(&k[i], &k[last])))
            last = (int)i;
    return last;
}

static bool is_receipted_here(const struct settle_key *k)
{
    return k->receipted && k->ours;
}

/* A clock that goes backwards only makes it wait. */
static bool has_settled(const struct settle_key *newest, uint64_t now)
{
    if (newest->cause != KH_CAUSE_SCHEDULE)
        return is_receipted_here(newest);
    bool old = now >= newest->since && now - newest->since >= POLICY_PACK_DAYS * DAY;
    return newest->packed || (is_receipted_here(newest) && old);
}

uint32_t settle_may_go(const struct settle_key *k, unsigned n, const struct policy *p, uint64_t now)
{
    int newest = settle_newest(k, n), last = last_receipted(k, n, newest, false),
        told = last_receipted(k, n, newest, true);
    uint32_t go = 0;
    if (newest < 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        bool spent = k[i].spent && (is_receipted_here(&k[newest]) || !p->rotate_used_needs_receipt);
        bool stays = (int)i == last || (int)i == told;
        if ((int)i != newest && (!stays || spent || has_settled(&k[newest], now)))
            go |= UINT32_C(1) << i;
    }
    return go;
}
