/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/writer_fixture.h"
#include "escrow-server/process/quiet.h"
#include "formats/receipt.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct writer_state w;
struct store_ops ops;
struct chan web, back;
struct device device;
struct cr_p256_pub receipt_pub;
unsigned n_marks, fail_mark, n_puts, fail_put;
struct played_turn turn;

static enum err faulty_mark(struct store *s, enum store_half half)
{
    return ++n_marks == fail_mark ? ERR_FULL : store_sql.mark(s, half);
}

static enum err faulty_put(struct store *s, enum store_half half, const struct store_record *r, bool *ret_new)
{
    return ++n_puts == fail_put ? ERR_FULL : store_sql.record_put(s, half, r, ret_new);
}

static unsigned turn_room(const struct store *s, enum store_half half)
{
    (void)s;
    (void)half;
    return turn.kept - turn.n;
}

static enum err turn_post(struct store *s, enum store_half half, const struct store_record *r,
                          const struct envelope *e)
{
    (void)s;
    (void)half;
    (void)e;
    assert_true(turn.n < POSTED_MAX);
    turn.item[turn.n].r = *r;
    memcpy(turn.item[turn.n].bytes, r->bytes, r->len);
    turn.item[turn.n].r.bytes = turn.item[turn.n].bytes;
    turn.n++;
    return ERR_OK;
}

static enum err turn_put(struct store *s, enum store_half half)
{
    turn.turns++;
    for (unsigned i = 0; i < turn.n; i++) {
        const struct store_record *r = &turn.item[i].r;
        if (memcmp(r->name, turn.poison, 32) == 0)
            return ERR_INTERNAL;
        TRY(store_sql.record_put(s, half, r, &turn.item[i].put.is_new));
        TRY(store_sql.forked(s, half, r, &turn.item[i].put.fork));
    }
    return ERR_OK;
}

static enum err turn_posted(struct store *s, enum store_half half, const struct store_record *r,
                            struct store_put *ret)
{
    if (turn.next == 0)
        TRY(turn_put(s, half));
    assert_true(turn.next < turn.n);
    assert_memory_equal(turn.item[turn.next].r.name, r->name, 32);
    *ret = turn.item[turn.next++].put;
    if (turn.next == turn.n)
        turn.n = turn.next = 0;
    return ERR_OK;
}

static void turn_undo(struct store *s, enum store_half half)
{
    turn.n = turn.next = 0;
    store_sql.undo(s, half);
}

void take_turns(unsigned kept)
{
    memset(&turn, 0, sizeof turn);
    turn.kept = kept;
    ops.room = turn_room;
    ops.post = turn_post;
    ops.posted = turn_posted;
    ops.undo = turn_undo;
}

void make_device(struct device *ret)
{
    assert_int_equal(cr_p256_generate(&ret->key), ERR_OK);
    assert_int_equal(cr_p256_public(ret->key, &ret->pub), ERR_OK);
    assert_int_equal(cr_p256_id(&ret->pub, ret->d.id), ERR_OK);
    assert_int_equal(cr_p256_to_spki(&ret->pub, ret->d.spki), ERR_OK);
}

int open_writer(void **state)
{
    char ca_pem[PKI_PEM_MAX];
    const struct store_place place = {.dir = NULL, .concerns = quiet_drop};
    bool replicated;
    int pair[2];
    (void)state;
    ops = store_sql;
    ops.mark = faulty_mark;
    ops.record_put = faulty_put;
    n_marks = fail_mark = n_puts = fail_put = 0;
    w = (struct writer_state){.ops = &ops};
    assert_int_equal(ops.open(&place, &w.store), ERR_OK);
    assert_int_equal(cr_p256_generate(&w.receipt_key), ERR_OK);
    assert_int_equal(cr_p256_public(w.receipt_key, &receipt_pub), ERR_OK);
    assert_int_equal(cr_p256_id(&receipt_pub, w.receipt_id), ERR_OK);
    assert_int_equal(cr_p256_generate(&w.ca_key), ERR_OK);
    assert_int_equal(pki_make_ca(w.ca_key, "test", ca_pem), ERR_OK);
    snprintf(w.org.ca, sizeof w.org.ca, "%s", ca_pem);
    make_device(&device);
    device.d.approved = DEVICE_APPROVED;
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops.device_put(w.store, &device.d), ERR_OK);
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return -1;
    assert_int_equal(chan_open(&web, pair[0], MSG_STORE_MAX), ERR_OK);
    assert_int_equal(chan_open(&back, pair[1], MSG_STORE_MAX), ERR_OK);
    return 0;
}

int close_writer(void **state)
{
    (void)state;
    chan_close(&web);
    chan_close(&back);
    ops.close(w.store);
    cr_p256_free(w.receipt_key);
    cr_p256_free(w.ca_key);
    cr_p256_free(device.key);
    return 0;
}

void make_report(const struct device *d, uint64_t sequence, struct signed_record *ret)
{
    static const uint8_t text[] = "{}";
    struct record r = {
        .kind = RECORD_REPORT, .sequence = sequence, .time = 1, .report = text, .report_len = 2};
    memcpy(r.device, d->d.id, 32);
    assert_int_equal(record_encode(&r, d->key, ret->bytes, &ret->len), ERR_OK);
    assert_int_equal(record_name(ret->bytes, ret->len, ret->name), ERR_OK);
}

void take_sync(struct batch *b, uint64_t id, const struct msg_sync *m)
{
    struct msg_frame frame;
    msg_put_sync(chan_begin(&web, MSG_SYNC, id), m);
    assert_int_equal(chan_end(&web), ERR_OK);
    assert_int_equal(chan_fill(&back), ERR_OK);
    assert_int_equal(chan_next(&back, &frame), ERR_OK);
    assert_int_equal(writer_take(b, &back, &frame), ERR_OK);
}

void put_sync(struct batch *b, uint64_t id, const uint8_t device_id[static 32], const struct signed_record *r)
{
    static struct msg_sync m;
    m = (struct msg_sync){.n = 1, .record = {{r->bytes, r->len}}};
    memcpy(m.device, device_id, 32);
    take_sync(b, id, &m);
}

bool receipted(uint64_t id, const struct signed_record *r, uint8_t *ret_type)
{
    static struct msg_synced m;
    struct msg_frame frame;
    struct receipt receipt;
    enum err e = chan_next(&web, &frame);
    if (e == ERR_NOT_FOUND) {
        assert_int_equal(chan_fill(&web), ERR_OK);
        e = chan_next(&web, &frame);
    }
    assert_int_equal(e, ERR_OK);
    assert_int_equal(frame.id, id);
    *ret_type = frame.type;
    if (frame.type != MSG_SYNCED)
        return false;
    assert_int_equal(msg_get_synced(frame.body, frame.len, &m), ERR_OK);
    if (m.receipt.len == 0)
        return false;
    assert_int_equal(receipt_decode(m.receipt.p, m.receipt.len, &receipt_pub, &receipt), ERR_OK);
    return receipt_covers(&receipt, r->name);
}

unsigned count_orders_of(const uint8_t id[static 32])
{
    uint8_t got[MSG_COMMANDS][COMMAND_LEN];
    unsigned n;
    assert_int_equal(ops.commands(w.store, id, MSG_COMMANDS, got, &n), ERR_OK);
    return n;
}

unsigned count_orders(void)
{
    return count_orders_of(device.d.id);
}
