/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages between the server's processes: round trips, truncation at every byte. */
#include "escrow-server/process/msg.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX 8192

static const uint8_t bytes[] =
    "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789";

static void put_enroll(struct writer *w)
{
    struct msg_enroll m = {.time = 7, .computer = "laptop", .csr = {bytes, 40}};
    memcpy(m.token, bytes, sizeof m.token);
    msg_put_enroll(w, &m);
}
static enum err get_enroll(const uint8_t *p, size_t len)
{
    struct msg_enroll m;
    TRY(msg_get_enroll(p, len, &m));
    assert_memory_equal(m.token, bytes, sizeof m.token);
    assert_string_equal(m.computer, "laptop");
    assert_int_equal(m.time, 7);
    assert_int_equal(m.csr.len, 40);
    return ERR_OK;
}

static void put_sync(struct writer *w)
{
    struct msg_sync m = {.has_courier = true,
                         .courier = {7},
                         .has_head = true,
                         .has_set = true,
                         .set = {bytes, 64},
                         .has_packages = true,
                         .packages = {8},
                         .has_package_set = true,
                         .package_set = {bytes, 32},
                         .renew = {bytes, 80},
                         .attempt = 77,
                         .n_proofs = 2,
                         .proof = {{bytes, 11}, {bytes, 12}},
                         .n = 2,
                         .record = {{bytes, 9}, {bytes + 9, 0}}};
    msg_put_sync(w, &m);
}
static enum err get_sync(const uint8_t *p, size_t len)
{
    struct msg_sync m;
    TRY(msg_get_sync(p, len, &m));
    assert_true(m.has_head && m.has_set && m.has_courier && m.courier[0] == 7);
    assert_int_equal(m.set.len, 64);
    assert_true(m.has_packages && m.has_package_set && m.packages[0] == 8 && m.package_set.len == 32);
    assert_int_equal(m.renew.len, 80);
    assert_int_equal(m.attempt, 77);
    assert_int_equal(m.n_proofs, 2);
    assert_int_equal(m.proof[1].len, 12);
    assert_int_equal(m.n, 2);
    assert_int_equal(m.record[0].len, 9);
    assert_memory_equal(m.record[0].p, bytes, 9);
    assert_int_equal(m.record[1].len, 0);
    return ERR_OK;
}

static void put_synced(struct writer *w)
{
    struct msg_synced m = {.receipt = {bytes, 30},
                           .missing = {bytes, 32},
                           .certificate = {bytes, 70},
                           .digest = {7},
                           .packages_match = true,
                           .packages = {6},
                           .missing_packages = {bytes, 64},
                           .match = true,
                           .has_known = true,
                           .sequence = 12,
                           .n_commands = 1};
    m.command[0][COMMAND_LEN - 1] = 9;
    msg_put_synced(w, &m);
}
static enum err get_synced(const uint8_t *p, size_t len)
{
    struct msg_synced m;
    TRY(msg_get_synced(p, len, &m));
    assert_true(m.match && m.has_known && !m.incomplete);
    assert_int_equal(m.sequence, 12);
    assert_int_equal(m.n_commands, 1);
    assert_int_equal(m.command[0][COMMAND_LEN - 1], 9);
    assert_int_equal(m.receipt.len, 30);
    assert_int_equal(m.missing.len, 32);
    assert_int_equal(m.certificate.len, 70);
    assert_int_equal(m.digest[0], 7);
    assert_true(m.packages_match && m.packages[0] == 6 && m.missing_packages.len == 64);
    return ERR_OK;
}

static void put_disclose(struct writer *w)
{
    struct msg_disclose m = {
        .who = "alice", .reason = "lost", .user = "", .asked = "ABCDEF01", .password = {bytes, 11}};
    m.found.n = 1;
    m.found.item[0] =
        (struct msg_candidate){.envelope = {bytes, 50}, .computer = "pc", .own = true, .received = 5};
    msg_put_disclose(w, &m);
}
static enum err get_disclose(const uint8_t *p, size_t len)
{
    struct msg_disclose m;
    TRY(msg_get_disclose(p, len, &m));
    assert_string_equal(m.who, "alice");
    assert_string_equal(m.reason, "lost");
    assert_string_equal(m.asked, "ABCDEF01");
    assert_int_equal(m.password.len, 11);
    assert_int_equal(m.found.n, 1);
    assert_string_equal(m.found.item[0].computer, "pc");
    assert_true(m.found.item[0].own);
    return ERR_OK;
}

