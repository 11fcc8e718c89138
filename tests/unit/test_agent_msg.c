/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/channel.h"
#include "crypto/secret.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static const uint8_t blob[64] = {1, 2, 3, 0, 255};

static struct msg sample(uint16_t type)
{
    struct msg m = {.type = type};
    switch (type) {
    case MSG_PROTECT:
        m.protect.device = msg_text("/dev/vda2");
        m.protect.passphrase = msg_text("pass");
        m.protect.flags = MSG_PROTECT_NO_ESP;
        break;
    case MSG_SYNC_BATCH:
        m.sync_batch.servers.n = 2;
        m.sync_batch.servers.item[0] = msg_text("https://one:1");
        m.sync_batch.servers.item[1] = msg_text("https://two:2");
        m.sync_batch.records.n = MSG_LIST_MAX;
        for (unsigned i = 0; i < MSG_LIST_MAX; i++)
            m.sync_batch.records.item[i] = (struct msg_span){blob, i % 6};
        m.sync_batch.audit_head = (struct msg_span){blob, 0};
        m.sync_batch.packages = (struct msg_span){blob, 32};
        m.sync_batch.package_set = (struct msg_span){blob, 64};
        break;
    case MSG_SYNC_ANSWER:
        m.sync_answer.status = MSG_REFUSED;
        m.sync_answer.problem = msg_text("the device is not known");
        m.sync_answer.known_sequence = UINT64_MAX - 1;
        m.sync_answer.retry_after_s = 60;
        m.sync_answer.envelopes_match = 1;
        m.sync_answer.has_missing_packages = 1;
        m.sync_answer.missing_packages = (struct msg_span){blob, 32};
        break;
    default:
        break;
    }
    return m;
}

static const uint16_t types[] = {
    MSG_ENROLL,      MSG_PROTECT,    MSG_STATUS,       MSG_ROTATE,      MSG_SYNC,        MSG_PROGRESS,
    MSG_RESULT,      MSG_CSR_WANTED, MSG_ENROLL_DO,    MSG_SYNC_BATCH,  MSG_SYNC_NOW,    MSG_IDLE,
    MSG_CSR,         MSG_ENROLLED,   MSG_BATCH_WANTED, MSG_SYNC_ANSWER, MSG_CERTIFICATE, MSG_CERTIFICATE_KEPT,
    MSG_SERVER_SAID, MSG_PROBE,      MSG_PROBED,       MSG_EXPORT,      MSG_IMPORT,      MSG_PIECE};
#define N_TYPES (sizeof types / sizeof types[0])

static void round_trip_and_truncation(void **state)
{
    (void)state;
    for (size_t t = 0; t < N_TYPES; t++) {
        struct msg m = sample(types[t]), back;
        uint8_t *p, *again;
        size_t len, again_len;
        assert_int_equal(msg_encode(&m, &p, &len), ERR_OK);
        assert_int_equal(msg_decode(p + 4, len - 4, &back), ERR_OK);
        assert_int_equal(msg_encode(&back, &again, &again_len), ERR_OK);
        assert_int_equal(len, again_len);
        assert_memory_equal(p, again, len);
        for (size_t cut = 0; cut < len - 4; cut++)
            assert_int_not_equal(msg_decode(p + 4, cut, &back), ERR_OK);
        free(p);
        free(again);
    }
}

static void bad_frames(void **state)
{
    (void)state;
    struct msg back = {.type = 99};
    static const uint8_t unknown[] = {0xff, 0x7f};
    static const uint8_t behind[] = {MSG_STATUS, 0, 0};
    static const uint8_t long_list[] = {MSG_SYNC_BATCH, 0, 1, 1, 0, 0};
    assert_int_equal(msg_decode(unknown, sizeof unknown, &back), ERR_UNSUPPORTED);
    assert_int_equal(msg_decode(behind, sizeof behind, &back), ERR_FORMAT);
    assert_int_equal(msg_decode(long_list, sizeof long_list, &back), ERR_RANGE);
    assert_int_equal(back.type, 99); /* untouched on failure */

    struct msg m = {.type = MSG_PROGRESS};
    uint8_t *p = NULL;
    size_t len;
    m.progress.text = (struct msg_span){blob, MSG_FRAME_MAX};
    assert_int_equal(msg_encode(&m, &p, &len), ERR_RANGE);
    m = (struct msg){.type = MSG_SYNC_BATCH, .sync_batch.records.n = MSG_LIST_MAX + 1};
    assert_int_equal(msg_encode(&m, &p, &len), ERR_RANGE);
    assert_null(p);
}

static void text_copies(void **state)
{
    (void)state;
    char t[4] = "old";
    assert_int_equal(msg_text_copy(msg_text("four"), t, sizeof t), ERR_RANGE);
    assert_int_equal(msg_text_copy((struct msg_span){(const uint8_t *)"a\0b", 3}, t, sizeof t), ERR_FORMAT);
    assert_string_equal(t, "old");
    assert_int_equal(msg_text_copy(msg_text("abc"), t, sizeof t), ERR_OK);
    assert_string_equal(t, "abc");
}

static void over_a_socket(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct channel a = {.fd = fd[0]}, b = {.fd = fd[1]};
    struct msg m = sample(MSG_PROTECT), got;
    assert_int_equal(channel_recv(&b, 0, &got), ERR_TIMEOUT);
    assert_int_equal(channel_send(&a, &m, 100), ERR_OK);
    m = sample(MSG_SYNC_ANSWER);
    assert_int_equal(channel_send(&a, &m, 100), ERR_OK);
    channel_close(&a); /* what was sent before the peer closed still arrives */
    assert_false(channel_has_message(&b));
    assert_int_equal(channel_recv(&b, 100, &got), ERR_OK);
    assert_int_equal(got.type, MSG_PROTECT);
    assert_memory_equal(got.protect.device.p, "/dev/vda2", 9);
    assert_true(channel_has_message(&b)); /* read with the first one: poll() will not tell */
    assert_int_equal(channel_recv(&b, 100, &got), ERR_OK);
    assert_int_equal(got.type, MSG_SYNC_ANSWER);
    assert_int_equal(got.sync_answer.known_sequence, UINT64_MAX - 1);
    assert_false(channel_has_message(&b));
    assert_int_equal(channel_recv(&b, 100, &got), ERR_OFFLINE);
    channel_close(&b);
}

static void too_large_a_frame_is_refused_at_its_length(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct channel b = {.fd = fd[1]};
    struct msg got;
    static const uint8_t head[] = {1, 0, 0x20, 0, MSG_STATUS, 0};
    assert_int_equal(write(fd[0], head, sizeof head), sizeof head);
    assert_int_equal(channel_recv(&b, 100, &got), ERR_RANGE);
    assert_true(channel_has_message(&b)); /* something to be refused */
    channel_close(&b);
    close(fd[0]);
}

static void a_peer_that_never_reads(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct channel a = {.fd = fd[0]};
    struct msg m = {.type = MSG_PROGRESS};
    uint8_t *big = calloc(1, 1u << 20);
    m.progress.text = (struct msg_span){big, 1u << 20};
    enum err e = ERR_OK;
    for (int i = 0; i < 8 && e == ERR_OK; i++)
        e = channel_queue(&a, &m);
    assert_int_equal(e, ERR_FULL);
    free(big);
    channel_close(&a);
    close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_and_truncation),
        cmocka_unit_test(bad_frames),
        cmocka_unit_test(text_copies),
        cmocka_unit_test(over_a_socket),
        cmocka_unit_test(too_large_a_frame_is_refused_at_its_length),
        cmocka_unit_test(a_peer_that_never_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
