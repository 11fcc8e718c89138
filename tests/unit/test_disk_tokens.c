/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Somebody removes our tokens and leaves the keyslots: their passwords still open the volume. A key is gone
 * only when its keyslot is, and that is brought about, with nothing touched that is not provably ours. */
#include "agent/volume/rotate.h"
#include "formats/record.h"
#include "tests/unit/fake_keeper.h"
#include "tests/unit/fake_tpm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct protect_result made;
static struct secret password; /* of made */
static struct fake_way_in w;

static int setup(void **state)
{
    (void)state;
    fake_keeper_begin();
    assert_int_equal(fake_protect(&made), ERR_OK);
    assert_true(fake_password(&made.key_id, &password));
    fake_disk_restart();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    secret_wipe(&password);
    fake_keeper_end();
    return 0;
}

static void remove_tokens(const char *type)
{
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (strcmp(fake_disk_look()->token[i].type, type) == 0)
            fake_rival_remove_token(i);
}

static struct cache_key key(void)
{
    struct cache_key k;
    assert_int_equal(cache_get_key(fake_agent.cache, &made.key_id, &k), ERR_OK);
    return k;
}

static struct cache_volume volume(void)
{
    struct cache_volume v;
    assert_int_equal(cache_get_volume(fake_agent.cache, &made.volume, &v), ERR_OK);
    return v;
}

static bool opens(void)
{
    return fake_disk_opens(password.bytes, password.len) >= 0;
}

/* About the key that was made first. */
static unsigned events(uint8_t event, uint8_t result)
{
    return fake_events(event, result, &made.key_id);
}

static void expect(unsigned live, unsigned slots, unsigned management)
{
    fake_look_from_outside(&w);
    if (w.live != live || w.slots != slots || w.tokens != slots || w.unnamed ||
        w.management_slots != management || w.management_tokens != management)
        fail_msg("%u tokens, %u keyslots, %u in use, %u without a token, %u and %u of management", w.tokens,
                 w.slots, w.live, w.unnamed, w.management_tokens, w.management_slots);
}

/* Not gone, and no word of it, while it opens; then a new key, then the old keyslot, then the word. */
static void a_token_is_removed(void **state)
{
    (void)state;
    remove_tokens(KH_TOKEN_TYPE);
    for (int looks = 0; looks < 2; looks++)
        assert_int_equal(fake_verify(), ERR_OK);
    assert_true(opens()); /* the only one: it stays until another one stands */
    assert_int_equal(key().state, KEY_UNVERIFIED);
    assert_int_equal(events(EVENT_DRIFT, DRIFT_UNNAMED), 1);
    assert_int_equal(events(EVENT_DRIFT, DRIFT_REMOVED) + events(EVENT_ROTATED, 0) + events(EVENT_RETIRED, 0),
                     0);
    assert_int_equal(volume().rotate, KH_CAUSE_DRIFT);
    assert_non_null(strstr(volume().note, "still opens it"));
    assert_true(fake_note_says(&made.volume, "protect"));
    rotate_pending(&fake_agent, NULL);
    assert_false(opens());
    assert_int_equal(key().state, KEY_RETIRED);
    assert_int_equal(events(EVENT_ROTATED, 0), 1);
    expect(1, 1, 1);
}

/* What an order for it finds: a key that is still in use, until it is really gone. */
static void a_disclosed_one(void **state)
{
    (void)state;
    remove_tokens(KH_TOKEN_TYPE);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(rotate_spend(&fake_agent, &made.key_id, KH_CAUSE_DISCLOSED, "shown"), ERR_OK);
    assert_int_not_equal(key().state, KEY_RETIRED);
    rotate_pending(&fake_agent, NULL);
    assert_false(opens());
    assert_int_equal(key().state, KEY_RETIRED);
    expect(1, 1, 1);
}

