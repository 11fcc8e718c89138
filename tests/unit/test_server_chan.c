/* SPDX-License-Identifier: GPL-3.0-or-later */
/* process/chan.h: framed messages over a socketpair. */
#include "escrow-server/process/chan.h"
#include "escrow-server/process/msg.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on
#include <string.h>
#include <sys/socket.h>

/* Two ends of a socketpair. */
static void open_pair(struct chan *a, struct chan *b, size_t max)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(chan_open(a, fd[0], max), ERR_OK);
    assert_int_equal(chan_open(b, fd[1], max), ERR_OK);
}

static void send_number(struct chan *c, uint64_t n)
{
    struct writer *w = chan_begin(c, MSG_SINCE, n);
    assert_non_null(w);
    msg_put_u64(w, n * 3);
    assert_int_equal(chan_end(c), ERR_OK);
}

static void test_frames_arrive_in_order(void **state)
{
    (void)state;
    struct chan a, b;
    struct msg_frame m;
    uint64_t v;
    open_pair(&a, &b, 4096);
    assert_int_equal(chan_next(&b, &m), ERR_NOT_FOUND);
    for (uint64_t n = 1; n <= 100; n++)
        send_number(&a, n);
    assert_int_equal(chan_fill(&b), ERR_OK);
    for (uint64_t n = 1; n <= 100; n++) {
        assert_int_equal(chan_next(&b, &m), ERR_OK);
        assert_int_equal(m.type, MSG_SINCE);
        assert_int_equal(m.id, n);
        assert_int_equal(msg_get_u64(m.body, m.len, &v), ERR_OK);
        assert_int_equal(v, n * 3);
    }
    assert_int_equal(chan_next(&b, &m), ERR_NOT_FOUND);
    chan_close(&a);
    assert_int_equal(chan_fill(&b), ERR_OFFLINE);
    chan_close(&b);
}

/* More than the socket takes at once: it goes in pieces, whole messages come out. */
static void test_large_frames(void **state)
{
    (void)state;
    struct chan a, b;
    struct msg_frame m;
    static uint8_t big[1000000];
    size_t got = 0;
    open_pair(&a, &b, sizeof big);
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 3; i++) {
        struct writer *w = chan_begin(&a, MSG_DONE, 1);
        assert_non_null(w);
        writer_bytes(w, big, sizeof big);
        assert_int_equal(chan_end(&a), ERR_OK);
    }
    for (int turn = 0; got < 3 && turn < 10000; turn++) {
        assert_int_equal(chan_flush(&a), ERR_OK);
        assert_int_equal(chan_fill(&b), ERR_OK);
        while (chan_next(&b, &m) == ERR_OK) {
            assert_int_equal(m.len, sizeof big);
            assert_memory_equal(m.body, big, sizeof big);
            got++;
        }
    }
    assert_int_equal(got, 3);
    assert_false(chan_waits(&a));
    chan_close(&a);
    chan_close(&b);
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t bytes[5];
    } bad[] = {{"too short a length", {3, 0, 0, 0, 1}}, {"too long a length", {0xff, 0xff, 0xff, 0xff, 1}}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct chan a, b;
        struct msg_frame m;
        open_pair(&a, &b, 64);
        assert_int_equal(send(a.fd, bad[i].bytes, sizeof bad[i].bytes, 0), sizeof bad[i].bytes);
        assert_int_equal(chan_fill(&b), ERR_OK);
        if (chan_next(&b, &m) != ERR_FORMAT)
            fail_msg("%s: accepted", bad[i].name);
        chan_close(&a);
        chan_close(&b);
    }
    struct chan a, b;
    static const uint8_t bytes[65] = {0};
    open_pair(&a, &b, sizeof bytes - 1);
    struct writer *w = chan_begin(&a, MSG_DONE, 1);
    assert_non_null(w);
    writer_bytes(w, bytes, sizeof bytes);
    assert_int_equal(chan_end(&a), ERR_FULL);
    assert_false(chan_waits(&a));
    chan_close(&a);
    chan_close(&b);
}

struct heard {
    uint64_t n, last;
};

/* Takes all but number 9. */
static enum err hear_number(void *ctx, struct chan *c, const struct msg_frame *m)
{
    struct heard *h = ctx;
    assert_true(chan_is_open(c));
    TRY(msg_get_u64(m->body, m->len, &h->last));
    h->n++;
    return h->last == 9 ? ERR_RANGE : ERR_OK;
}

/* What came before the other end went is heard; after nonsense, nothing. */
static void test_hear(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned numbers;
        bool goes, garbage;
        enum err err;
        uint64_t heard;
        uint8_t type;
    } all[] = {
        {"nothing came", 0, false, false, ERR_OK, 0, 0xee},
        {"two", 2, false, false, ERR_OK, 2, 0xee},
        {"two, and it went", 2, true, false, ERR_OFFLINE, 2, 0xee},
        {"two, and garbage", 2, false, true, ERR_FORMAT, 2, 0},
        {"the third is not taken", 4, true, false, ERR_FORMAT, 3, MSG_SINCE},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct chan a, b;
        struct heard h = {.n = 0};
        uint8_t type = 0xee;
        open_pair(&a, &b, 64);
        for (unsigned n = 1; n <= all[i].numbers; n++)
            send_number(&a, n);
        if (all[i].garbage)
            assert_int_equal(send(a.fd, "\xff\xff\xff\xff", 4, 0), 4);
        if (all[i].goes)
            chan_close(&a);
        enum err e = chan_hear(&b, hear_number, &h, &type);
        if (e == ERR_OK && all[i].goes) /* the end is seen at the next call */
            e = chan_hear(&b, hear_number, &h, &type);
        if (e != all[i].err || h.n != all[i].heard || type != all[i].type)
            fail_msg("%s: heard %u, type %u", all[i].name, (unsigned)h.n, type);
        assert_true(chan_is_open(&b) == (all[i].err == ERR_OK));
        chan_close(&a);
        chan_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_arrive_in_order),
        cmocka_unit_test(test_large_frames),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_hear),
    };
    return cmocka_run_group_tests_name("server_chan", tests, NULL, NULL);
}
