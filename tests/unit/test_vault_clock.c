/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/vault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* Limits, windows and one-time codes of a vault whose clock is set, that is started again, and that opens its
 * log again. The log is an array. */

#define CHAIN  "00112233445566778899aabbccddeeff"
#define KEY    "11111111-1111-1111-1111-111111111111"
#define DEVICE CHAIN CHAIN /* as many digits */

enum { HOUR = 3600, DAY = 86400, YEAR = 365 * DAY, NOW = 1800000000, LOG_MAX = 64 };

static uint64_t wall;
static int64_t up;
static struct audit_entry entry[LOG_MAX];
static uint64_t n_entries;
static struct vault v;

uint64_t vault_now(void)
{
    return wall;
}

int64_t vault_up(void)
{
    return up;
}

enum err vault_log_wanted(struct vault *vault, char *ret_detail)
{
    (void)vault, (void)ret_detail;
    return ERR_OK;
}

enum err vault_log_append(struct vault *vault, const struct audit_entry *e, uint64_t *ret_n)
{
    assert_true(n_entries < LOG_MAX);
    struct audit_entry *a = &entry[n_entries];
    *a = *e;
    a->n = ++n_entries;
    a->hash[0] = (uint8_t)a->n;
    snprintf(a->chain, sizeof a->chain, CHAIN);
    assert_int_equal(vault_memory_reserve(vault), ERR_OK);
    vault_memory_mark(vault, a, 0);
    *ret_n = a->n;
    return ERR_OK;
}

enum err vault_head_judge(struct vault *vault, const struct audit_entry *a)
{
    (void)vault, (void)a;
    return ERR_OK;
}

void vault_loss_take(struct vault *vault, const struct audit_entry *a)
{
    (void)vault, (void)a;
}

enum err vault_erase_take(struct vault *vault, const struct audit_entry *a)
{
    (void)vault, (void)a;
    return ERR_OK;
}

enum err vault_step_up(struct vault *vault, const char *who, const struct msg_blob *password,
                       const char *code, struct vault_asker *ret, char *ret_detail)
{
    (void)vault, (void)who, (void)password, (void)code, (void)ret_detail;
    *ret = (struct vault_asker){.role = PEOPLE_ADVANCED};
    return ERR_OK;
}

const char *people_role_text(enum people_role role)
{
    (void)role;
    return "advanced";
}

static void read_log(void)
{
    vault_memory_clear(&v);
    snprintf(v.seen.chain, sizeof v.seen.chain, CHAIN);
    for (uint64_t i = 0; i < n_entries; i++)
        assert_int_equal(vault_memory_take(&v, &entry[i], "", 0), ERR_OK);
    vault_age_settle(v.mark, v.n_marks);
}

static void restart(void)
{
    vault_memory_free(&v);
    v = (struct vault){.conf = {.quota_per_hour = 2, .vaults = 1, .approval = "advanced"}};
    read_log();
}

static int begin(void **state)
{
    (void)state;
    n_entries = 0;
    wall = NOW;
    up = 100;
    restart();
    return 0;
}

static int end(void **state)
{
    (void)state;
    vault_memory_free(&v);
    v = (struct vault){.n_marks = 0};
    return 0;
}

static void pass(unsigned seconds)
{
    wall += seconds;
    up += seconds;
}

static uint64_t say(const char *action, const char *note)
{
    struct audit_entry a = {.time = wall, .who = "alice", .key_id = KEY, .volume = KEY, .device = DEVICE};
    uint64_t n;
    snprintf(a.action, sizeof a.action, "%s", action);
    snprintf(a.note, sizeof a.note, "%s", note);
    assert_int_equal(vault_log_append(&v, &a, &n), ERR_OK);
    return n;
}

static void disclose(void)
{
    uint64_t n = say(AUDIT_DISCLOSE, "");
    assert_int_equal(vault_memory_entry(&v, &entry[n - 1]), ERR_OK);
}

static enum err quota(void)
{
    char detail[MSG_DETAIL + 1];
    return vault_quota(&v, "alice", detail);
}

/* Set to and fro while the vault runs: an hour is an hour. */
static void test_quota_of_a_running_vault(void **state)
{
    static const int64_t set[] = {0, YEAR, -YEAR, 2 * HOUR, -2 * HOUR, DAY, -DAY};
    (void)state;
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        disclose();
        disclose();
        assert_int_equal(quota(), ERR_BUSY);
        wall += (uint64_t)set[i];
        pass(HOUR - 1);
        if (quota() != ERR_BUSY)
            fail_msg("opened by %lld", (long long)set[i]);
        pass(1);
        if (quota() != ERR_OK)
            fail_msg("longer than an hour by %lld", (long long)set[i]);
    }
}