static void put_opened(struct writer *w)
{
    struct msg_opened m = {.entry = {.chain = "00", .n = 4, .time = 5, .who = "bob"}};
    memcpy(m.digits, bytes, sizeof m.digits);
    msg_put_opened(w, &m);
}
static enum err get_opened(const uint8_t *p, size_t len)
{
    struct msg_opened m;
    TRY(msg_get_opened(p, len, &m));
    assert_memory_equal(m.digits, bytes, sizeof m.digits);
    assert_int_equal(m.entry.n, 4);
    assert_string_equal(m.entry.who, "bob");
    return ERR_OK;
}

static void put_entries(struct writer *w)
{
    struct msg_entries m = {.n = 2, .more = true, .next = 5, .item = {{.n = 1}, {.n = 2, .who = "carol"}}};
    msg_put_entries(w, &m);
}
static enum err get_entries(const uint8_t *p, size_t len)
{
    struct msg_entries m;
    TRY(msg_get_entries(p, len, &m));
    assert_true(m.more);
    assert_int_equal(m.next, 5);
    assert_int_equal(m.n, 2);
    assert_string_equal(m.item[1].who, "carol");
    return ERR_OK;
}

static void put_boots(struct writer *w)
{
    struct msg_boots m = {.n = 1, .item = {{.time = 3, .received = 4, .result = 1, .reason = 2}}};
    msg_put_boots(w, &m);
}
static enum err get_boots(const uint8_t *p, size_t len)
{
    struct msg_boots m;
    TRY(msg_get_boots(p, len, &m));
    assert_int_equal(m.n, 1);
    assert_int_equal(m.item[0].received, 4);
    assert_int_equal(m.item[0].reason, 2);
    return ERR_OK;
}

static void put_failed(struct writer *w)
{
    msg_put_failed(w, ERR_DENIED, "No.");
}
static enum err get_failed(const uint8_t *p, size_t len)
{
    struct msg_failed m;
    TRY(msg_get_failed(p, len, &m));
    assert_int_equal(m.err, ERR_DENIED);
    assert_string_equal(m.detail, "No.");
    return ERR_OK;
}

static void put_device_is(struct writer *w)
{
    struct msg_device_is m = {.revoked = true, .spki = {1}};
    msg_put_device_is(w, &m);
}
static enum err get_device_is(const uint8_t *p, size_t len)
{
    struct msg_device_is m;
    TRY(msg_get_device_is(p, len, &m));
    assert_true(m.revoked && !m.pinned);
    return ERR_OK;
}

static void put_seen(struct writer *w)
{
    struct msg_seen m = {.n = 2, .item = {{7, {1}, {2}, false}, {8, {3}, {4}, true}}};
    msg_put_seen(w, &m);
}
static enum err get_seen(const uint8_t *p, size_t len)
{
    struct msg_seen m;
    TRY(msg_get_seen(p, len, &m));
    assert_int_equal(m.n, 2);
    assert_true(m.item[0].time == 7 && m.item[0].device[0] == 1 && !m.item[0].has_head);
    assert_true(m.item[1].device[0] == 3 && m.item[1].has_head && m.item[1].audit_head[0] == 4);
    return ERR_OK;
}

static void put_devices(struct writer *w)
{
    struct msg_devices m = {.has_after = true, .after = {9}};
    msg_put_devices(w, &m);
}
static enum err get_devices(const uint8_t *p, size_t len)
{
    struct msg_devices m;
    TRY(msg_get_devices(p, len, &m));
    assert_true(m.has_after && !m.waiting && m.after[0] == 9);
    return ERR_OK;
}

static void put_devices_are(struct writer *w)
{
    struct msg_devices_are m = {
        .n = 2, .item = {{.approved = DEVICE_REFUSED, .seen = 5}, {.revoked = true, .computer = "pc"}}};
    msg_put_devices_are(w, &m);
}
static enum err get_devices_are(const uint8_t *p, size_t len)
{
    static struct msg_devices_are m;
    TRY(msg_get_devices_are(p, len, &m));
    assert_int_equal(m.n, 2);
    assert_int_equal(m.item[0].approved, DEVICE_REFUSED);
    assert_int_equal(m.item[0].seen, 5);
    assert_true(m.item[1].revoked);
    assert_string_equal(m.item[1].computer, "pc");
    return ERR_OK;
}

