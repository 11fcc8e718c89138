/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which recovery keys stay: every row is a volume's keys, oldest first, and what may go. */
#include "agent/volume/settle.h"
#include "formats/names.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N(a)  (sizeof(a) / sizeof(a)[0])
#define DAY   UINT64_C(86400)
#define START UINT64_C(1800000000) /* when the last key of a row was made */

/* A key: letters say what it is. r receipted, t said to be by its token, p packed (and receipted), s spent, c
 * changed (not proved), u made elsewhere, o sealed to another organisation; S made by schedule. Dash: none of
 * these. A capital X stands in go for "may go". */
static struct settle_key key(const char *text, unsigned at, unsigned n)
{
    struct settle_key k = {.made = START - (n - 1 - at) * DAY,
                           .since = START - (n - 1 - at) * DAY,
                           .proved = true,
                           .cause = KH_CAUSE_COMMAND,
                           .preferred = true,
                           .ours = true};
    k.id.bytes[0] = (uint8_t)at;
    for (; *text && *text != ' '; text++) {
        k.told = k.told || *text == 't';
        k.receipted = k.receipted || *text == 'r' || *text == 'p';
        k.packed = k.packed || *text == 'p';
        k.spent = k.spent || *text == 's';
        k.proved = k.proved && *text != 'c';
        k.preferred = k.preferred && *text != 'u';
        k.ours = k.ours && *text != 'o';
        k.cause = *text == 'S' ? KH_CAUSE_SCHEDULE : k.cause;
    }
    return k;
}

static const struct {
    const char *what, *keys[4], *go;
    bool needs_receipt;
    unsigned days; /* since the last key was made */
} rows[] = {
    {"another organisation's disk: its R stays", {"ro", "o"}, "--", false, 999},
    {"another organisation's receipt lets ours stay", {"r", "ro"}, "--", false, 0},
    {"and a spent one, where the policy wants a receipt", {"rs", "ro"}, "--", true, 0},
    {"one key", {"-"}, "-", false, 999},
    {"one spent key", {"s"}, "-", false, 0},
    {"one changed key", {"c"}, "-", false, 0},
    {"N replaces one that was never receipted", {"-", "-"}, "X-", false, 0},
    {"R stays while N has no receipt", {"r", "-"}, "--", false, 999},
    {"R goes when N has one", {"r", "r"}, "X-", false, 0},
    {"an outage: R and the newest N stay", {"r", "-", "-"}, "-X-", false, 0},
    {"of two receipted ones the later is R", {"r", "r", "-"}, "X--", false, 0},
    {"the cache lost: what its token says is kept", {"t", "-"}, "--", false, 999},
    {"and goes when N has a receipt", {"t", "r"}, "X-", false, 0},
    {"the token of N lets no R go", {"r", "t"}, "--", false, 999},
    {"nor a spent one, where the policy wants a receipt", {"rs", "t"}, "--", true, 999},
    {"one that a token names takes the place of no R", {"r", "t", "-"}, "---", false, 0},
    {"an older one does not stay beside R", {"t", "r", "-"}, "X--", false, 0},
    {"of two that tokens name the later stays", {"t", "t", "-"}, "X--", false, 0},
    {"a spent R goes at once", {"rs", "-"}, "X-", false, 0},
    {"a spent R, and the policy wants a receipt", {"rs", "-"}, "--", true, 999},
    {"which has come", {"rs", "r"}, "X-", true, 0},
    {"a spent key without a receipt goes whatever the policy", {"r", "s", "-"}, "-X-", true, 0},
    {"never more than R and N under that policy", {"rs", "s", "s", "-"}, "-XX-", true, 0},
    {"scheduled: R waits for a pack", {"r", "rS"}, "--", false, 29},
    {"which holds N", {"r", "pS"}, "X-", false, 0},
    {"or for 30 days", {"r", "rS"}, "X-", false, 30},
    {"not 30 days without a receipt", {"r", "S"}, "--", false, 31},
    {"scheduled, R spent", {"rs", "rS"}, "X-", false, 0},
    {"scheduled, then another during an outage", {"r", "rS", "-"}, "X--", false, 0},
    {"a changed R is no R", {"rc", "-"}, "X-", false, 0},
    {"a changed N: R is what is left, and takes its place", {"r", "c"}, "-X", false, 0},
    {"all changed: none may go", {"rc", "c"}, "--", false, 0},
    {"a newer key from elsewhere is not N", {"-", "u"}, "-X", false, 0},
    {"one of another computer that is receipted is R", {"ur", "-"}, "--", false, 0},
};

static void every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct settle_key k[4];
        struct policy p;
        char got[5] = "";
        unsigned n = (unsigned)strlen(rows[i].go);
        policy_defaults(&p);
        p.rotate_used_needs_receipt = rows[i].needs_receipt;
        for (unsigned j = 0; j < n; j++)
            k[j] = key(rows[i].keys[j], j, n);
        uint32_t go = settle_may_go(k, n, &p, START + rows[i].days * DAY);
        for (unsigned j = 0; j < n; j++)
            got[j] = go >> j & 1 ? 'X' : '-';
        if (strcmp(got, rows[i].go) != 0)
            fail_msg("%s: %s instead of %s", rows[i].what, got, rows[i].go);
    }
}

/* Whatever the keys: N stays if there is one, one that opens is always left, and at most two stay. */
static void every_combination(void **state)
{
    static const char *const kinds[] = {"-", "r", "p", "s", "rs", "c", "rc", "S", "rS", "pS", "u"};
    struct policy p;
    (void)state;
    policy_defaults(&p);
    for (unsigned x = 0; x < N(kinds) * N(kinds) * N(kinds) * 2; x++) {
        struct settle_key k[3];
        unsigned rest = x / 2, left = 0, proved = 0;
        p.rotate_used_needs_receipt = x & 1;
        for (unsigned j = 0; j < 3; j++, rest /= (unsigned)N(kinds))
            k[j] = key(kinds[rest % N(kinds)], j, 3);
        uint32_t go = settle_may_go(k, 3, &p, START);
        for (unsigned j = 0; j < 3; j++) {
            left += (go >> j & 1) == 0 && k[j].proved;
            proved += k[j].proved;
        }
        if ((proved > 0 && (left == 0 || left > 2)) || (proved == 0 && go != 0))
            fail_msg("combination %u: %u of %u proved keys are left", x, left, proved);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(every_combination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
