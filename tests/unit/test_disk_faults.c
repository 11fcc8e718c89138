/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the keeper does to a volume, with every operation of the disk failing in turn, and with power cut
 * before, in the middle of and after every write. After each: there is a recovery password that opens the
 * volume and whose envelope can be read while it is locked (invariant 3), no keyslot without its envelope
 * (invariant 1), nothing of anybody else's changed (invariant 5); and the next start brings all in order,
 * also with the cache lost. */
#include "agent/volume/rotate.h"
#include "tests/unit/fake_keeper.h"
#include "tests/unit/fake_tpm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static uint8_t prepared[IMAGE_SIZE], others[32];
static const char *hit = "-"; /* the operation */
static char now[160];         /* which case: for a failure's message */

static enum err protect(void)
{
    struct protect_result r;
    return fake_protect(&r);
}

static enum err rotate(void)
{
    struct protect_result r;
    return fake_rotate_alone(&r);
}

/* What start-up does: look, then rotate where that is wanted and a management key opens the volume. */
static enum err look_and_repair(void)
{
    enum err e = fake_verify();
    rotate_pending(&fake_agent, NULL);
    return e;
}

static struct protect_result made;

static void nothing(void) {}

static void protected(void)
{
    assert_int_equal(fake_protect(&made), ERR_OK);
}

static void receipted(void)
{
    protected();
    fake_receipt(&made.key_id);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(fake_rotate_alone(&made), ERR_OK); /* R and the first N */
}

static void both_receipted(void)
{
    receipted();
    fake_receipt(&made.key_id);
}

static void drifted(void)
{
    protected();
    fake_rival_flip((unsigned)made.slot);
}

static const struct scenario {
    const char *name;
    void (*prepare)(void);
    enum err (*act)(void);
    bool opens;     /* a recovery password opens the volume before it begins */
    unsigned slots; /* recovery keyslots for a moment at most */
    unsigned left;  /* when all is done */
} scenarios[] = {
    {"protect", nothing, protect, false, 1, 1},
    {"rotate", protected, rotate, true, 2, 1},
    {"rotate during an outage", receipted, rotate, true, 3, 2},
    {"settle", both_receipted, fake_verify, true, 2, 1},
    {"repair drift", drifted, look_and_repair, false, 2, 1},
};

#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

#define CHECK(that)                                                                                          \
    do {                                                                                                     \
        if (!(that))                                                                                         \
            fail_msg("%s (%s): not so: %s (%u tokens, %u keyslots, %u opened, %u in use, %u and %u of "      \
                     "management; %s)",                                                                      \
                     now, hit, #that, w.tokens, w.slots, w.opens, w.live, w.management_tokens,               \
                     w.management_slots, fake_problem.text);                                                 \
    } while (0)

static void prepare(const struct scenario *s)
{
    fake_tpm_reset(1);
    fake_disk_make();
    fake_disk_others(others);
    fake_keeper_forget();
    fake_keeper_start(true);
    s->prepare();
    fake_keeper_stop();
    fake_keeper_save();
    fake_disk_save(prepared);
}

static void back(void)
{
    fake_disk_restore(prepared);
    fake_disk_restart();
    fake_keeper_restore();
}

/* Whatever happened just before. torn: power was cut, so a keyslot may be half written or half wiped */
static void check_always(const struct scenario *s, bool torn)
{
    struct fake_way_in w;
    uint8_t hash[32];
    fake_look_from_outside(&w);
    fake_disk_others(hash);
    CHECK(memcmp(hash, others, sizeof hash) == 0);
    CHECK(fake_disk_opens_slot(0, FAKE_DISK_PASSPHRASE, strlen(FAKE_DISK_PASSPHRASE)));
    CHECK(!s->opens || w.opens > 0);
    CHECK(w.unnamed == 0);
    CHECK(w.slots <= s->slots);
    CHECK(w.opens == w.slots || torn || s->prepare == drifted);
}