static void put_flags(struct writer *w)
{
    struct msg_flags m = {.of = FLAGS_OF_KIND, .received_us = FLAGS_NEWEST, .kind = "lost"};
    msg_put_flags(w, &m);
}
static enum err get_flags(const uint8_t *p, size_t len)
{
    struct msg_flags m;
    TRY(msg_get_flags(p, len, &m));
    assert_int_equal(m.of, FLAGS_OF_KIND);
    assert_true(m.received_us == FLAGS_NEWEST);
    assert_string_equal(m.kind, "lost");
    return ERR_OK;
}

static void put_flags_are(struct writer *w)
{
    struct msg_flags_are m = {.n = 2, .item = {{.sequence = 7, .kind = "gap"}, {.computer = "pc"}}};
    msg_put_flags_are(w, &m);
}
static enum err get_flags_are(const uint8_t *p, size_t len)
{
    static struct msg_flags_are m;
    TRY(msg_get_flags_are(p, len, &m));
    assert_int_equal(m.n, 2);
    assert_int_equal(m.item[0].sequence, 7);
    assert_string_equal(m.item[0].kind, "gap");
    assert_string_equal(m.item[1].computer, "pc");
    return ERR_OK;
}

static void put_change(struct writer *w)
{
    struct msg_change m = {.device = {3}, .change = CHANGE_REPORT};
    msg_put_change(w, &m);
}
static enum err get_change(const uint8_t *p, size_t len)
{
    struct msg_change m;
    TRY(msg_get_change(p, len, &m));
    assert_int_equal(m.change, CHANGE_REPORT);
    return ERR_OK;
}

static void put_probed(struct writer *w)
{
    struct msg_probed m = {.err = {ERR_OK, ERR_FULL}, .replicated = {true, false}};
    msg_put_probed(w, &m);
}
static enum err get_probed(const uint8_t *p, size_t len)
{
    struct msg_probed m;
    TRY(msg_get_probed(p, len, &m));
    assert_int_equal(m.err[1], ERR_FULL);
    assert_true(m.replicated[0] && !m.replicated[1]);
    return ERR_OK;
}

static void put_import(struct writer *w)
{
    struct msg_import m = {.who = "root", .chain = "ab"};
    msg_put_import(w, &m);
}
static enum err get_import(const uint8_t *p, size_t len)
{
    struct msg_import m;
    TRY(msg_get_import(p, len, &m));
    assert_string_equal(m.chain, "ab");
    return ERR_OK;
}

static void put_heard(struct writer *w)
{
    struct msg_heard m = {.device = {1}, .hash = {2}, .word = {bytes, 60}};
    msg_put_heard(w, &m);
}
static enum err get_heard(const uint8_t *p, size_t len)
{
    struct msg_heard m;
    TRY(msg_get_heard(p, len, &m));
    assert_int_equal(m.device[0] + 10 * m.hash[0], 21);
    assert_int_equal(m.word.len, 60);
    return ERR_OK;
}

static void put_erase(struct writer *w)
{
    struct msg_erase m = {.who = "root", .password = {bytes, 5}, .chain = "ab", .count = 2, .n = {7, 9}};
    msg_put_erase(w, &m);
}
static enum err get_erase(const uint8_t *p, size_t len)
{
    struct msg_erase m;
    TRY(msg_get_erase(p, len, &m));
    assert_string_equal(m.chain, "ab");
    assert_int_equal(m.password.len, 5);
    assert_int_equal(m.count, 2);
    assert_int_equal(m.n[1], 9);
    return ERR_OK;
}

static void put_approve(struct writer *w)
{
    struct msg_approve m = {.who = "bob", .password = {bytes, 5}, .code = "123456", .n = 7};
    msg_put_approve(w, &m);
}
static enum err get_approve(const uint8_t *p, size_t len)
{
    struct msg_approve m;
    TRY(msg_get_approve(p, len, &m));
    assert_string_equal(m.code, "123456");
    assert_int_equal(m.n, 7);
    return ERR_OK;
}

static void put_head(struct writer *w)
{
    struct msg_head m = {.n = 3, .hash = {4}, .word = {bytes, 80}};
    msg_put_head(w, &m);
}
static enum err get_head(const uint8_t *p, size_t len)
{
    struct msg_head m;
    TRY(msg_get_head(p, len, &m));
    assert_int_equal(m.n, 3);
    assert_int_equal(m.word.len, 80);
    return ERR_OK;
}

