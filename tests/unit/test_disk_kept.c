/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must stay: the last key that a help desk can read back, another organisation's keys, the only keyslot
 * that opens; and "looked at" is said of no look that came to nothing. */
#include "agent/volume/rotate.h"
#include "agent/volume/token_json.h"
#include "formats/envelope.h"
#include "tests/unit/fake_disk_json.h"
#include "tests/unit/fake_keeper.h"
#include "tests/unit/fake_tpm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct protect_result made, next;
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
    fake_keeper_encrypted = true;
    secret_wipe(&password);
    fake_keeper_end();
    return 0;
}

static int token_of(const struct guid *key_id)
{
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (fake_disk_look()->token[i].used && guid_equal(&fake_disk_look()->token[i].key_id, key_id))
            return i;
    fail_msg("the key has no token");
    return -1;
}

static bool opens(void)
{
    return fake_disk_opens(password.bytes, password.len) >= 0;
}

/* made is R: receipted; next is N of an outage. */
static void outage(void)
{
    fake_receipt(&made.key_id);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(fake_rotate_alone(&next), ERR_OK);
    assert_int_equal(fake_verify(), ERR_OK);
    fake_look_from_outside(&w);
    assert_int_equal(w.live, 2);
}

static void the_last_receipted_key_without_its_token(void **state)
{
    (void)state;
    outage();
    fake_rival_remove_token(token_of(&made.key_id));
    assert_int_equal(fake_verify(), ERR_OK);
    assert_true(opens()); /* the help desk has no other */
    fake_receipt(&next.key_id);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_false(opens());
}

/* Anybody who writes the header can say so. */
static void a_false_word_of_a_receipt(void **state)
{
    (void)state;
    char json[TOKEN_JSON_MAX];
    outage();
    int number = token_of(&next.key_id);
    struct luks2_token t = fake_disk_look()->token[number];
    t.receipted = true;
    assert_int_equal(token_json_encode(&t, json), ERR_OK);
    fake_rival_remove_token(number);
    fake_rival_put_token(json);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_true(opens());
    fake_look_from_outside(&w);
    assert_int_equal(w.live, 2);
    fake_rival_remove_token(token_of(&made.key_id));
    assert_int_equal(fake_verify(), ERR_OK);
    assert_true(opens());
}

/* Another escrow key in the place of each. */
static void be_another_organisation(void)
{
    for (unsigned i = 0; i < fake_agent.org->n_escrow; i++)
        fake_agent.org->escrow[i].id[0] ^= 0x55;
}

static void move_to_another_computer(void)
{
    fake_keeper_stop();
    fake_keeper_forget();
    fake_tpm_reset(2);
    fake_keeper_start(true);
}

static void keys_of_another_organisation(void **state)
{
    (void)state;
    outage();
    move_to_another_computer();
    be_another_organisation();
    assert_int_equal(fake_verify(), ERR_OK);
    fake_look_from_outside(&w);
    assert_true(opens());
    assert_int_equal(w.live, 2);
}

/* The private half of the old escrow key is there as before. */
static void keys_sealed_to_escrow_keys_of_before(void **state)
{
    (void)state;
    outage();
    be_another_organisation();
    assert_int_equal(fake_verify(), ERR_OK);
    assert_true(opens());
}

static void a_pending_token_of_another_organisation(void **state)
{
    (void)state;
    char json[TOKEN_JSON_MAX];
    int number = token_of(&made.key_id);
    struct luks2_token t = fake_disk_look()->token[number];
    t.state = LUKS2_TOKEN_PENDING;
    t.assigned = t.has_fingerprint = false;
    assert_int_equal(token_json_encode(&t, json), ERR_OK);
    fake_rival_remove_token(number);
    fake_rival_put_token(json);
    move_to_another_computer();
    be_another_organisation();
    assert_int_equal(fake_verify(), ERR_OK);
    assert_true(opens());
    (void)token_of(&made.key_id);
}

/* Where the envelope says its time. */
static size_t time_at(const struct luks2_token *t)
{
    struct envelope e;
    assert_int_equal(envelope_decode(t->envelope, t->envelope_len, &e), ERR_OK);
    for (size_t i = 0; i + 8 < t->envelope_len; i++) {
        uint64_t v = 0;
        for (int b = 7; b >= 0; b--)
            v = v << 8 | t->envelope[i + b];
        if (v == e.time)
            return i;
    }
    fail_msg("the envelope says no time");
    return 0;
}

static void put_token_of_the_end_of_time(struct luks2_token *t)
{
    char json[TOKEN_JSON_MAX];
    *t = fake_disk_look()->token[token_of(&made.key_id)];
    size_t at = time_at(t);
    memset(t->envelope + at, 0xff, 8);
    t->envelope[at] = 0xfe;
    t->key_id.bytes[0] ^= 1;
    t->slot = 0;
    t->has_fingerprint = false;
    assert_int_equal(token_json_encode(t, json), ERR_OK);
    fake_rival_put_token(json);
}