static void test_quota_after_a_start(void **state)
{
    static const struct {
        const char *name;
        int64_t set; /* after two disclosures and ten minutes */
        unsigned then;
    } rows[] = {{"right", 0, 3000}, {"was ahead", -YEAR, HOUR}, {"was a little ahead", -700, HOUR}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(state);
        disclose();
        disclose();
        pass(600);
        wall += (uint64_t)rows[i].set;
        restart();
        if (quota() != ERR_BUSY)
            fail_msg("%s: opened", rows[i].name);
        pass(rows[i].then - 1);
        if (quota() != ERR_BUSY)
            fail_msg("%s: opened early", rows[i].name);
        pass(1);
        if (quota() != ERR_OK)
            fail_msg("%s: closed for long", rows[i].name);
    }
}

/* The computer started with the clock of years ago, which was put right before the vault started again. */
static void test_quota_where_the_clock_was_behind(void **state)
{
    (void)state;
    say(AUDIT_REFUSE, "");
    wall -= 5ull * YEAR;
    disclose();
    disclose();
    wall += 5ull * YEAR;
    pass(600);
    restart();
    assert_int_equal(quota(), ERR_BUSY);
    pass(HOUR - 600);
    assert_int_equal(quota(), ERR_OK);
    say(AUDIT_REFUSE, ""); /* one of the future before them says nothing about them */
    entry[n_entries - 1].time += YEAR;
    disclose();
    disclose();
    pass(HOUR);
    restart();
    assert_int_equal(quota(), ERR_OK);
}

/* The log could not be written for a while: what the vault knew it still knows, but of no other log. */
static void test_quota_after_reopening(void **state)
{
    (void)state;
    disclose();
    disclose();
    pass(600);
    wall += 2 * HOUR;
    read_log();
    assert_int_equal(quota(), ERR_BUSY);
    pass(HOUR - 600);
    assert_int_equal(quota(), ERR_OK);
    wall -= YEAR;
    read_log();
    assert_int_equal(quota(), ERR_OK);
    for (unsigned i = 0; i < n_entries; i++)
        entry[i].hash[1] = 1;
    read_log();
    assert_int_equal(quota(), ERR_BUSY);
}

static const struct person carol = {.role = PEOPLE_ADVANCED, .has_totp = true, .totp = {1, 2, 3}};

/* A code of the time that is so far from now, on record where it is right. */
static enum err code_of(const char *who, int64_t from_now)
{
    char code[TOTP_DIGITS + 1];
    struct vault_asker asker = {.step = 0};
    struct audit_entry a = {.time = wall, .action = AUDIT_REFUSE};
    uint64_t n;
    assert_int_equal(totp_code(carol.totp, (wall + (uint64_t)from_now) / TOTP_STEP_S, code), ERR_OK);
    enum err e = vault_code_check(&v, who, &carol, code, &asker.step);
    if (e != ERR_OK)
        return e;
    snprintf(a.who, sizeof a.who, "%s", who);
    vault_note_step(&a, &asker);
    return vault_log_append(&v, &a, &n);
}

static void nothing(void) {}

static void test_codes(void **state)
{
    static void (*const between[])(void) = {nothing, read_log, restart};
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++) {
        begin(state);
        wall += YEAR;
        assert_int_equal(code_of("carol", 0), ERR_OK);
        between[i]();
        assert_int_equal(code_of("carol", 0), ERR_AUTH);
        assert_int_equal(code_of("dave", 0), ERR_OK);
        assert_int_equal(code_of("carol", -TOTP_STEP_S), ERR_AUTH); /* nor an earlier one */
        wall -= YEAR;
        assert_int_equal(code_of("carol", 0), ERR_OK); /* nobody waits for a year */
        between[i]();
        assert_int_equal(code_of("carol", 0), ERR_AUTH);
        pass(2 * TOTP_STEP_S);
        assert_int_equal(code_of("carol", 0), ERR_OK);
        between[i]();
        wall -= 10ull * TOTP_STEP_S;
        assert_int_equal(code_of("carol", 0), ERR_OK);
        pass(8 * TOTP_STEP_S);
        assert_int_equal(code_of("carol", 0), ERR_AUTH); /* used when the clock was here first */
        assert_int_equal(code_of("carol", 2 * TOTP_STEP_S), ERR_AUTH);
        wall = NOW + YEAR;
        between[i]();
        assert_int_equal(code_of("carol", 0), ERR_AUTH); /* a year later, too */
        assert_int_equal(code_of("carol", TOTP_STEP_S), ERR_OK);
    }
}

