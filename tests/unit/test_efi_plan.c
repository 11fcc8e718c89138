/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which keyslots the recovery app tries, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include "efi/plan.h"
#include <stdio.h>
#include <string.h>

static struct luks2 l;

static void add_slot(unsigned slot, uint32_t iterations)
{
    l.slot[slot] = (struct luks2_slot){.used = true,
                                       .supported = true,
                                       .kdf = LUKS2_PBKDF2,
                                       .hash = CR_SHA256,
                                       .iterations = iterations,
                                       .area_key_size = 64};
}

static void fresh(uint32_t digest_iterations)
{
    memset(&l, 0, sizeof l);
    l.digest[0] = (struct luks2_digest){.hash = CR_SHA256, .iterations = digest_iterations, .value_len = 32};
}

static void add_token(unsigned token, enum luks2_state state, int slot)
{
    l.token[token] = (struct luks2_token){.used = true, .state = (uint8_t)state, .slot = slot};
}

/* The slots given out, "r" in front of recovery slots, and what was left out. */
static void check(const char *name, const char *want, uint32_t want_slow)
{
    unsigned key[LUKS2_TOKENS], slot;
    struct plan p;
    char got[200] = "";
    bool recovery;
    plan_init(&p, &l, key, plan_keys(&l, key));
    while (plan_next(&p, &slot, &recovery))
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%u ", recovery ? "r" : "", slot);
    if (strcmp(got, want) != 0 || p.too_slow != want_slow)
        fail_msg("%s: tries \"%s\", not \"%s\"; too slow %x, not %x", name, got, want, p.too_slow, want_slow);
}

static void order_and_budget(void **state)
{
    (void)state;
    fresh(300000);
    add_slot(0, 2000000);
    add_slot(7, 1234);
    add_token(3, LUKS2_TOKEN_LIVE, 7);
    check("a usual volume: recovery first", "r7 0 ", 0);
    add_slot(1, 20000000);
    check("a slot that would take minutes", "r7 0 ", 1u << 1);
    add_slot(2, 1000000);
    check("the next one is tried all the same", "r7 0 2 ", 1u << 1);
    fresh(5000000);
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        add_slot(i, 1500);
    add_token(0, LUKS2_TOKEN_LIVE, 31);
    check("the digest counts for each slot", "r31 0 1 2 3 ", 0x7ffffff0);
    fresh(INT32_MAX);
    add_slot(0, 1500);
    add_token(0, LUKS2_TOKEN_LIVE, 0);
    check("a digest of an hour", "", 1);
    fresh(300000);
    add_slot(0, 25000000 / 2);
    add_slot(5, 1500);
    add_token(0, LUKS2_TOKEN_LIVE, 0);
    add_token(1, LUKS2_TOKEN_LIVE, 5);
    check("a token that names an expensive slot does not eat the budget", "r5 0 ", 0);
    fresh(1000);
    add_slot(1, 4);
    l.slot[1].supported = false;
    check("what cannot be opened here", "", 0);
}

static void add_argon2(unsigned slot, uint32_t passes, uint32_t memory_kib)
{
    add_slot(slot, passes);
    l.slot[slot].kdf = LUKS2_ARGON2ID;
    l.slot[slot].memory_kib = memory_kib;
}

/* They want memory, so they come last, whatever their number. */
static void argon2_slots(void **state)
{
    (void)state;
    fresh(300000);
    add_argon2(0, 4, 1u << 20);
    add_slot(1, 1234);
    add_slot(2, 5000);
    add_token(0, LUKS2_TOKEN_LIVE, 1);
    check("a volume of cryptsetup's and the recovery slot", "r1 2 0 ", 0);
    add_argon2(3, 100, 1u << 20);
    check("minutes of Argon2", "r1 2 0 ", 1u << 3);
    add_argon2(3, UINT32_MAX, UINT32_MAX);
    check("the largest numbers", "r1 2 0 ", 1u << 3);
    add_token(1, LUKS2_TOKEN_LIVE, 0);
    check("a token that names an Argon2 slot makes it none of ours", "r1 2 0 ", 1u << 3);
}

static void keys(void **state)
{
    unsigned key[LUKS2_TOKENS];
    (void)state;
    fresh(1000);
    add_token(0, LUKS2_TOKEN_PENDING, 4);
    assert_int_equal(plan_keys(&l, key), 0); /* its keyslot was never made */
    add_slot(4, 1500);
    assert_int_equal(plan_keys(&l, key), 1);
    add_token(1, LUKS2_TOKEN_RETIRED, 4);
    assert_int_equal(plan_keys(&l, key), 2);
    assert_int_equal(key[0], 0);
    assert_false(plan_is_retired(&l, key, 2));
    add_slot(6, 1500);
    add_token(2, LUKS2_TOKEN_LIVE, 6);
    assert_int_equal(plan_keys(&l, key), 3);
    assert_int_equal(key[0], 2);
    assert_int_equal(key[2], 1);
    l.token[0].used = l.token[2].used = false;
    assert_int_equal(plan_keys(&l, key), 1);
    assert_true(plan_is_retired(&l, key, 1));
    add_token(5, LUKS2_TOKEN_LIVE, -1);
    assert_int_equal(plan_keys(&l, key), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(order_and_budget), cmocka_unit_test(argon2_slots),
                                       cmocka_unit_test(keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
