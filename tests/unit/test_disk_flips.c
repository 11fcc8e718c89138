/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One bit flips on the way, in memory or on the disk: nothing is called protected but what the sealed bytes
 * opened, and what reads back as it was written. */
#include "agent/volume/protect.h"
#include "tests/unit/fake_keeper.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static void password(struct protect_run *r)
{
    r->password.bytes[3] ^= 0x10;
}

static void commitment(struct protect_run *r)
{
    struct envelope e;
    assert_int_equal(envelope_decode(r->token.envelope, r->token.envelope_len, &e), ERR_OK);
    uint8_t *at = memmem(r->token.envelope, r->token.envelope_len, e.commitment, sizeof e.commitment);
    assert_non_null(at);
    at[0] ^= 1;
}

static void key_material(struct protect_run *r)
{
    fake_rival_flip((unsigned)r->token.slot);
}

/* after: number of the step in the table below. part: of the sentence */
static const struct row {
    const char *what;
    unsigned after;
    void (*flip)(struct protect_run *r);
    const char *part;
} rows[] = {
    {"the password, once it is sealed", 3, password, "the envelope does not hold what opened the keyslot"},
    {"the password, once it is in the keyslot", 6, password, "does not open keyslot"},
    {"the envelope's commitment", 3, commitment, "the envelope does not hold what opened the keyslot"},
    {"the key material, before the trial", 6, key_material, "does not open keyslot"},
    {"the key material, before it is read back", 8, key_material, "does not read back as it was written"},
    {"nothing", 0, NULL, ""},
};
static const struct row *now;

static enum err then(struct protect_run *r, unsigned step, enum err e)
{
    if (e == ERR_OK && now->after == step)
        now->flip(r);
    return e;
}

#define STEP(n, name)                                                                                        \
    static enum err name(struct protect_run *r)                                                              \
    {                                                                                                        \
        return then(r, n, protect_##name(r));                                                                \
    }
STEP(1, check)
STEP(2, generate)
STEP(3, seal)
STEP(4, cache)
STEP(5, token)
STEP(6, keyslot)
STEP(7, trial)
STEP(8, assign)
STEP(9, read_back)
STEP(10, enroll)

/* As in agent/volume/protect_table.c, whose order is tested elsewhere. */
const struct protect_step protect_steps[] = {
    {"check", check},         {"generate", generate}, {"seal", seal},
    {"cache", cache},         {"token", token},       {"keyslot", keyslot},
    {"trial opening", trial}, {"assign", assign},     {"read back", read_back},
    {"enroll", enroll},       {NULL, NULL},
};

static bool is_live(const struct guid *key_id)
{
    struct cache_key k;
    return cache_get_key(fake_agent.cache, key_id, &k) == ERR_OK && k.state == KEY_LIVE;
}

static void one(const struct row *r)
{
    struct protect_result made = {.slot = -1};
    struct cache_key keys[CACHE_KEYS];
    unsigned n = 0;
    fake_keeper_begin();
    now = r;
    fake_problem.text[0] = 0;
    enum err e = fake_protect(&made);
    if ((e == ERR_OK) != !r->flip || !strstr(fake_problem.text, r->part))
        fail_msg("%s: %s: %s", r->what, err_name(e), fake_problem.text);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(cache_keys(fake_agent.cache, &fake_disk_look()->uuid, keys, &n), ERR_OK);
    for (unsigned i = 0; i < n; i++)
        if (is_live(&keys[i].key_id) != !r->flip)
            fail_msg("%s: it is called verified", r->what);
    assert_true(n > 0);
    fake_keeper_end();
}

static void every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        one(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