/* The log no longer says whose it was. */
static void test_code_of_an_erased_entry(void **state)
{
    (void)state;
    wall += YEAR;
    assert_int_equal(code_of("carol", 0), ERR_OK);
    entry[n_entries - 1].who[0] = '\0';
    entry[n_entries - 1].erased = true;
    wall -= YEAR;
    restart();
    assert_int_equal(code_of("carol", 0), ERR_OK);
    wall += YEAR;
    assert_int_equal(code_of("carol", 0), ERR_AUTH);
    assert_int_equal(code_of("carol", TOTP_STEP_S), ERR_OK);
}

/* A code counts also where nothing came into the log for it, and the list does not grow by reading. */
static void test_codes_are_kept_once(void **state)
{
    struct vault_asker asker = {.step = 0};
    char code[TOTP_DIGITS + 1];
    (void)state;
    assert_int_equal(code_of("carol", -TOTP_STEP_S), ERR_OK);
    assert_int_equal(totp_code(carol.totp, wall / TOTP_STEP_S, code), ERR_OK);
    assert_int_equal(vault_code_check(&v, "carol", &carol, code, &asker.step), ERR_OK);
    for (unsigned i = 0; i < 5; i++) {
        read_log();
        assert_int_equal(v.n_steps, 3);
    }
    assert_int_equal(code_of("carol", 0), ERR_AUTH);
}

static uint64_t wish(void)
{
    uint64_t n = say(AUDIT_REFUSE, NOTE_WANTED);
    vault_wish_add(&v, &entry[n - 1], n);
    return n;
}

static enum err approve(uint64_t n)
{
    char detail[MSG_DETAIL + 1];
    const struct msg_approve m = {.who = "bob", .n = n};
    struct msg_wish is;
    return vault_approve(&v, &m, &is, detail);
}

static uint64_t approved(void)
{
    const struct audit_entry a = {.who = "alice", .key_id = KEY, .volume = KEY, .device = DEVICE};
    uint64_t other;
    return vault_approved(&v, &a, &other);
}

static void test_approval_of_a_running_vault(void **state)
{
    static const int64_t set[] = {0, YEAR, -YEAR, 2 * HOUR, -2 * HOUR};
    (void)state;
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        uint64_t n = wish();
        wall += (uint64_t)set[i];
        pass(HOUR - 1);
        assert_int_equal(approve(n), ERR_OK);
        wall -= (uint64_t)set[i];
        pass(HOUR - 1);
        assert_int_equal(approved(), n);
        read_log();
        assert_int_equal(approved(), n);
        pass(1);
        assert_int_equal(approved(), 0);
        n = wish();
        wall += (uint64_t)set[i];
        pass(HOUR);
        assert_int_equal(approve(n), ERR_NOT_FOUND);
    }
}

static void test_approval_after_a_start(void **state)
{
    (void)state;
    uint64_t n = wish();
    assert_int_equal(approve(n), ERR_OK);
    pass(HOUR - 1);
    restart();
    assert_int_equal(approved(), n);
    pass(1);
    assert_int_equal(approved(), 0);
    wall += YEAR;
    n = wish();
    assert_int_equal(approve(n), ERR_OK);
    uint64_t open = wish();
    wall -= YEAR;
    restart(); /* else each start would give another hour, for a year */
    assert_int_equal(approved(), 0);
    assert_int_equal(approve(open), ERR_NOT_FOUND);
    for (unsigned i = 0; i < VAULT_WISHES + 1; i++) /* and wishes of the future make room */
        vault_wish_add(&v, &entry[n - 1], n_entries + i);
    for (unsigned i = 0; i < VAULT_WISHES; i++)
        assert_true(v.wish[i].is.n >= n_entries);
    n = wish();
    assert_int_equal(approve(n), ERR_OK);
    assert_int_equal(approved(), n);
}

