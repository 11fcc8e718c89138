/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper's work on a volume that is not its own alone: other writers in between, a full or locked header,
 * keyslots that others change, headers that come back, a cache or a TPM that is gone. */
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

#define TOKEN "{\"type\":\"rival\",\"keyslots\":[]}"

static struct protect_result made;
static struct fake_way_in w;

static int setup(void **state)
{
    (void)state;
    fake_keeper_begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_keeper_end();
    return 0;
}

static int setup_protected(void **state)
{
    setup(state);
    assert_int_equal(fake_protect(&made), ERR_OK);
    fake_disk_restart();
    return 0;
}

static unsigned tokens_of(const char *type)
{
    const struct luks2 *l = fake_disk_look();
    unsigned n = 0;
    for (int i = 0; i < LUKS2_TOKENS; i++)
        n += l->token[i].there && strcmp(l->token[i].type, type) == 0;
    return n;
}

static void expect(unsigned live, unsigned slots)
{
    fake_look_from_outside(&w);
    if (w.live != live || w.slots != slots || w.tokens != slots || w.unnamed)
        fail_msg("%u tokens, %u keyslots, %u in use, %u without a token", w.tokens, w.slots, w.live,
                 w.unnamed);
}

static unsigned events(uint8_t event)
{
    return fake_events(event, 0, NULL);
}

static unsigned escrows(void)
{
    unsigned n;
    assert_int_equal(cache_outbox_escrows(fake_agent.cache, fake_agent.key.id, &n), ERR_OK);
    return n;
}

static struct cache_volume volume(void)
{
    struct cache_volume v;
    assert_int_equal(cache_get_volume(fake_agent.cache, &fake_disk_look()->uuid, &v), ERR_OK);
    return v;
}

static void put_token(void)
{
    fake_rival_put_token(TOKEN);
}

/* Before each write in turn, once: it is read again and tried again, and both are there in the end. */
static void a_rival_in_between(void **state)
{
    for (unsigned at = 1; at <= 6; at++) {
        setup(state);
        fake_disk->rival = put_token;
        fake_disk->rival_at = at;
        fake_disk->rival_times = 1;
        if (fake_protect(&made) != ERR_OK)
            fail_msg("before write %u: %s", at, fake_problem.text);
        assert_int_equal(fake_disk->refused, 1);
        assert_int_equal(tokens_of("rival"), 1);
        expect(1, 1);
        teardown(state);
    }
}

static void change_for_ever(void)
{
    fake_rival_put_token(TOKEN);
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (strcmp(fake_disk_look()->token[i].type, "rival") == 0)
            fake_rival_remove_token(i);
}

/* One who does not stop is named, and nothing is left of what was begun once he is gone. */
static void a_rival_for_ever(void **state)
{
    uint8_t before[32], after[32];
    for (unsigned at = 1; at <= 3; at++) {
        setup(state);
        fake_disk_others(before);
        fake_disk->rival = change_for_ever;
        fake_disk->rival_at = at;
        fake_disk->rival_times = 1000;
        assert_int_equal(fake_protect(&made), ERR_BUSY);
        assert_non_null(strstr(fake_problem.text, "a rival (process 2) keeps changing the header"));
        fake_disk_restart();
        assert_int_equal(fake_verify(), ERR_OK);
        fake_disk_others(after);
        assert_memory_equal(before, after, 32);
        expect(0, 0);
        assert_int_equal(fake_protect(&made), ERR_OK);
        expect(1, 1);
        teardown(state);
    }
}

static void take_slot_1(void)
{
    fake_rival_add_slot(1, "the rival's passphrase");
}

/* He takes the number that was promised: another one is promised, in the token first. */
static void a_rival_takes_the_keyslot(void **state)
{
    (void)state;
    fake_disk->rival = take_slot_1;
    fake_disk->rival_at = 2;
    fake_disk->rival_times = 1;
    assert_int_equal(fake_protect(&made), ERR_OK);
    assert_int_not_equal(made.slot, 1);
    assert_true(fake_disk_opens_slot(1, "the rival's passphrase", 22));
    expect(1, 1);
}