static void put_vault_is(struct writer *w)
{
    struct msg_vault_is m = {.log = true,
                             .n = 2,
                             .key = {{.name = "a"}, {.name = "b", .err = ERR_AUTH}},
                             .losses = {.n = 1, .item = {{.lost = 9}}}};
    msg_put_vault_is(w, &m);
}
static enum err get_vault_is(const uint8_t *p, size_t len)
{
    struct msg_vault_is m;
    TRY(msg_get_vault_is(p, len, &m));
    assert_true(m.log);
    assert_int_equal(m.n, 2);
    assert_string_equal(m.key[1].name, "b");
    assert_int_equal(m.key[1].err, ERR_AUTH);
    assert_int_equal(m.losses.item[0].lost, 9);
    return ERR_OK;
}

static void put_wish(struct writer *w)
{
    const struct msg_wish m = {
        .n = 7, .approved = true, .who = "alice", .reason = "why", .user = "carol", .device = "ab"};
    msg_put_wish(w, &m);
}
static enum err get_wish(const uint8_t *p, size_t len)
{
    struct msg_wish m;
    TRY(msg_get_wish(p, len, &m));
    assert_int_equal(m.n, 7);
    assert_true(m.approved);
    assert_string_equal(m.reason, "why");
    assert_string_equal(m.user, "carol");
    assert_string_equal(m.device, "ab");
    return ERR_OK;
}

static void put_wanted(struct writer *w)
{
    const struct msg_wanted m = {.n = 7, .detail = "why"};
    msg_put_wanted(w, &m);
}
static enum err get_wanted(const uint8_t *p, size_t len)
{
    struct msg_wanted m;
    TRY(msg_get_wanted(p, len, &m));
    assert_int_equal(m.n, 7);
    assert_string_equal(m.detail, "why");
    return ERR_OK;
}

static void put_losses(struct writer *w)
{
    struct msg_losses m = {.n = 2,
                           .item = {{.n = 3}, {.n = 4, .mark = 6, .stopped = true, .rotate_until = 8}}};
    msg_put_losses(w, &m);
}
static enum err get_losses(const uint8_t *p, size_t len)
{
    struct msg_losses m;
    TRY(msg_get_losses(p, len, &m));
    assert_int_equal(m.n, 2);
    assert_true(m.item[1].stopped);
    assert_int_equal(m.item[1].mark, 6);
    assert_int_equal(m.item[1].rotate_until, 8);
    return ERR_OK;
}

static void put_taken_back(struct writer *w)
{
    const struct msg_taken_back m = {.n = 3, .gone = 2, .alien = 1, .more = true};
    msg_put_taken_back(w, &m);
}
static enum err get_taken_back(const uint8_t *p, size_t len)
{
    struct msg_taken_back m;
    TRY(msg_get_taken_back(p, len, &m));
    assert_int_equal(m.n, 3);
    assert_int_equal(m.gone, 2);
    assert_int_equal(m.alien, 1);
    assert_true(m.more);
    return ERR_OK;
}

static void put_loss_word(struct writer *w)
{
    struct msg_loss_word m = {
        .who = "bob", .password = {bytes, 5}, .reason = "why", .word = LOSS_NARROW, .n = 7, .until = 9};
    msg_put_loss_word(w, &m);
}
static enum err get_loss_word(const uint8_t *p, size_t len)
{
    struct msg_loss_word m;
    TRY(msg_get_loss_word(p, len, &m));
    assert_string_equal(m.reason, "why");
    assert_int_equal(m.word, LOSS_NARROW);
    assert_int_equal(m.until, 9);
    return ERR_OK;
}

static const struct {
    const char *name;
    void (*put)(struct writer *w);
    enum err (*get)(const uint8_t *p, size_t len);
} rows[] = {
    {"enroll", put_enroll, get_enroll},
    {"sync", put_sync, get_sync},
    {"synced", put_synced, get_synced},
    {"disclose", put_disclose, get_disclose},
    {"opened", put_opened, get_opened},
    {"entries", put_entries, get_entries},
    {"boots", put_boots, get_boots},
    {"failed", put_failed, get_failed},
    {"device_is", put_device_is, get_device_is},
    {"import", put_import, get_import},
    {"vault_is", put_vault_is, get_vault_is},
    {"losses", put_losses, get_losses},
    {"wish", put_wish, get_wish},
    {"wanted", put_wanted, get_wanted},
    {"taken_back", put_taken_back, get_taken_back},
    {"loss_word", put_loss_word, get_loss_word},
    {"heard", put_heard, get_heard},
    {"erase", put_erase, get_erase},
    {"approve", put_approve, get_approve},
    {"head", put_head, get_head},
    {"devices", put_devices, get_devices},
    {"seen", put_seen, get_seen},
    {"devices_are", put_devices_are, get_devices_are},
    {"flags", put_flags, get_flags},
    {"flags_are", put_flags_are, get_flags_are},
    {"change", put_change, get_change},
    {"probed", put_probed, get_probed},
};