static void rotation_behind_a_hostile_token(void **state)
{
    (void)state;
    struct luks2_token hostile;
    put_token_of_the_end_of_time(&hostile);
    (void)!fake_verify();
    assert_int_equal(fake_rotate_alone(&next), ERR_OK);
    fake_rival_remove_token(token_of(&hostile.key_id));
    for (int i = 0; i < 3; i++) { /* each takes the place of the one before */
        assert_int_equal(fake_verify(), ERR_OK);
        assert_int_equal(fake_rotate_alone(&next), ERR_OK);
        assert_true(fake_password(&next.key_id, &password));
        assert_true(opens());
    }
}

static int unassigned;

static void unassign(struct json_object *header)
{
    char number[8];
    (void)snprintf(number, sizeof number, "%d", unassigned);
    json_object_object_add(fake_json_get(header, "tokens", number), "keyslots", json_object_new_array());
}

/* cryptsetup token unassign: the envelope is the only way to the password, for whoever never synced. */
static void a_token_without_its_keyslot(void **state)
{
    (void)state;
    unassigned = token_of(&made.key_id);
    fake_rival_edit(unassign);
    assert_int_equal(fake_verify(), ERR_OK);
    fake_look_from_outside(&w);
    assert_int_equal(w.live, 1);
    assert_true(opens());
}

/* As an enrol step leaves it that could not be recorded. */
static void the_only_key_unrecorded_without_its_token(void **state)
{
    (void)state;
    struct cache_key k;
    assert_int_equal(cache_get_key(fake_agent.cache, &made.key_id, &k), ERR_OK);
    k.state = KEY_PLANNED;
    k.verified = 0;
    assert_int_equal(cache_put_key(fake_agent.cache, &k), ERR_OK);
    fake_rival_remove_token(token_of(&made.key_id));
    (void)!fake_verify();
    assert_true(opens());
}

static unsigned keys_ever(void)
{
    struct cache_key *keys = test_calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0;
    assert_int_equal(cache_keys(fake_agent.cache, &made.volume, keys, &n), ERR_OK);
    test_free(keys);
    return n;
}

/* Somebody's token claims the keyslot of a key that was disclosed: one new key is made, not one at each look.
 */
static void a_removal_that_cannot_be(void **state)
{
    (void)state;
    char json[80];
    fake_receipt(&made.key_id);
    assert_int_equal(fake_verify(), ERR_OK);
    (void)snprintf(json, sizeof json, "{\"type\":\"rival\",\"keyslots\":[\"%d\"]}", made.slot);
    fake_rival_put_token(json);
    assert_int_equal(rotate_spend(&fake_agent, &made.key_id, KH_CAUSE_DISCLOSED, "shown"), ERR_OK);
    for (int i = 0; i < 4; i++) {
        rotate_pending(&fake_agent, NULL);
        (void)!fake_verify();
    }
    assert_int_equal(keys_ever(), 2);
}

/* Whichever operation on the disk fails: a changed keyslot is seen, or the volume was not looked at. */
static void a_look_that_came_to_nothing(void **state)
{
    (void)state;
    bool failed_once = false;
    for (unsigned at = 1; at < 60; at++) {
        struct cache_life l;
        struct cache_key k;
        (void)teardown(NULL);
        (void)setup(NULL);
        assert_int_equal(cache_get_life(fake_agent.cache, &made.volume, &l), ERR_OK);
        l.checked = 1;
        assert_int_equal(cache_put_life(fake_agent.cache, &l), ERR_OK);
        fake_rival_flip((unsigned)made.slot);
        fake_disk_restart();
        fake_disk->fault = FAULT_ERROR;
        fake_disk->error = ERR_IO;
        fake_disk->at = at;
        failed_once = fake_verify() != ERR_OK || failed_once;
        assert_int_equal(cache_get_key(fake_agent.cache, &made.key_id, &k), ERR_OK);
        assert_int_equal(cache_get_life(fake_agent.cache, &made.volume, &l), ERR_OK);
        if (k.state == KEY_LIVE && l.checked != 1)
            fail_msg("operation %u failed: the key counts as proved at this look", at);
    }
    assert_true(failed_once);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_last_receipted_key_without_its_token),
        T(a_false_word_of_a_receipt),
        T(keys_of_another_organisation),
        T(keys_sealed_to_escrow_keys_of_before),
        T(a_pending_token_of_another_organisation),
        T(rotation_behind_a_hostile_token),
        T(a_token_without_its_keyslot),
        T(the_only_key_unrecorded_without_its_token),
        T(a_removal_that_cannot_be),
        T(a_look_that_came_to_nothing),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