/* Started again, all is in order: no more than before or when it is done, and no left-overs. */
static void check_in_order(const struct scenario *s)
{
    struct fake_way_in w;
    check_always(s, s->prepare == drifted);
    fake_look_from_outside(&w);
    CHECK(w.slots <= 2 && w.tokens == w.slots);
    CHECK(!s->opens || w.live == w.slots);
    CHECK(w.management_slots <= 1 && w.management_tokens == w.management_slots);
}

/* lost: the cache. That N has its receipt is perhaps not in the header yet; and a keyslot that is not what
 * its token says, and that no cache knows, is left to a person. */
static void check_done(const struct scenario *s, bool lost)
{
    struct fake_way_in w;
    fake_look_from_outside(&w);
    CHECK(w.live > 0);
    if (lost && (s->prepare == both_receipted || s->prepare == drifted))
        return;
    CHECK(w.live == s->left && w.slots == s->left && w.tokens == s->left && w.opens == s->left);
    CHECK(w.management_slots == 1 && w.management_tokens == 1);
}

/* The next start after whatever it was. again: and then what was to be done is done. lost: the cache */
static void start_again(const struct scenario *s, bool again, bool lost)
{
    fake_disk_restart();
    fake_keeper_start(true);
    if (fake_verify() != ERR_OK)
        fail_msg("%s: the next start: %s", now, fake_problem.text);
    check_in_order(s);
    if (again) {
        if (s->act() != ERR_OK)
            fail_msg("%s: once more: %s", now, fake_problem.text);
        check_done(s, lost);
    }
    fake_keeper_stop();
}

/* In one process, which goes on. True: the fault was met */
static bool with_error(const struct scenario *s, enum fake_disk_fault fault, enum err error, unsigned at,
                       unsigned at_read, bool stays)
{
    (void)snprintf(now, sizeof now, "%s, %s at %s %u%s", s->name, err_name(error), at ? "operation" : "read",
                   at + at_read,
                   fault != FAULT_LATE_ERROR ? ""
                   : stays                   ? ", done all the same, and later ones"
                                             : ", done all the same");
    back();
    fake_keeper_start(true);
    fake_disk->fault = fault;
    fake_disk->error = error;
    fake_disk->stays = stays;
    fake_disk->at = at;
    fake_disk->at_read = at_read;
    enum err e = s->act();
    bool met = at_read                     ? fake_disk->reads >= at_read
               : fault == FAULT_LATE_ERROR ? fake_disk->writes >= at
                                           : fake_disk->operations >= at;
    hit = fake_disk->hit ? fake_disk->hit : "-";
    check_always(s, false);
    if (!met) {
        assert_int_equal(e, ERR_OK);
        check_done(s, false);
    }
    if (e != ERR_OK && fault == FAULT_LATE_ERROR && strstr(fake_problem.text, "another program"))
        fail_msg("%s: nobody else was there: %s", now, fake_problem.text);
    assert_int_equal(fake_disk->opened, 0);
    fake_keeper_stop();
    start_again(s, (at + at_read) % 16 == 1, false);
    return met;
}

static const enum err errors[] = {ERR_IO,   ERR_BUSY,   ERR_NOMEM,     ERR_FULL,        ERR_DENIED,
                                  ERR_AUTH, ERR_FORMAT, ERR_NOT_FOUND, ERR_UNSUPPORTED, ERR_TIMEOUT};
#define ERRORS (sizeof errors / sizeof errors[0])

/* `make check` takes every operation of every scenario in turn; `make unit` every fifth operation, and cuts
 * power in two scenarios, so that each test takes a second. */
static unsigned stride(void)
{
    return getenv("KEYHOLT_EVERY") ? 1 : 5;
}

static size_t last_scenario(void)
{
    return getenv("KEYHOLT_EVERY") ? SCENARIOS : 2;
}