static void test_round_trip_and_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t body[BODY_MAX];
        struct writer w;
        size_t len;
        writer_init(&w, body, sizeof body);
        rows[i].put(&w);
        assert_int_equal(writer_end(&w, &len), ERR_OK);
        if (rows[i].get(body, len) != ERR_OK)
            fail_msg("%s: does not come back", rows[i].name);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut + 1); /* so that a sanitizer sees any step behind the end */
            assert_non_null(exact);
            memcpy(exact, body, cut);
            if (rows[i].get(exact, cut) == ERR_OK)
                fail_msg("%s: accepted when cut to %zu of %zu bytes", rows[i].name, cut, len);
            free(exact);
        }
        body[len] = 0;
        if (rows[i].get(body, len + 1) == ERR_OK)
            fail_msg("%s: accepted with a byte behind it", rows[i].name);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    uint8_t body[BODY_MAX];
    struct writer w;
    struct msg_sync sync;
    struct msg_failed failed;
    struct msg_find find;
    writer_init(&w, body, sizeof body); /* more records than there is room for */
    for (int i = 0; i < 135; i++)
        writer_u8(&w, 0);
    writer_u16(&w, MSG_RECORDS + 1);
    assert_int_equal(msg_get_sync(body, w.off, &sync), ERR_RANGE);
    for (uint32_t len = 0; len <= 33; len += 33) { /* hashes have 32 bytes */
        const uint8_t none[33] = {0};
        writer_init(&w, body, sizeof body);
        writer_bytes(&w, bytes, 32);
        writer_u8(&w, 0); /* no courier */
        writer_bytes(&w, none, 32);
        writer_bytes(&w, bytes, 8);
        writer_u8(&w, 0);
        writer_bytes(&w, none, 32);
        writer_u32(&w, 0); /* attempt */
        writer_u16(&w, 0); /* receipts */
        writer_u32(&w, 0);
        writer_u8(&w, 1);
        writer_u32(&w, len);
        writer_bytes(&w, none, len);
        writer_u16(&w, 0); /* nothing of key packages */
        writer_bytes(&w, none, 8);
        writer_u32(&w, 0);
        writer_u16(&w, 0);
        assert_int_equal(msg_get_sync(body, w.off, &sync), len ? ERR_RANGE : ERR_OK);
        writer_init(&w, body, sizeof body);
        writer_bytes(&w, bytes, 32);
        writer_u8(&w, 0);
        writer_bytes(&w, none, 32);
        writer_bytes(&w, bytes, 8);
        writer_u8(&w, 0);
        writer_bytes(&w, none, 32);
        writer_u32(&w, 0);
        writer_u16(&w, 0);
        writer_u32(&w, 0);
        writer_u8(&w, 0);
        writer_u32(&w, 0);
        writer_u16(&w, 0x0101);
        writer_bytes(&w, none, 8);
        writer_u32(&w, len);
        writer_bytes(&w, none, len);
        writer_u16(&w, 0);
        assert_int_equal(msg_get_sync(body, w.off, &sync), len ? ERR_RANGE : ERR_OK);
    }
    writer_init(&w, body, sizeof body); /* a text with a zero byte inside */
    writer_u8(&w, 1);
    writer_u16(&w, 3);
    writer_bytes(&w, "a\0b", 3);
    assert_int_equal(msg_get_failed(body, w.off, &failed), ERR_FORMAT);
    writer_init(&w, body, sizeof body); /* a text that is too long */
    writer_u16(&w, GUID_TEXT);
    writer_bytes(&w, bytes, GUID_TEXT);
    assert_int_equal(msg_get_find(body, w.off, &find), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_and_truncation),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("server_msg", tests, NULL, NULL);
}
