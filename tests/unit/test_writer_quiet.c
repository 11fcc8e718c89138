/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When a device need not be told anything, and that it was seen all the same. */
#include "escrow-server/process/quiet.h"
#include "tests/unit/writer_fixture.h"
#include <string.h>
#include <unistd.h>

/* What the device says after its report, when it has no key: SHA-256 of nothing. source: FIPS 180-4 */
static struct quiet quiet_words(const struct signed_record *last)
{
    struct quiet q = {.envelopes = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14}};
    memcpy(q.device, device.d.id, sizeof q.device);
    memcpy(q.last, last->name, sizeof q.last);
    return q;
}

static void put_quiet_sync(struct batch *b, uint64_t id, const struct signed_record *r)
{
    static struct msg_sync m;
    struct quiet q = quiet_words(r);
    m = (struct msg_sync){.n = 1, .record = {{r->bytes, r->len}}};
    memcpy(m.device, q.device, sizeof m.device);
    memcpy(m.envelopes, q.envelopes, sizeof m.envelopes);
    take_sync(b, id, &m);
}

static void sync_quietly(uint64_t id, const struct signed_record *r)
{
    struct batch b = {.w = &w};
    uint8_t type;
    put_quiet_sync(&b, id, r);
    batch_finish(&b);
    (void)receipted(id, r, &type);
}

static void open_quiet(void)
{
    int write_fd, read_fd;
    assert_int_equal(quiet_make(4, &write_fd, &read_fd), ERR_OK);
    close(read_fd);
    assert_int_equal(quiet_open(write_fd, true), ERR_OK);
}

static const struct guid some_key = {{5}};

static enum err order_something(struct batch *b)
{
    TRY(batch_need(b, STORE_RECOVERY));
    const struct order_cause cause = {.disclosed = 100};
    return writer_order_rotation(b, device.d.id, &some_key, &cause);
}
static enum err do_order(struct batch *b)
{
    TRY(batch_need(b, STORE_RECOVERY));
    struct record r = {.event = EVENT_ROTATED, .other_key_id = some_key, .event_time = 100};
    memcpy(r.device, device.d.id, sizeof r.device);
    return writer_order_done(b, &r);
}
static enum err change_device(struct batch *b, enum device_change change)
{
    struct pending p = {.type = MSG_CHANGE};
    struct msg_change m = {.change = (uint8_t)change};
    memcpy(m.device, device.d.id, sizeof m.device);
    writer_change(b, &p, &m);
    return p.err;
}
static enum err revoked(struct batch *b)
{
    return change_device(b, CHANGE_REVOKE);
}
static enum err allow(struct batch *b)
{
    return change_device(b, CHANGE_ALLOW);
}
static enum err refuse(struct batch *b)
{
    return change_device(b, CHANGE_REFUSE);
}
static enum err approve(struct batch *b)
{
    return change_device(b, CHANGE_APPROVE);
}
static enum err order_report(struct batch *b)
{
    return change_device(b, CHANGE_REPORT);
}
static enum err enrol_again(struct batch *b)
{
    struct store_device d = device.d;
    d.courier[0] ^= 1;
    TRY(batch_need(b, STORE_RECOVERY));
    return ops.device_put(w.store, &d);
}

/* Whatever concerns a device ends that it need not be told anything, and each time only its next whole answer
 * begins that anew. */
static void test_quiet_until_something_concerns_the_device(void **state)
{
    static const struct {
        const char *name;
        enum err (*happens)(struct batch *b);
        bool quiet_again; /* after the next sync */
    } rows[] = {{"an order", order_something, false}, {"the order done", do_order, true},
                {"a revocation", revoked, false},     {"a revocation taken back", allow, true},
                {"a refusal", refuse, false},         {"an approval", approve, true},
                {"an enrolment", enrol_again, true},  {"a report ordered", order_report, false}};
    struct signed_record r;
    (void)state;
    open_quiet();
    make_report(&device, 1, &r);
    struct quiet q = quiet_words(&r);
    sync_quietly(1, &r);
    assert_true(quiet_has(&q));
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct batch b = {.w = &w};
        assert_int_equal(rows[i].happens(&b), ERR_OK);
        if (quiet_has(&q)) /* before it is committed */
            fail_msg("%s: the entry outlives it", rows[i].name);
        batch_finish(&b);
        if (quiet_has(&q))
            fail_msg("%s: the device is told nothing of it", rows[i].name);
        make_report(&device, i + 2, &r);
        sync_quietly(i + 2, &r);
        q = quiet_words(&r);
        if (rows[i].happens == enrol_again)
            q.courier[0] ^= 1;
        if (quiet_has(&q) != rows[i].quiet_again)
            fail_msg("%s: after the next sync quiet: %d", rows[i].name, quiet_has(&q));
        if (rows[i].happens == enrol_again) { /* the old certificate is good for nothing */
            q.courier[0] ^= 1;
            assert_false(quiet_has(&q));
        }
    }
}

