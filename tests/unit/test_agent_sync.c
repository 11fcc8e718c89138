/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The set exchange and the clock, over a real cache. */
#include "agent/state/records.h"
#include "agent/sync/export.h"
#include "agent/sync/sync_clock.h"
#include "agent/sync/sync_set.h"
#include "crypto/hash.h"
#include "formats/outbox.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* The real one is the keeper's (agent/state/agent.c), with a person or the journal behind it. */
void agent_say(struct agent *a, const char *fmt, ...)
{
    va_list args;
    (void)a;
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)printf("\n");
}

static char dir[] = "/tmp/keyholt-sync-XXXXXX", path[64], command[128];
static struct agent a;
static uint8_t page[SYNC_SET_PAGE][32];
static const uint8_t server[] = "digest of what the server has...",
                     other[] = "another digest of a server's....";

static int setup(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/cache.db", dir);
    memset(&a, 0, sizeof a);
    assert_int_equal(cache_open(path, &a.cache), ERR_OK);
    a.key.place = DEVICE_KEY_FILE;
    assert_int_equal(cr_p256_generate(&a.key.key), ERR_OK);
    assert_int_equal(cr_p256_public(a.key.key, &a.key.pub), ERR_OK);
    assert_int_equal(cr_p256_id(&a.key.pub, a.key.id), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cache_close(a.cache);
    cr_p256_free(a.key.key);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

/* As much of a record as the cache looks at: whose it is. */
static void add_record(const uint8_t name[static 32], const struct guid *key_id)
{
    uint8_t bytes[48] = "KHR";
    memcpy(bytes + 8, a.key.id, sizeof a.key.id);
    memcpy(bytes + 40, name, 8);
    assert_int_equal(cache_add_record(a.cache, RECORD_ESCROW, name, bytes, sizeof bytes, key_id), ERR_OK);
}

/* n more envelopes, each with a record that a receipt covers. */
static void escrow(unsigned from, unsigned n)
{
    unsigned got;
    assert_int_equal(cache_begin(a.cache), ERR_OK);
    for (unsigned i = from; i < from + n; i++) {
        struct guid id = {{(uint8_t)i, (uint8_t)(i >> 8), 1}};
        uint8_t name[32] = {(uint8_t)i, (uint8_t)(i >> 8), 2};
        assert_int_equal(cache_put_envelope(a.cache, &id, id.bytes, sizeof id.bytes), ERR_OK);
        add_record(name, &id);
    }
    assert_int_equal(cache_commit(a.cache), ERR_OK);
    for (unsigned i = from; i < from + n; i++) {
        uint8_t name[32] = {(uint8_t)i, (uint8_t)(i >> 8), 2};
        assert_int_equal(cache_add_receipt(a.cache, name, 3,
                                           &(struct receipt){.class = 1, .time = i, .n = 1, .names = name},
                                           &got),
                         ERR_OK);
    }
}

static void hash_of(unsigned i, uint8_t ret[static 32])
{
    struct guid id = {{(uint8_t)i, (uint8_t)(i >> 8), 1}};
    assert_int_equal(cr_sha256(id.bytes, sizeof id.bytes, ret), ERR_OK);
}

static unsigned pages(void)
{
    unsigned n = 99;
    assert_int_equal(sync_set_page(&a, SYNC_ENVELOPES, page, &n), ERR_OK);
    return n;
}

static bool tells(const uint8_t *digest)
{
    uint8_t told[SYNC_SET_TOLD];
    assert_int_equal(sync_set_digest(&a, SYNC_ENVELOPES, told), ERR_OK);
    return memcmp(told, digest, sizeof told) == 0;
}

/* An answer; missing: NULL when the server says nothing of the kind. Did it make us go again at once? */
static bool answer(bool match, bool want, const uint8_t *digest, const uint8_t *missing, size_t n)
{
    struct msg m = {.type = MSG_SYNC_ANSWER,
                    .sync_answer = {.envelopes_match = match,
                                    .want_set = want,
                                    .server_envelopes = {digest, digest ? SYNC_SET_TOLD : 0},
                                    .has_missing = missing != NULL,
                                    .missing = {missing, 32 * n}}};
    unsigned escrows = 0;
    bool more = false;
    assert_int_equal(cache_outbox_escrows(a.cache, a.key.id, &escrows), ERR_OK);
    assert_int_equal(sync_set_take(&a, SYNC_ENVELOPES, &m, escrows, &more), ERR_OK);
    return more;
}

static unsigned waiting(void)
{
    unsigned n;
    assert_int_equal(cache_outbox_count(a.cache, a.key.id, &n), ERR_OK);
    return n;
}

static void asked_and_answered(void **state)
{
    (void)state;
    uint8_t lost[32];
    escrow(0, 5);
    assert_int_equal(pages(), 0); /* nobody asked */
    assert_false(answer(true, false, NULL, NULL, 0));
    assert_int_equal(pages(), 0);
    assert_true(answer(false, true, server, NULL, 0));
    assert_int_equal(pages(), 5);
    for (unsigned i = 1; i < 5; i++)
        assert_true(memcmp(page[i - 1], page[i], 32) < 0);
    hash_of(3, lost);
    assert_true(answer(false, false, server, lost, 1));
    assert_int_equal(waiting(), 1); /* exactly that one */
    assert_int_equal(pages(), 0);
    assert_false(answer(false, true, server, NULL, 0)); /* it is on its way: no second question */
    assert_int_equal(pages(), 0);
}

/* It has envelopes that we never made, or no longer know: sending mends nothing. */
static void a_server_that_has_more(void **state)
{
    (void)state;
    uint8_t own[32];
    escrow(0, 3);
    assert_true(answer(false, true, server, NULL, 0));
    assert_int_equal(pages(), 3);
    assert_false(answer(false, false, server, server, 0));
    assert_int_equal(waiting(), 0);
    assert_false(answer(false, true, server, NULL, 0)); /* the same pair of digests: all was said */
    assert_int_equal(pages(), 0);
    assert_true(tells(server));
    assert_false(answer(true, false, NULL, NULL, 0)); /* it has what it had */
    assert_true(tells(server));
    assert_true(answer(false, true, other, NULL, 0)); /* it lost something since */
    assert_int_equal(pages(), 3);
    assert_false(answer(false, false, other, server, 0));
    escrow(3, 1); /* and so did we change */
    assert_false(tells(server) || tells(other));
    assert_true(answer(false, true, other, NULL, 0));
    assert_int_equal(pages(), 4);
    assert_false(answer(true, false, NULL, NULL, 0)); /* mended meanwhile */
    assert_int_equal(pages(), 0);
    assert_true(answer(false, true, other, NULL, 0)); /* a new loss of the same set */
    assert_int_equal(pages(), 4);
    assert_false(answer(false, false, other, server, 0));
    assert_true(tells(other));
    assert_int_equal(cache_envelopes_digest(a.cache, own), ERR_OK);
    assert_false(answer(false, true, own, NULL, 0)); /* it has just ours, which we did not tell */
    assert_true(tells(own));
    assert_int_equal(pages(), 0);
}

static void large_sets_go_in_pages(void **state)
{
    (void)state;
    uint8_t lost[2][32], last[32];
    escrow(0, SYNC_SET_PAGE + 7);
    assert_true(answer(false, true, server, NULL, 0));
    assert_int_equal(pages(), SYNC_SET_PAGE);
    memcpy(lost[0], page[5], 32);
    memcpy(last, page[SYNC_SET_PAGE - 1], 32);
    assert_int_equal(pages(), SYNC_SET_PAGE); /* not answered: the same again */
    assert_memory_equal(page[SYNC_SET_PAGE - 1], last, 32);
    assert_true(answer(false, false, server, lost[0], 1));
    assert_int_equal(waiting(), 1);
    assert_int_equal(pages(), 7); /* goes on although a record waits */
    assert_true(memcmp(last, page[0], 32) < 0);
    memcpy(lost[1], page[6], 32);
    assert_true(answer(false, false, server, lost[1], 1));
    assert_int_equal(waiting(), 2);
    assert_int_equal(pages(), 0);
}

static void odd_answers(void **state)
{
    (void)state;
    const uint8_t strange[64] = "hashes that we never sent";
    escrow(0, 3);
    assert_false(answer(false, false, server, strange, 2)); /* nobody asked it */
    assert_int_equal(waiting(), 0);
    assert_true(answer(false, true, server, NULL, 0));
    assert_int_equal(pages(), 3);
    (void)answer(false, false, server, strange, 2);
    assert_int_equal(waiting(), 0);
    /* one of before the exchange: all again, once for each set */
    assert_true(answer(false, false, NULL, NULL, 0));
    assert_int_equal(waiting(), 3);
    assert_false(answer(false, false, NULL, NULL, 0));
}

static void escrows_on_their_way(void **state)
{
    (void)state;
    struct guid id = {{9, 9, 9}};
    const uint8_t name[32] = {9, 9, 9};
    escrow(0, 2);
    assert_int_equal(cache_put_envelope(a.cache, &id, id.bytes, sizeof id.bytes), ERR_OK);
    add_record(name, &id);
    assert_false(answer(false, true, server, NULL, 0)); /* that is why they differ */
    assert_int_equal(pages(), 0);
}

static void add_package(uint8_t i, uint64_t receipted)
{
    uint8_t name[32] = {i, 7}, bytes[48] = "KHR";
    unsigned got;
    memcpy(bytes + 8, a.key.id, sizeof a.key.id);
    memcpy(bytes + 40, name, 8);
    assert_int_equal(cache_add_record(a.cache, RECORD_KEY_PACKAGE, name, bytes, sizeof bytes, NULL), ERR_OK);
    const struct receipt r = {.class = RECEIPT_LOCAL, .time = receipted, .n = 1, .names = name};
    if (receipted)
        assert_int_equal(cache_add_receipt(a.cache, name, 3, &r, &got), ERR_OK);
}

static bool answer_packages(const uint8_t *digest, bool want, const uint8_t *missing, size_t n)
{
    struct msg m = {.type = MSG_SYNC_ANSWER,
                    .sync_answer = {.envelopes_match = 1,
                                    .want_packages = want,
                                    .server_packages = {digest, digest ? SYNC_SET_TOLD : 0},
                                    .has_missing_packages = missing != NULL,
                                    .missing_packages = {missing, 32 * n}}};
    unsigned left = 0;
    bool more = false, envelopes = false;
    assert_int_equal(cache_outbox_packages(a.cache, a.key.id, &left), ERR_OK);
    assert_int_equal(sync_set_take(&a, SYNC_ENVELOPES, &m, 0, &envelopes), ERR_OK);
    assert_int_equal(sync_set_take(&a, SYNC_PACKAGES, &m, left, &more), ERR_OK);
    assert_false(envelopes);
    return more;
}

static unsigned package_page(void)
{
    unsigned n = 99;
    assert_int_equal(sync_set_page(&a, SYNC_PACKAGES, page, &n), ERR_OK);
    return n;
}

static void key_packages(void **state)
{
    (void)state;
    uint8_t digest[32], want[32];
    const uint8_t names[2][32] = {{1, 7}, {2, 7}};
    escrow(0, 2);
    assert_int_equal(cache_packages_digest(a.cache, a.key.id, digest), ERR_NOT_FOUND);
    add_package(2, 5);
    add_package(1, 6);
    assert_int_equal(cr_sha256(names, sizeof names, want), ERR_OK);
    assert_int_equal(cache_packages_digest(a.cache, a.key.id, digest), ERR_OK);
    assert_memory_equal(digest, want, 32);
    assert_int_equal(package_page(), 0);
    assert_false(
        answer_packages(NULL, false, NULL, 0)); /* an older server says nothing; so does one that has all */
    assert_int_equal(package_page(), 0);
    assert_true(answer_packages(server, true, NULL, 0));
    assert_int_equal(package_page(), 2);
    assert_int_equal(pages(), 0); /* each kind for itself */
    assert_memory_equal(page[0], names[0], 32);
    assert_true(answer_packages(server, false, names[1], 1));
    assert_int_equal(waiting(), 1);                       /* exactly that one */
    assert_false(answer_packages(server, true, NULL, 0)); /* it is on its way */
    hash_of(1, want);
    assert_int_equal(cache_resend_package(a.cache, a.key.id, want, CACHE_NOW), ERR_OK);
    assert_int_equal(waiting(), 1); /* no package has that name */
    escrow(2, 1);
    assert_int_equal(pages(), 0);
}

/* While a new identity has not announced itself, everything waits; then it is signed in its order. */
static void put_off_and_made_up(void **state)
{
    (void)state;
    struct record *r = calloc(1, sizeof *r), d;
    struct cache_record out[8];
    unsigned n = 9;
    assert_non_null(r);
    assert_int_equal(cache_set_u64(a.cache, RECORDS_NEWS, 1), ERR_OK);
    for (uint64_t i = 1; i <= 2; i++) {
        *r = (struct record){.kind = RECORD_EVENT, .event = EVENT_CLOCK, .event_time = i};
        assert_int_equal(records_add(&a, r, NULL), ERR_OK);
        assert_int_equal(cache_add_draft(a.cache, RECORD_EVENT, (const uint8_t *)"garbage", 7, NULL), ERR_OK);
    }
    assert_int_equal(waiting(), 0);
    assert_int_equal(cache_unset(a.cache, RECORDS_NEWS), ERR_OK);
    *r = (struct record){.kind = RECORD_EVENT, .event = EVENT_CLOCK, .event_time = 3};
    assert_int_equal(records_add(&a, r, NULL), ERR_OK); /* not before what waits */
    assert_int_equal(waiting(), 0);
    assert_int_equal(records_make_up(&a), ERR_OK);
    assert_int_equal(cache_drafts(a.cache, &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(cache_outbox(a.cache, a.key.id, out, 8, &n), ERR_OK);
    assert_int_equal(n, 3);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(record_verify(out[i].bytes, out[i].len, &a.key.pub), ERR_OK);
        assert_int_equal(record_decode(out[i].bytes, out[i].len, &d), ERR_OK);
        assert_true(d.event_time == i + 1 && d.sequence == i + 1);
        free(out[i].bytes);
    }
    free(r);
}

static unsigned clock_events(void)
{
    struct cache_record r[32];
    unsigned n = 0, events = 0;
    assert_int_equal(cache_outbox(a.cache, a.key.id, r, 32, &n), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        struct record d;
        assert_int_equal(record_decode(r[i].bytes, r[i].len, &d), ERR_OK);
        events += d.kind == RECORD_EVENT && d.event == EVENT_CLOCK;
        free(r[i].bytes);
    }
    return events;
}

static void clocks(void **state)
{
    (void)state;
    enum { NOW = 1800000000, YEAR = 31557600 };
    const int64_t hour_ms = 3600000;
    static const struct {
        const char *row;
        uint64_t server, device;
        int64_t hours; /* of uptime */
        bool shown;
        int64_t off;
        unsigned events; /* in all */
    } rows[] = {
        {"the same", NOW, NOW, 1, false, 0, 0},
        {"an hour", NOW, NOW - 3600, 2, false, 0, 0},
        {"ten years behind", NOW, NOW - 10 * YEAR, 3, true, 10ll * YEAR, 1},
        {"still, a little drifted", NOW + 60, NOW - 10 * YEAR, 4, true, 10ll * YEAR + 60, 1},
        {"ahead now, but that was said just before", NOW, NOW + YEAR, 5, true, -YEAR, 1},
        {"ahead still, hours later", NOW, NOW + YEAR, 9, true, -YEAR, 2},
        {"right again", NOW, NOW + 5, 16, false, 0, 3},
        {"a server that does not say", 0, NOW, 30, false, 0, 3},
        {"a server that says nonsense", UINT64_MAX, NOW, 40, false, 0, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t off = 0;
        assert_int_equal(sync_clock_take(&a, rows[i].server, rows[i].device, rows[i].hours * hour_ms),
                         ERR_OK);
        enum err e = sync_clock_get(&a, &off);
        if ((e == ERR_OK) != rows[i].shown || off != rows[i].off || clock_events() != rows[i].events)
            fail_msg("%s: %s, %lld s, %u events", rows[i].row, err_name(e), (long long)off, clock_events());
    }
}

struct taken {
    unsigned outboxes, records, hashes, enrollments;
    uint8_t last_name[8], last_hash[32];
};

static enum err take_outbox(void *ctx, const uint8_t *p, size_t len)
{
    struct taken *t = ctx;
    static struct outbox o;
    assert_int_equal(outbox_decode(p, len, &o), ERR_OK); /* signed by the device */
    for (unsigned i = 0; i < o.n; i++)
        memcpy(t->last_name, o.record[i].p + 40, 8);
    for (size_t i = 0; i < o.set.len; i += 32) {
        assert_true(memcmp(t->last_hash, o.set.p + i, 32) < 0); /* each once, over all outboxes */
        memcpy(t->last_hash, o.set.p + i, 32);
    }
    t->outboxes++;
    t->records += o.n;
    t->hashes += (unsigned)(o.set.len / 32);
    t->enrollments += o.has_enrollment;
    return t->outboxes == 99 ? ERR_IO : ERR_OK;
}

struct named {
    uint8_t name[32];
    unsigned hashes, times; /* of all, and of that name */
};

static enum err take_names(void *ctx, const uint8_t *p, size_t len)
{
    struct named *n = ctx;
    static struct outbox o;
    assert_int_equal(outbox_decode(p, len, &o), ERR_OK); /* signed by the device, and in order */
    for (size_t i = 0; i < o.set.len; i += 32)
        n->times += memcmp(o.set.p + i, n->name, 32) == 0;
    n->hashes += (unsigned)(o.set.len / 32);
    return ERR_OK;
}

static void exports(void **state)
{
    (void)state;
    static const struct {
        unsigned receipted, waiting; /* more of each */
        unsigned outboxes, records, hashes;
    } steps[] = {
        {0, 0, 1, 0, 0},       /* one that says nothing but who it is */
        {3, 2, 1, 2, 3},       /* what waits is not in the set */
        {0, 254, 2, 256, 3},   /* a full one may have more behind it */
        {509, 1, 2, 257, 512}, /* the same for the hashes */
        {1, 600, 4, 857, 513},
    };
    struct org *org = calloc(1, sizeof *org);
    struct msg enrollment = {.type = MSG_ENROLL_DO,
                             .enroll_do = {.token = msg_text("token"),
                                           .csr = msg_text("request"),
                                           .computer = msg_text("pc"),
                                           .signature = {page[0], 64}}};
    unsigned made = 0;
    assert_non_null(org);
    a.org = org;
    assert_int_equal(cr_p256_to_spki(&a.key.pub, a.key.spki), ERR_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct export_totals totals;
        struct taken t = {.outboxes = 0};
        escrow(made, steps[i].receipted);
        made += steps[i].receipted;
        assert_int_equal(cache_begin(a.cache), ERR_OK);
        for (unsigned n = 0; n < steps[i].waiting; n++, made++) {
            struct guid id = {{(uint8_t)made, (uint8_t)(made >> 8), 1}};
            const uint8_t name[32] = {(uint8_t)made, (uint8_t)(made >> 8), 2};
            assert_int_equal(cache_put_envelope(a.cache, &id, id.bytes, sizeof id.bytes), ERR_OK);
            add_record(name, &id);
        }
        assert_int_equal(cache_commit(a.cache), ERR_OK);
        assert_int_equal(export_all(&a, i % 2 ? &enrollment : NULL, take_outbox, &t, &totals), ERR_OK);
        if (t.outboxes != steps[i].outboxes || t.records != steps[i].records || t.hashes != steps[i].hashes ||
            totals.outboxes != t.outboxes || totals.records != t.records || t.enrollments != i % 2)
            fail_msg("step %zu: %u outboxes, %u records, %u hashes", i, t.outboxes, t.records, t.hashes);
    }
    struct taken full = {.outboxes = 98};
    struct export_totals untouched = {7, 7};
    assert_int_equal(export_all(&a, NULL, take_outbox, &full, &untouched), ERR_IO);
    assert_int_equal(untouched.records, 7);
    a.org = NULL;
    free(org);
}

/* A TPM that was away when a key was made, and nothing asked for the state since. */
static void exports_what_was_put_off(void **state)
{
    (void)state;
    struct export_totals totals;
    struct named none = {.hashes = 0};
    struct org *org = calloc(1, sizeof *org);
    struct record *r = calloc(1, sizeof *r);
    assert_true(r && org);
    a.org = org;
    assert_int_equal(cr_p256_to_spki(&a.key.pub, a.key.spki), ERR_OK);
    assert_int_equal(cache_set_u64(a.cache, RECORDS_NEWS, 1), ERR_OK);
    *r = (struct record){.kind = RECORD_EVENT, .event = EVENT_CLOCK, .event_time = 1};
    assert_int_equal(records_add(&a, r, NULL), ERR_OK);
    free(r);
    assert_int_equal(cache_unset(a.cache, RECORDS_NEWS), ERR_OK);
    assert_int_equal(waiting(), 0);
    assert_int_equal(export_all(&a, NULL, take_names, &none, &totals), ERR_OK);
    assert_int_equal(totals.records, 1);
    a.org = NULL;
    free(org);
}

/* Their names stand behind the hashes of envelopes, and fill a page with them. */
static void exports_key_packages(void **state)
{
    (void)state;
    static const struct {
        unsigned receipted; /* envelopes, in all */
        unsigned outboxes, hashes;
    } steps[] = {{3, 1, 4}, {510, 1, 511}, {511, 2, 512}, {512, 2, 513}};
    struct org *org = calloc(1, sizeof *org);
    unsigned made = 0;
    assert_non_null(org);
    a.org = org;
    assert_int_equal(cr_p256_to_spki(&a.key.pub, a.key.spki), ERR_OK);
    add_package(1, 5);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct export_totals totals;
        struct named n = {.name = {1, 7}};
        escrow(made, steps[i].receipted - made);
        made = steps[i].receipted;
        assert_int_equal(export_all(&a, NULL, take_names, &n, &totals), ERR_OK);
        if (totals.outboxes != steps[i].outboxes || n.hashes != steps[i].hashes || n.times != 1)
            fail_msg("step %zu: %u outboxes, %u hashes, the package %u times", i, totals.outboxes, n.hashes,
                     n.times);
    }
    a.org = NULL;
    free(org);
}

#define SYNC_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_TEST(asked_and_answered),
        SYNC_TEST(a_server_that_has_more),
        SYNC_TEST(large_sets_go_in_pages),
        SYNC_TEST(odd_answers),
        SYNC_TEST(escrows_on_their_way),
        SYNC_TEST(key_packages),
        SYNC_TEST(put_off_and_made_up),
        SYNC_TEST(clocks),
        SYNC_TEST(exports),
        SYNC_TEST(exports_key_packages),
        SYNC_TEST(exports_what_was_put_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