/* The same by a person, where nothing opens it alone. */
static void by_a_person(void **state)
{
    (void)state;
    struct guid old = made.key_id;
    fake_keeper_stop();
    fake_tpm_reset(2);
    fake_keeper_start(true);
    remove_tokens(KH_TOKEN_TYPE);
    assert_int_equal(fake_verify(), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    assert_true(opens());
    assert_int_equal(fake_protect(&made), ERR_OK);
    assert_false(guid_equal(&old, &made.key_id) || opens());
    expect(1, 1, 1);
}

/* An earlier keeper took it for gone. */
static void one_that_was_taken_for_gone(void **state)
{
    (void)state;
    struct cache_key k = key();
    remove_tokens(KH_TOKEN_TYPE);
    k.state = KEY_RETIRED;
    assert_int_equal(cache_put_key(fake_agent.cache, &k), ERR_OK);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(key().state, KEY_RETURNED);
    assert_int_equal(events(EVENT_DRIFT, DRIFT_RETURNED), 1);
    rotate_pending(&fake_agent, NULL);
    assert_false(opens());
    expect(1, 1, 1);
}

/* Its number and count, but not what was proved: somebody else's, perhaps. It stays, and is named. */
static void one_that_is_not_what_it_was(void **state)
{
    (void)state;
    remove_tokens(KH_TOKEN_TYPE);
    fake_rival_flip((unsigned)made.slot);
    assert_int_equal(fake_verify(), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    assert_int_equal(fake_verify(), ERR_OK);
    fake_look_from_outside(&w);
    assert_true(w.live == 1 && w.slots == 2 && w.unnamed == 1);
    assert_int_equal(key().state, KEY_UNVERIFIED);
    assert_int_equal(events(EVENT_ROTATED, 0), 0);
    assert_non_null(strstr(volume().note, "that no token names"));
}

/* Somebody's token relies on it: it stays, and still counts as one that opens. */
static void one_that_is_claimed(void **state)
{
    (void)state;
    char json[80];
    remove_tokens(KH_TOKEN_TYPE);
    (void)snprintf(json, sizeof json, "{\"type\":\"rival\",\"keyslots\":[\"%d\"]}", made.slot);
    fake_rival_put_token(json);
    assert_int_equal(fake_verify(), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_true(opens());
    assert_int_equal(key().state, KEY_UNVERIFIED);
    assert_int_equal(events(EVENT_ROTATED, 0), 0);
    assert_non_null(strstr(volume().note, "still opens"));
    remove_tokens("rival");
    assert_int_equal(fake_verify(), ERR_OK);
    assert_false(opens());
    assert_int_equal(events(EVENT_ROTATED, 0), 1);
    expect(1, 1, 1);
}

static void remove_ours(void)
{
    remove_tokens(KH_TOKEN_TYPE);
}

/* Between the keyslot and the token that was to name it: no keyslot is left that nothing names. */
static void one_that_was_never_finished(void **state)
{
    (void)state;
    struct protect_result r;
    fake_disk->rival = remove_ours;
    fake_disk->rival_at = 3;
    fake_disk->rival_times = 1;
    assert_int_not_equal(fake_rotate_alone(&r), ERR_OK);
    fake_disk_restart();
    assert_int_equal(fake_verify(), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    assert_false(opens());
    expect(1, 1, 1);
}

/* The key that still opens it proves that it is ours. */
static void the_management_token_is_removed(void **state)
{
    (void)state;
    remove_tokens(KH_TOKEN_MANAGEMENT);
    assert_int_equal(fake_verify(), ERR_OK);
    expect(1, 1, 1);
    assert_int_equal(fake_rotate_alone(&made), ERR_OK);
    expect(1, 1, 1);
}

static void all_tokens_are_removed(void **state)
{
    (void)state;
    remove_tokens(KH_TOKEN_MANAGEMENT);
    remove_tokens(KH_TOKEN_TYPE);
    assert_int_equal(fake_verify(), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    assert_false(opens());
    expect(1, 1, 1);
}

/* The TPM that holds the key is away: the key is kept, and tried when it is back. */
static void the_management_token_and_no_tpm(void **state)
{
    (void)state;
    remove_tokens(KH_TOKEN_MANAGEMENT);
    fake_tpm.fail = ERR_OFFLINE;
    fake_tpm.fail_after = fake_tpm.operations;
    fake_tpm.fails = 1000;
    (void)!fake_verify();
    fake_tpm.fails = 0;
    assert_int_equal(fake_verify(), ERR_OK);
    expect(1, 1, 1);
    assert_int_equal(fake_rotate_alone(&made), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_removed),
        TEST(a_disclosed_one),
        TEST(by_a_person),
        TEST(one_that_was_taken_for_gone),
        TEST(one_that_is_not_what_it_was),
        TEST(one_that_is_claimed),
        TEST(one_that_was_never_finished),
        TEST(the_management_token_is_removed),
        TEST(all_tokens_are_removed),
        TEST(the_management_token_and_no_tpm),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