/* What was approved is that request, and no other one of the same person. */
static void test_an_approval_is_for_its_words(void **state)
{
    const struct audit_entry same = {.who = "alice",
                                     .key_id = KEY,
                                     .volume = KEY,
                                     .device = DEVICE,
                                     .reason = "why",
                                     .detail = "approval needed asked=00 user=carol user=x"};
    struct audit_entry other[5] = {same, same, same, same, same};
    uint64_t n, seen = 0;
    (void)state;
    snprintf(other[0].who, sizeof other[0].who, "dave");
    snprintf(other[1].reason, sizeof other[1].reason, "why not");
    snprintf(other[2].detail, sizeof other[2].detail, "recover asked=00 user=carol");
    snprintf(other[3].detail, sizeof other[3].detail, "recover asked=00");
    other[4].device[0] = 'F';
    struct audit_entry a = same;
    a.time = wall;
    snprintf(a.action, sizeof a.action, AUDIT_REFUSE);
    snprintf(a.note, sizeof a.note, NOTE_WANTED);
    assert_int_equal(vault_log_append(&v, &a, &n), ERR_OK);
    vault_wish_add(&v, &entry[n - 1], n);
    assert_int_equal(approve(n), ERR_OK);
    for (unsigned round = 0; round < 2; round++, restart()) {
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(vault_approved(&v, &other[i], &seen), 0);
            assert_int_equal(seen, i >= 1 && i <= 3 ? n : 0);
        }
        assert_int_equal(vault_approved(&v, &same, &seen), n);
    }
    v.mark[n - 1].erased = true;
    assert_int_equal(vault_approved(&v, &same, &seen), 0);
    entry[n - 1].erased = true;
    restart();
    assert_int_equal(vault_approved(&v, &same, &seen), 0);
    assert_int_equal(approve(n), ERR_NOT_FOUND);
}

/* One entry was written while the clock was ahead; when that time comes, what stands behind it is no younger
 * than it was. */
static void test_an_approval_is_over_for_good(void **state)
{
    (void)state;
    say(AUDIT_REFUSE, "");
    entry[n_entries - 1].time += 2 * DAY;
    pass(5 * HOUR);
    uint64_t n = wish();
    assert_int_equal(approve(n), ERR_OK);
    assert_int_equal(approved(), n);
    pass(HOUR);
    assert_int_equal(approved(), 0);
    restart();
    assert_int_equal(approved(), 0);
    pass(2 * DAY - 6 * HOUR + 600);
    restart();
    assert_int_equal(approved(), 0);
}

/* Entries of a wrong future keep nobody out at each start: what stands behind them says how old they are. */
static void test_entries_of_the_future_grow_old(void **state)
{
    (void)state;
    wall += 30ull * YEAR;
    disclose();
    disclose();
    wall -= 30ull * YEAR;
    restart();
    assert_int_equal(quota(), ERR_BUSY); /* nothing says yet that it is long ago */
    for (unsigned i = 0; i < 3; i++) {
        pass(100 * DAY);
        say(AUDIT_REFUSE, "");
        pass(DAY);
        restart();
        assert_int_equal(quota(), ERR_OK);
    }
}

/* What may be erased is judged by it; entries of an imported chain have ages, too. */
static void test_ages_of_a_copy(void **state)
{
    static const struct {
        int64_t time; /* after now */
        uint64_t age;
        bool ahead;
    } rows[] = {{-2 * DAY, 2 * DAY, false},
                {-3 * DAY, 2 * DAY, true},
                {YEAR, 0, true},
                {-DAY, DAY, false},
                {0, 0, false}};
    (void)state;
    for (uint64_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct audit_entry a = {.n = i + 1, .time = wall + (uint64_t)rows[i].time};
        snprintf(a.chain, sizeof a.chain, "ff%s", CHAIN + 2);
        assert_int_equal(vault_memory_copy(&v, &a), ERR_OK);
        const struct vault_mark *m = vault_memory_mark_of(&v, a.chain, a.n);
        assert_non_null(m);
        assert_int_equal(vault_age(m), rows[i].age);
        assert_int_equal(m->ahead, rows[i].ahead);
        assert_null(vault_memory_mark_of(&v, a.chain, a.n + 1));
    }
    assert_null(vault_memory_mark_of(&v, CHAIN, 1));
    assert_null(vault_memory_mark_of(&v, "no chain", 1));
    pass(DAY);
    assert_int_equal(vault_age(&v.copy[0].mark[2]), DAY);
}

#define CLOCK_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {CLOCK_TEST(test_quota_of_a_running_vault),
                                       CLOCK_TEST(test_quota_after_a_start),
                                       CLOCK_TEST(test_quota_where_the_clock_was_behind),
                                       CLOCK_TEST(test_quota_after_reopening),
                                       CLOCK_TEST(test_codes),
                                       CLOCK_TEST(test_code_of_an_erased_entry),
                                       CLOCK_TEST(test_codes_are_kept_once),
                                       CLOCK_TEST(test_approval_of_a_running_vault),
                                       CLOCK_TEST(test_approval_after_a_start),
                                       CLOCK_TEST(test_an_approval_is_for_its_words),
                                       CLOCK_TEST(test_an_approval_is_over_for_good),
                                       CLOCK_TEST(test_entries_of_the_future_grow_old),
                                       CLOCK_TEST(test_ages_of_a_copy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