/* Of reads, which are mostly the reader's own affair (test_luks2_read.c), fewer. */
static void every_error(const struct scenario *s)
{
    unsigned n = 1;
    prepare(s);
    for (; with_error(s, FAULT_ERROR, errors[n % ERRORS], n, 0, false); n += stride())
        ;
    if (n < 12)
        fail_msg("%s: only %u operations", s->name, n);
    for (n = 1; with_error(s, FAULT_ERROR, errors[n % ERRORS], 0, n, false); n += 15 * stride())
        ;
    for (n = 1; with_error(s, FAULT_LATE_ERROR, errors[n % ERRORS], n, 0, false); n++)
        ;
    for (n = 1; with_error(s, FAULT_LATE_ERROR, errors[n % ERRORS], n, 0, true); n += stride())
        ;
    fake_disk_free();
}

static void errors_of_protect(void **state)
{
    (void)state;
    every_error(&scenarios[0]);
}

static void errors_of_rotate(void **state)
{
    (void)state;
    every_error(&scenarios[1]);
}

static void errors_of_rotate_during_an_outage(void **state)
{
    (void)state;
    every_error(&scenarios[2]);
}

static void errors_of_settle(void **state)
{
    (void)state;
    every_error(&scenarios[3]);
}

static void errors_of_repair(void **state)
{
    (void)state;
    every_error(&scenarios[4]);
}

static enum err (*acting)(void);
static enum err act(void)
{
    return acting();
}

/* Power goes at a write, and the process with it. True: there was such a write */
static bool with_cut(const struct scenario *s, enum fake_disk_fault fault, unsigned at, const char *what)
{
    (void)snprintf(now, sizeof now, "%s, power cut %s write %u%s", s->name,
                   fault == FAULT_CUT          ? "before"
                   : fault == FAULT_CUT_MIDDLE ? "in the middle of"
                                               : "after",
                   at, what);
    fake_disk->fault = fault;
    fake_disk->at = at;
    bool cut = fake_in_process(act);
    hit = fake_disk->hit ? fake_disk->hit : "-";
    check_always(s, true);
    return cut;
}

static void every_cut(const struct scenario *s, void (*meanwhile)(void), const char *what)
{
    static const enum fake_disk_fault kinds[] = {FAULT_CUT, FAULT_CUT_MIDDLE, FAULT_CUT_AFTER};
    unsigned cuts = 0;
    bool cut = true;
    prepare(s);
    for (unsigned n = 1; cut; n++)
        for (unsigned k = 0; k < 3; k++) {
            back();
            acting = s->act;
            cut = with_cut(s, kinds[k], n, what);
            cuts += cut;
            meanwhile();
            start_again(s, kinds[k] != FAULT_CUT, meanwhile != nothing);
        }
    if (cuts < 9)
        fail_msg("%s: only %u cuts", s->name, cuts);
    fake_disk_free();
}

static void cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < last_scenario(); i++)
        every_cut(&scenarios[i], nothing, "");
}

/* All that is known then is in the header. */
static void cuts_and_the_cache_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < last_scenario(); i++)
        every_cut(&scenarios[i], fake_keeper_forget_cache, ", cache lost");
}

/* The start after a power cut loses power, too, at its first write, its second, ... */
static void cuts_of_the_next_start(void **state)
{
    (void)state;
    for (const struct scenario *s = scenarios; s < scenarios + last_scenario(); s++) {
        bool cut = true, again;
        prepare(s);
        for (unsigned n = 1; cut; n++) {
            again = true;
            for (unsigned k = 1; again; k++) {
                back();
                acting = s->act;
                cut = with_cut(s, FAULT_CUT_AFTER, n, "");
                fake_disk_restart();
                acting = fake_verify;
                again = with_cut(s, k % 2 ? FAULT_CUT_MIDDLE : FAULT_CUT_AFTER, k, " of the next start");
                start_again(s, !again, false);
            }
        }
        fake_disk_free();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_of_protect),
        cmocka_unit_test(errors_of_rotate),
        cmocka_unit_test(errors_of_rotate_during_an_outage),
        cmocka_unit_test(errors_of_settle),
        cmocka_unit_test(errors_of_repair),
        cmocka_unit_test(cuts),
        cmocka_unit_test(cuts_and_the_cache_lost),
        cmocka_unit_test(cuts_of_the_next_start),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