/* He removes the new key before the old one went: the old one stays. */
static void a_rival_removes_the_new_key(void **state)
{
    (void)state;
    struct guid old = made.key_id;
    SECRET(text);
    assert_true(made.slot == 1 && !fake_disk_look()->slot[3].used); /* 2 is the management key's */
    assert_true(fake_password(&old, &text));
    fake_disk->fault = FAULT_CUT_AFTER; /* the new key is in use, and nothing retired yet */
    fake_disk->at = 3;
    assert_int_not_equal(fake_rotate_alone(&made), ERR_OK);
    fake_disk_restart();
    fake_rival_destroy_slot(3);
    assert_int_equal(fake_verify(), ERR_OK);
    expect(1, 1);
    assert_int_equal(fake_disk_opens(text.bytes, text.len), 1);
}

static void full_and_locked(void **state)
{
    (void)state;
    static uint8_t before[IMAGE_SIZE];
    fake_disk_save(before);
    fake_disk->is_full = true;
    assert_int_equal(fake_protect(&made), ERR_FULL);
    assert_memory_equal(before, fake_disk->image.p, IMAGE_SIZE);
    fake_disk->is_full = false;
    fake_disk->is_locked = true;
    assert_int_equal(fake_protect(&made), ERR_BUSY);
    assert_non_null(strstr(fake_problem.text, "a fake (process 1) holds the lock"));
    assert_memory_equal(before, fake_disk->image.p, IMAGE_SIZE);
    fake_disk->is_locked = false;
    /* the JSON area itself: somebody's large token leaves no room with a reserve behind it */
    char *large = calloc(1, 12001);
    assert_non_null(large);
    (void)snprintf(large, 12000, "{\"type\":\"large\",\"keyslots\":[],\"x\":\"%09000d\"}", 1);
    fake_rival_put_token(large);
    free(large);
    fake_disk_save(before);
    assert_int_equal(fake_protect(&made), ERR_FULL);
    assert_non_null(strstr(fake_problem.text, "metadata area is full"));
    assert_memory_equal(before, fake_disk->image.p, IMAGE_SIZE);
}

/* All places for key material are taken, one after another. */
static void keyslots_full(void **state)
{
    (void)state;
    for (unsigned slot = 2; slot < 15; slot++)
        fake_rival_add_slot(slot, "one of many");
    uint64_t seqid = fake_disk_look()->seqid;
    assert_int_equal(fake_protect(&made), ERR_OK); /* the last place; none for a management key */
    assert_true(fake_disk_look()->seqid > seqid);
    expect(1, 1);
    assert_int_equal(w.management_slots, 0);
    seqid = fake_disk_look()->seqid;
    assert_int_equal(fake_protect(&made), ERR_FULL);
    assert_int_equal(fake_disk_look()->seqid, seqid);
    expect(1, 1);
}

static void drift_is_repaired_at_once(void **state)
{
    (void)state;
    struct guid old = made.key_id;
    struct cache_key k;
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(events(EVENT_DRIFT), 0);
    fake_rival_flip((unsigned)made.slot);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(events(EVENT_DRIFT), 1);
    assert_int_equal(cache_get_key(fake_agent.cache, &old, &k), ERR_OK);
    assert_int_equal(k.state, KEY_UNVERIFIED); /* invariant 8: out of "verified" within one check */
    assert_int_equal(volume().rotate, KH_CAUSE_DRIFT);
    rotate_pending(&fake_agent, NULL);
    assert_int_equal(volume().rotate, 0);
    expect(1, 1);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(events(EVENT_DRIFT), 1); /* once */
}

static void a_removed_keyslot_is_drift(void **state)
{
    (void)state;
    fake_rival_destroy_slot((unsigned)made.slot);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(events(EVENT_DRIFT), 1);
    rotate_pending(&fake_agent, NULL);
    expect(1, 1);
}

/* Last week's header, written back: the retired key is in it again. */
static void an_old_header_comes_back(void **state)
{
    (void)state;
    static uint8_t old[IMAGE_SIZE];
    fake_disk_save(old);
    assert_int_equal(fake_rotate_alone(&made), ERR_OK);
    fake_disk_restore(old);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_true(events(EVENT_DRIFT) > 0);
    assert_int_equal(volume().rotate, KH_CAUSE_DRIFT);
    rotate_pending(&fake_agent, NULL);
    expect(1, 1);
}