/* A sync is answered after the commit, with what it knew before: whatever else of its batch concerns the
 * device, it must not say that nothing is to be told. */
static void test_not_quiet_by_a_sync_of_the_same_batch(void **state)
{
    static enum err (*const happens[])(struct batch * b) = {revoked, allow, refuse, approve, enrol_again};
    const unsigned kinds = sizeof happens / sizeof happens[0];
    (void)state;
    open_quiet();
    for (unsigned i = 0; i < 2 * kinds; i++) {
        struct signed_record r;
        struct batch b = {.w = &w};
        uint8_t type;
        if (i == kinds) /* and where records are put together */
            take_turns(POSTED_MAX);
        make_report(&device, i + 1, &r);
        put_quiet_sync(&b, i + 1, &r);
        assert_int_equal(happens[i % kinds](&b), ERR_OK);
        batch_finish(&b);
        (void)receipted(i + 1, &r, &type);
        const struct quiet q = quiet_words(&r);
        if (quiet_has(&q))
            fail_msg("%u: quiet", i);
    }
}

/* A device whose keys the store does not have as it says is asked for them, each time. */
static void test_who_lacks_something_is_not_quiet(void **state)
{
    struct signed_record r;
    struct batch b = {.w = &w};
    uint8_t type;
    (void)state;
    open_quiet();
    make_report(&device, 1, &r);
    put_sync(&b, 1, device.d.id, &r); /* its envelopes: zeros */
    batch_finish(&b);
    assert_true(receipted(1, &r, &type));
    struct quiet q = quiet_words(&r), said = q;
    memset(said.envelopes, 0, sizeof said.envelopes);
    assert_false(quiet_has(&q));
    assert_false(quiet_has(&said));
}

static uint64_t last_seen(void)
{
    struct store_device d;
    unsigned n = 0;
    assert_int_equal(ops.devices(w.store, NULL, false, 1, &d, &n), ERR_OK);
    assert_int_equal(n, 1);
    return d.seen;
}

/* More than the writer holds at once, and nothing of it is an answer. */
static void test_who_was_quiet_was_seen(void **state)
{
    static struct msg_seen m = {.n = MSG_SEEN_MAX};
    struct msg_frame frame;
    struct batch b = {.w = &w};
    (void)state;
    for (unsigned i = 0; i < m.n; i++)
        memcpy(m.item[i].device, device.d.id, sizeof m.item[i].device),
            m.item[i].time = i < 9 ? UINT64_MAX : 1700000000;
    assert_int_equal(last_seen(), 0);
    for (unsigned i = 0; i < 2 * WRITER_SEEN / MSG_SEEN_MAX; i++) {
        msg_put_seen(chan_begin(&web, MSG_SEEN, 0), &m);
        assert_int_equal(chan_end(&web), ERR_OK);
        assert_int_equal(chan_fill(&back), ERR_OK);
        assert_int_equal(chan_next(&back, &frame), ERR_OK);
        assert_int_equal(writer_take(&b, &back, &frame), ERR_OK);
    }
    assert_int_equal(b.n, 0);
    assert_int_equal(w.seen.n, WRITER_SEEN);
    batch_finish(&b);
    assert_int_equal(last_seen(), 1700000000); /* by who saw it; never later than now */
    assert_int_equal(chan_next(&web, &frame), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_quiet_until_something_concerns_the_device),
        WRITER_TEST(test_not_quiet_by_a_sync_of_the_same_batch),
        WRITER_TEST(test_who_lacks_something_is_not_quiet),
        WRITER_TEST(test_who_was_quiet_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