/* State from the tokens, no second keyslot, and the envelope is escrowed again. */
static void the_cache_is_lost(void **state)
{
    (void)state;
    struct cache_key k;
    fake_keeper_stop();
    fake_keeper_forget_cache();
    fake_keeper_start(true);
    assert_int_equal(escrows(), 0);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(escrows(), 1);
    assert_int_equal(cache_get_key(fake_agent.cache, &made.key_id, &k), ERR_OK);
    assert_true(k.state == KEY_LIVE && k.verified != 0);
    assert_int_equal(volume().state, VOLUME_PROTECTED);
    expect(1, 1);
    assert_int_equal(fake_rotate_alone(&made), ERR_OK);
    expect(1, 1);
}

/* R and N of DESIGN section 6: never more than two at rest, three for a moment (test_disk_faults.c). */
static void r_and_n(void **state)
{
    (void)state;
    struct guid first = made.key_id;
    fake_receipt(&first);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_rotate_alone(&made), ERR_OK);
        expect(2, 2);
        SECRET(text);
        assert_true(fake_password(&first, &text)); /* what a help desk can read back stays */
    }
    fake_receipt(&made.key_id);
    assert_int_equal(fake_verify(), ERR_OK);
    expect(1, 1);
    /* a disclosed one goes as soon as its successor stands */
    assert_int_equal(rotate_spend(&fake_agent, &made.key_id, KH_CAUSE_DISCLOSED, "shown"), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    expect(1, 1);
    assert_int_equal(events(EVENT_ROTATED), 4);
}

/* Every operation of the TPM fails in turn: the volume is protected all the same, what is to be signed waits.
 */
static void every_failure_of_the_tpm(void **state)
{
    static const enum err errors[] = {ERR_OFFLINE, ERR_BUSY, ERR_DENIED, ERR_IO};
    struct cache_volume v;
    unsigned waiting = 0;
    (void)state;
    for (unsigned n = 0, before = 0; n == 0 || before > n; n++) {
        setup(state);
        before = fake_tpm.operations;
        fake_tpm.fail = errors[n % 4];
        fake_tpm.fail_after = before + n;
        fake_tpm.fails = 1000;
        if (fake_protect(&made) != ERR_OK)
            fail_msg("operation %u of the TPM: %s", n, fake_problem.text);
        before = fake_tpm.operations - before;
        expect(1, 1);
        fake_tpm.fails = 0;
        assert_int_equal(fake_verify(), ERR_OK);
        assert_int_equal(cache_drafts(fake_agent.cache, &waiting), ERR_OK);
        assert_int_equal(escrows() + (waiting > 0), 1);
        v = volume();
        assert_true(v.state == VOLUME_PROTECTED || v.state == VOLUME_NEEDS_SECRET);
        teardown(state);
    }
}

/* Another TPM, or a cleared one: the management key is lost, the recovery key is not. */
static void the_tpm_is_cleared(void **state)
{
    (void)state;
    fake_keeper_stop();
    fake_tpm_reset(2);
    fake_keeper_start(true);
    assert_int_equal(fake_verify(), ERR_OK);
    expect(1, 1);
    assert_int_equal(volume().state, VOLUME_NEEDS_SECRET);
    assert_int_not_equal(fake_rotate_alone(&made), ERR_OK);
    assert_int_equal(fake_protect(&made), ERR_OK); /* a person comes */
    assert_int_equal(fake_rotate_alone(&made), ERR_OK);
}

#define WITH(test, before) cmocka_unit_test_setup_teardown(test, before, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rival_in_between),
        cmocka_unit_test(a_rival_for_ever),
        WITH(a_rival_takes_the_keyslot, setup),
        WITH(a_rival_removes_the_new_key, setup_protected),
        WITH(full_and_locked, setup),
        WITH(keyslots_full, setup),
        WITH(drift_is_repaired_at_once, setup_protected),
        WITH(a_removed_keyslot_is_drift, setup_protected),
        WITH(an_old_header_comes_back, setup_protected),
        WITH(the_cache_is_lost, setup_protected),
        WITH(r_and_n, setup_protected),
        cmocka_unit_test(every_failure_of_the_tpm),
        WITH(the_tpm_is_cleared, setup_protected),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
