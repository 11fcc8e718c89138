/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer between a web worker that may be taken over and the stores: what it signs a receipt for is
 * stored, and signed by an enrolled device. The store is in memory; its faults are played. */
#include "crypto/hash.h"
#include "escrow-server/pki.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/writer/writer.h"
#include "formats/command.h"
#include "formats/enroll_text.h"
#include "formats/key_package.h"
#include "formats/receipt.h"
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

struct device {
    struct cr_p256_key *key;
    struct cr_p256_pub pub;
    struct store_device d;
};

static struct writer_state w;
static struct store_ops ops;
static struct chan web, back; /* the web worker's end, and the writer's */
static struct device device;
static struct cr_p256_pub receipt_pub;
static unsigned n_marks, fail_mark, n_puts, fail_put; /* which call fails, from 1 */

static enum err faulty_mark(struct store *s, enum store_half half)
{
    return ++n_marks == fail_mark ? ERR_FULL : store_sql.mark(s, half);
}

static enum err faulty_put(struct store *s, enum store_half half, const struct store_record *r, bool *ret_new)
{
    return ++n_puts == fail_put ? ERR_FULL : store_sql.record_put(s, half, r, ret_new);
}

/* A store that is worth a turn for many records, as PostgreSQL: what is posted is put when the first answer
 * is taken, and where one fails, none has an answer. */
#define POSTED_MAX 20
static struct {
    unsigned n, next, turns, kept; /* kept: so many it has room for */
    struct {
        struct store_record r;
        uint8_t bytes[RECORD_MAX];
        struct store_put put;
    } item[POSTED_MAX];
    uint8_t poison[32]; /* name of a record that cannot be put */
} turn;

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

static void take_turns(unsigned kept)
{
    memset(&turn, 0, sizeof turn);
    turn.kept = kept;
    ops.room = turn_room;
    ops.post = turn_post;
    ops.posted = turn_posted;
    ops.undo = turn_undo;
}

static void make_device(struct device *ret)
{
    assert_int_equal(cr_p256_generate(&ret->key), ERR_OK);
    assert_int_equal(cr_p256_public(ret->key, &ret->pub), ERR_OK);
    assert_int_equal(cr_p256_id(&ret->pub, ret->d.id), ERR_OK);
    assert_int_equal(cr_p256_to_spki(&ret->pub, ret->d.spki), ERR_OK);
}

static int open_writer(void **state)
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

static int close_writer(void **state)
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

struct signed_record {
    uint8_t bytes[RECORD_MAX], name[32];
    size_t len;
};

static void make_report(const struct device *d, uint64_t sequence, struct signed_record *ret)
{
    static const uint8_t text[] = "{}";
    struct record r = {
        .kind = RECORD_REPORT, .sequence = sequence, .time = 1, .report = text, .report_len = 2};
    memcpy(r.device, d->d.id, 32);
    assert_int_equal(record_encode(&r, d->key, ret->bytes, &ret->len), ERR_OK);
    assert_int_equal(record_name(ret->bytes, ret->len, ret->name), ERR_OK);
}

static void take_sync(struct batch *b, uint64_t id, const struct msg_sync *m)
{
    struct msg_frame frame;
    msg_put_sync(chan_begin(&web, MSG_SYNC, id), m);
    assert_int_equal(chan_end(&web), ERR_OK);
    assert_int_equal(chan_fill(&back), ERR_OK);
    assert_int_equal(chan_next(&back, &frame), ERR_OK);
    assert_int_equal(writer_take(b, &back, &frame), ERR_OK);
}

/* The web worker says: these bytes are a record of that device. */
static void put_sync(struct batch *b, uint64_t id, const uint8_t device_id[static 32],
                     const struct signed_record *r)
{
    static struct msg_sync m;
    m = (struct msg_sync){.n = 1, .record = {{r->bytes, r->len}}};
    memcpy(m.device, device_id, 32);
    take_sync(b, id, &m);
}

/* Does the answer have a receipt for this record? ret_type: of the answer */
static bool receipted(uint64_t id, const struct signed_record *r, uint8_t *ret_type)
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

static bool stored(const struct signed_record *r, uint64_t sequence)
{
    struct record header;
    bool there;
    assert_int_equal(record_decode(r->bytes, r->len, &header), ERR_OK);
    assert_int_equal(
        ops.has_sequence(w.store, STORE_COMPLIANCE, header.device, header.incarnation, sequence, &there),
        ERR_OK);
    return there;
}

/* Three requests in one commit; the one in the middle fails. The others keep their record and their receipt.
 */
static void test_a_failed_request_takes_no_other_with_it(void **state)
{
    static const struct {
        const char *name;
        unsigned mark, put;
    } rows[] = {{"no mark could be set", 2, 0}, {"the record could not be put", 0, 2}};
    (void)state;
    for (uint64_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct signed_record r[3];
        struct batch b = {.w = &w};
        uint8_t type;
        n_marks = n_puts = 0;
        fail_mark = rows[row].mark;
        fail_put = rows[row].put;
        for (uint64_t i = 0; i < 3; i++) {
            make_report(&device, 10 * row + i + 1, &r[i]);
            put_sync(&b, 100 + i, device.d.id, &r[i]);
        }
        batch_finish(&b);
        for (uint64_t i = 0; i < 3; i++) {
            bool got = receipted(100 + i, &r[i], &type), there = stored(&r[i], 10 * row + i + 1);
            if (got != (i != 1) || there != (i != 1))
                fail_msg("%s: request %u: receipt %d, stored %d", rows[row].name, (unsigned)i, got, there);
        }
    }
}

/* The records of a batch go in one turn; where one of them cannot be put, that one alone is not stored, and
 * has no receipt. One that comes twice is receipted twice. */
static void test_a_batch_in_one_turn(void **state)
{
    static const struct {
        const char *name;
        unsigned kept, poison, turns; /* poison: which one, 4: none */
        unsigned size;                /* of a turn, at first */
    } rows[] = {
        {"all of them", POSTED_MAX, 4, 1, 0},         {"the first fails", POSTED_MAX, 0, 5, 0},
        {"one amid them fails", POSTED_MAX, 1, 5, 0}, {"the last fails", POSTED_MAX, 3, 5, 0},
        {"there is room for two", 2, 4, 2, 0},        {"there is room for two, and one fails", 2, 1, 5, 0},
        {"one of the second two fails", 2, 2, 6, 0},  {"turns grow from one", POSTED_MAX, 4, 3, 1}};
    (void)state;
    for (uint64_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct device d[3];
        struct signed_record r[4];
        struct batch b = {.w = &w};
        uint8_t type;
        bool replicated;
        take_turns(rows[row].kept);
        w.turn[STORE_COMPLIANCE] = rows[row].size;
        assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
        for (uint64_t i = 0; i < 3; i++) {
            make_device(&d[i]);
            d[i].d.approved = DEVICE_APPROVED;
            assert_int_equal(ops.device_put(w.store, &d[i].d), ERR_OK);
        }
        assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
        make_report(&device, 10 * row + 1, &r[0]);
        for (uint64_t i = 0; i < 3; i++)
            make_report(&d[i], 1, &r[i + 1]);
        if (rows[row].poison < 4)
            memcpy(turn.poison, r[rows[row].poison].name, 32);
        put_sync(&b, 100, device.d.id, &r[0]);
        for (uint64_t i = 0; i < 3; i++)
            put_sync(&b, 101 + i, d[i].d.id, &r[i + 1]);
        assert_int_equal(turn.turns, 0); /* they wait for each other */
        batch_finish(&b);
        for (uint64_t i = 0; i < 4; i++) {
            bool got = receipted(100 + i, &r[i], &type), there = stored(&r[i], i == 0 ? 10 * row + 1 : 1);
            if (got != (i != rows[row].poison) || there != got)
                fail_msg("%s: request %u: receipt %d, stored %d", rows[row].name, (unsigned)i, got, there);
        }
        if (turn.turns != rows[row].turns)
            fail_msg("%s: %u turns", rows[row].name, turn.turns);
        for (uint64_t i = 0; i < 3; i++)
            cr_p256_free(d[i].key);
    }
}

/* A turn shall take two seconds at most; it grows to no more than twice of what it was. */
static void test_the_size_of_a_turn(void **state)
{
    static const struct {
        unsigned size, n;
        int64_t took_ms;
        bool failed;
        unsigned want;
    } rows[] = {{16, 16, 0, false, 32},      {16, 16, 1, false, 32},       {64, 64, 10, false, 128},
                {128, 128, 10, false, 128},  {128, 128, 2000, false, 128}, {16, 16, 1280, false, 25},
                {25, 25, 2000, false, 25},   {25, 25, 4000, false, 12},    {16, 3, 240, false, 25},
                {128, 128, 10000, true, 25}, {16, 16, 1, true, 16},        {1, 1, 9000, false, 1},
                {1, 16, 9000, true, 1},      {1, 1, 100, false, 2}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned got = writer_turn_next(rows[i].size, rows[i].n, rows[i].took_ms, rows[i].failed);
        if (got != rows[i].want)
            fail_msg("row %u: %u", i, got);
    }
}

/* More records of one device than a turn has. */
static void test_one_request_takes_several_turns(void **state)
{
    static struct signed_record r[WRITER_TURN_FIRST + 2];
    static struct msg_sync m;
    struct batch b = {.w = &w};
    uint8_t type;
    (void)state;
    take_turns(POSTED_MAX);
    m = (struct msg_sync){.n = WRITER_TURN_FIRST + 2};
    memcpy(m.device, device.d.id, 32);
    for (unsigned i = 0; i < m.n; i++) {
        make_report(&device, i + 1, &r[i]);
        m.record[i] = (struct msg_blob){r[i].bytes, r[i].len};
    }
    take_sync(&b, 1, &m);
    batch_finish(&b);
    assert_true(receipted(1, &r[m.n - 1], &type));
    for (unsigned i = 0; i < m.n; i++)
        assert_true(stored(&r[i], i + 1));
    assert_int_equal(turn.turns, 2);
}

/* A device that got no answer in time asks again while its first request waits: it is stored once, in order,
 * and both are answered. */
static void test_a_batch_has_a_record_twice(void **state)
{
    struct signed_record r[2];
    struct batch b = {.w = &w};
    uint8_t type;
    (void)state;
    take_turns(POSTED_MAX);
    make_report(&device, 1, &r[0]);
    make_report(&device, 2, &r[1]);
    put_sync(&b, 1, device.d.id, &r[0]);
    put_sync(&b, 2, device.d.id, &r[0]);
    put_sync(&b, 3, device.d.id, &r[1]);
    batch_finish(&b);
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(receipted(i, &r[i == 3], &type));
    assert_true(stored(&r[0], 1) && stored(&r[1], 2));
}

static void leave_it(struct signed_record *r)
{
    (void)r;
}
static void spoil_signature(struct signed_record *r)
{
    r->bytes[r->len - 1] ^= 1;
}
static void shorten(struct signed_record *r)
{
    r->len = 7;
}

static void test_only_an_enrolled_devices_own_record_is_receipted(void **state)
{
    struct device stranger;
    (void)state;
    make_device(&stranger);
    const struct {
        const char *name;
        const struct device *signs, *says;
        void (*change)(struct signed_record *r);
        uint64_t sequence;
        bool good;
    } rows[] = {{"as it should be", &device, &device, leave_it, 1, true},
                {"a spoilt signature", &device, &device, spoil_signature, 2, false},
                {"no record at all", &device, &device, shorten, 3, false},
                {"a device that never enrolled", &stranger, &stranger, leave_it, 4, false},
                {"a stranger's record", &stranger, &device, leave_it, 5, false},
                {"the last number that can be stored", &device, &device, leave_it, MSG_SEQUENCE_MAX, true},
                {"a number that cannot be stored", &device, &device, leave_it, UINT64_MAX, false}};
    for (uint64_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct signed_record r;
        struct batch b = {.w = &w};
        uint8_t type;
        make_report(rows[i].signs, rows[i].sequence, &r);
        rows[i].change(&r);
        put_sync(&b, i + 1, rows[i].says->d.id, &r);
        batch_finish(&b);
        bool got = receipted(i + 1, &r, &type);
        if (got != rows[i].good || type != (rows[i].good ? MSG_SYNCED : MSG_FAILED))
            fail_msg("%s: receipt %d, answer %u", rows[i].name, got, type);
    }
    cr_p256_free(stranger.key);
}

/* len: of the package that goes into the record; 0 all of it */
static void make_package(const struct device *d, uint64_t sequence, size_t len, struct signed_record *ret)
{
    struct envelope head = {.time = 1};
    struct key_package p = {.cipher = "aes-xts-plain64", .volume_key = {.len = 64}};
    uint8_t sealed[KEY_PACKAGE_MAX];
    size_t sealed_len;
    struct guid org = {{0}};
    assert_int_equal(key_package_seal(&head, &org, &receipt_pub, 1, &p, sealed, &sealed_len), ERR_OK);
    struct record r = {.kind = RECORD_KEY_PACKAGE, .sequence = sequence, .time = 1, .envelope = sealed};
    r.envelope_len = len ? len : sealed_len;
    memcpy(r.device, d->d.id, 32);
    assert_int_equal(record_encode(&r, d->key, ret->bytes, &ret->len), ERR_OK);
    assert_int_equal(record_name(ret->bytes, ret->len, ret->name), ERR_OK);
}

/* Key packages are kept with the escrows; what is none is refused. */
static void test_key_packages_are_kept(void **state)
{
    struct signed_record r;
    struct record header;
    uint8_t type;
    bool there = false;
    (void)state;
    for (uint64_t i = 1; i <= 2; i++) {
        struct batch b = {.w = &w};
        make_package(&device, i, i == 1 ? 0 : 100, &r);
        put_sync(&b, i, device.d.id, &r);
        batch_finish(&b);
        assert_int_equal(receipted(i, &r, &type), i == 1);
        assert_int_equal(record_decode(r.bytes, r.len, &header), ERR_OK);
        assert_int_equal(
            ops.has_sequence(w.store, STORE_RECOVERY, header.device, header.incarnation, i, &there), ERR_OK);
        assert_int_equal(there, i == 1);
    }
}

/* A certificate request; encrypted: it claims to need a passphrase. */
static size_t make_csr(bool encrypted, char *ret, size_t cap)
{
    static const char claim[] = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"
                                "000102030405060708090A0B0C0D0E0F\n\n";
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_REQ *req = X509_REQ_new();
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
    assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(out, req), 1);
    int len = (int)BIO_get_mem_data(out, &text),
        first = (int)((char *)memchr(text, '\n', (size_t)len) - text);
    int n = snprintf(ret, cap, "%.*s\n%s%.*s", first, text, encrypted ? claim : "", len - first - 1,
                     text + first + 1);
    assert_true(n > 0 && (size_t)n < cap);
    BIO_free(out);
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    return (size_t)n;
}

/* Nobody's keyboard is asked: neither standard input nor a terminal (the alarm ends a wait for that). */
static void test_an_encrypted_request_asks_nobody(void **state)
{
    static const char typed[] = "passphrase\n";
    char csr[4096], pem[PKI_PEM_MAX];
    const uint8_t id[32] = {1};
    uint8_t key_id[32];
    int input[2], left = 0, was = dup(STDIN_FILENO);
    const struct pki_ca ca = {w.ca_key, w.org.ca};
    (void)state;
    assert_int_equal(pipe(input), 0);
    assert_int_equal(write(input[1], typed, strlen(typed)), strlen(typed));
    assert_true(dup2(input[0], STDIN_FILENO) == STDIN_FILENO);
    alarm(60);
    size_t len = make_csr(true, csr, sizeof csr);
    assert_int_equal(pki_make_courier(&ca, csr, len, id, pem, key_id), ERR_FORMAT);
    len = make_csr(false, csr, sizeof csr);
    assert_int_equal(pki_make_courier(&ca, csr, len, id, pem, key_id), ERR_OK);
    alarm(0);
    assert_int_equal(ioctl(STDIN_FILENO, FIONREAD, &left), 0);
    dup2(was, STDIN_FILENO);
    close(was);
    close(input[0]);
    close(input[1]);
    assert_int_equal(left, strlen(typed));
}

static enum err enroll(const struct device *d, const char *token, const char *csr, size_t len)
{
    struct batch b = {.w = &w};
    struct pending p = {.type = MSG_ENROLL};
    struct msg_enroll m = {.time = 1, .computer = "pc", .csr = {(const uint8_t *)csr, len}};
    uint8_t text[ENROLL_TEXT_LEN];
    memcpy(m.spki, d->d.spki, sizeof m.spki);
    assert_int_equal(cr_sha256(token, strlen(token), m.token), ERR_OK);
    assert_int_equal(enroll_text(m.token, m.csr.p, m.csr.len, m.time, text), ERR_OK);
    assert_int_equal(cr_p256_sign(d->key, text, sizeof text, m.sig), ERR_OK);
    writer_enroll(&b, &p, &m);
    batch_finish(&b);
    return p.err;
}

/* The token is judged before the request is parsed, and a refused request leaves it as it was. */
static void test_enrolment_token_first(void **state)
{
    struct device d;
    char csr[4096];
    bool replicated;
    struct msg_token t = {.expires = UINT32_MAX, .uses = 1};
    size_t len = make_csr(false, csr, sizeof csr);
    (void)state;
    make_device(&d);
    assert_int_equal(cr_sha256("token", 5, t.hash), ERR_OK);
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops.token_put(w.store, &t, 1), ERR_OK);
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
    assert_int_equal(enroll(&d, "wrong", "no request", 10), ERR_DENIED);
    assert_int_equal(enroll(&d, "token", "no request", 10), ERR_FORMAT);
    assert_int_equal(enroll(&d, "token", csr, len), ERR_OK);
    cr_p256_free(d.key);
    make_device(&d);
    assert_int_equal(enroll(&d, "token", csr, len), ERR_DENIED);
    cr_p256_free(d.key);
}

static uint8_t put_keys_of(const uint8_t owner[static 32], uint8_t first, unsigned n)
{
    bool replicated;
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    for (uint8_t i = first; i < first + n; i++) {
        struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 150};
        struct store_record r = {.received_us = 150000000, .name = {i}};
        r.r.kind = RECORD_ESCROW;
        r.r.envelope = r.name;
        r.r.envelope_len = sizeof r.name;
        memcpy(r.r.device, owner, 32);
        memcpy(e.device, owner, 32);
        e.key_id.bytes[15] = e.volume.bytes[15] = i;
        assert_int_equal(ops.envelope_put(w.store, &r, &e), ERR_OK);
    }
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
    return (uint8_t)(first + n);
}

static void put_keys(unsigned n)
{
    (void)put_keys_of(device.d.id, 1, n);
}

static unsigned count_orders_of(const uint8_t id[static 32])
{
    uint8_t got[MSG_COMMANDS][COMMAND_LEN];
    unsigned n;
    assert_int_equal(ops.commands(w.store, id, MSG_COMMANDS, got, &n), ERR_OK);
    return n;
}

static unsigned count_orders(void)
{
    return count_orders_of(device.d.id);
}

/* As if so many milliseconds had gone by. */
static void pass(int64_t ms)
{
    w.uncertain.filled_ms -= ms;
    w.uncertain.again_ms = 0;
    (void)writer_uncertain(&w);
}

/* Six keys that may have been disclosed, sixty an hour: one a minute, and never more than ten at once. */
static void test_uncertain_keys_are_ordered_at_a_rate(void **state)
{
    struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    (void)state;
    put_keys(6);
    w.uncertain.per_hour = 60;
    assert_int_equal(writer_uncertain(&w), -1);
    writer_losses(&w, &losses);
    pass(0);
    assert_int_equal(count_orders(), 0);
    assert_int_equal(w.uncertain.count[STORE_NO_ORDER], 6);
    pass(60000);
    assert_int_equal(count_orders(), 1);
    pass(119000);
    assert_int_equal(count_orders(), 2);
    pass(1000); /* what was over counts */
    assert_int_equal(count_orders(), 3);
    losses.item[0].stopped = true;
    writer_losses(&w, &losses);
    pass(3600000);
    assert_int_equal(count_orders(), 3);
    losses.item[0].stopped = false;
    writer_losses(&w, &losses);
    pass(3600000);
    assert_int_equal(count_orders(), 6);
    assert_true(w.uncertain.allowed <= 10);
    assert_int_equal(w.uncertain.count[STORE_ORDER_WAITS], 6);
}

static unsigned n_busy; /* so many times */

static enum err faulty_uncertain(struct store *s, const struct store_window *window,
                                 const uint8_t after[static 32], const uint8_t last[static 32], unsigned max,
                                 struct store_uncertain *ret, unsigned *ret_n)
{
    return n_busy > 0 ? n_busy--, ERR_BUSY : store_sql.uncertain(s, window, after, last, max, ret, ret_n);
}

static void put_devices(uint8_t n)
{
    struct store_device d = {.approved = DEVICE_APPROVED};
    bool replicated;
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    for (uint8_t i = 1; i <= n; i++) {
        d.id[31] = i;
        assert_int_equal(ops.device_put(w.store, &d), ERR_OK);
    }
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
}

/* Devices that take the store too long keep nobody behind them from an order. */
static void test_who_cannot_be_judged_stops_nobody(void **state)
{
    const struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    (void)state;
    put_devices(40);
    put_keys(1);
    ops.uncertain = faulty_uncertain;
    n_busy = 1;
    w.uncertain.per_hour = 36000;
    writer_losses(&w, &losses);
    for (unsigned i = 0; i < 3; i++)
        pass(3600000);
    assert_int_equal(n_busy, 0);
    assert_int_equal(count_orders(), 1);
    assert_true(w.uncertain.missed);
    assert_true(w.uncertain.again_ms > writer_now_ms() + 10000); /* nor is the writer kept busy */
}

/* A device with new "old" keys before each pass, in front of all others: they get orders all the same. */
static void test_no_device_takes_what_is_everybodys(void **state)
{
    const struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    const uint8_t greedy[32] = {[31] = 1};
    uint8_t next = 10;
    (void)state;
    put_devices(1);
    put_keys(2);
    w.uncertain.per_hour = 60;
    writer_losses(&w, &losses);
    for (unsigned i = 0; i < 6; i++) {
        next = put_keys_of(greedy, next, 6);
        pass(i == 0 ? 0 : 60000);
    }
    assert_int_equal(count_orders(), 2);
    assert_int_equal(count_orders_of(greedy), 3);
    put_keys(6);
    next = put_keys_of(greedy, next, 6);
    for (unsigned i = 0; i < 2; i++)
        pass(3600000);
    assert_int_equal(count_orders(), 6);
    assert_true(count_orders_of(greedy) <= 3 + 2 * 4);
}

/* What nobody approved, and what is revoked, takes nothing. */
static void test_only_devices_that_count_are_ordered(void **state)
{
    static const struct {
        uint8_t approved;
        bool revoked;
        unsigned n;
    } rows[] = {{DEVICE_WAITING, false, 0},
                {DEVICE_REFUSED, false, 0},
                {DEVICE_APPROVED, true, 0},
                {DEVICE_APPROVED, false, 1},
                {DEVICE_BACK, false, 1}};
    const struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    bool replicated;
    (void)state;
    put_keys(1);
    w.uncertain.per_hour = 36000;
    writer_losses(&w, &losses);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops.device_approve(w.store, device.d.id, rows[i].approved), ERR_OK);
        assert_int_equal(ops.device_revoke(w.store, device.d.id, rows[i].revoked), ERR_OK);
        assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
        pass(i == 0 ? 0 : 3600000);
        pass(3600000);
        if (count_orders() != rows[i].n)
            fail_msg("row %u: %u orders", i, count_orders());
    }
}

static void seen_at(const uint8_t id[static 32], uint64_t time)
{
    bool replicated;
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops.device_seen(w.store, id, time, NULL), ERR_OK);
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
}

static struct pending take_back(uint64_t loss)
{
    struct batch b = {.w = &w};
    struct pending p = {.type = MSG_TAKE_BACK};
    writer_take_back(&b, &p, loss);
    batch_finish(&b);
    return p;
}

/* What a loss alone ordered goes back when a person stopped it; what was disclosed, too, before or after,
 * stays, and so does what was done. */
static void test_a_stopped_loss_takes_its_orders_back(void **state)
{
    static const struct {
        const char *name;
        uint64_t first, then; /* loss of the first order, and of one that follows; 0: a disclosure */
        bool follows, done;
        unsigned left; /* orders that wait afterwards */
    } rows[] = {{"a loss", 7, 0, false, false, 0},
                {"another loss", 8, 0, false, false, 1},
                {"a disclosure", 0, 0, false, false, 1},
                {"a disclosure, then a loss", 0, 7, true, false, 1},
                {"a loss, then a disclosure of before that", 7, 0, true, false, 1},
                {"two losses", 7, 8, true, false, 0},
                {"two losses, of which another one was first", 8, 7, true, false, 1},
                {"done", 7, 0, false, true, 0}};
    (void)state;
    w.uncertain.losses = (struct msg_losses){.n = 2, .item = {{.mark = 7}, {.mark = 8, .stopped = true}}};
    assert_int_equal(take_back(7).err, ERR_BUSY);
    w.uncertain.losses.item[0].stopped = true;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guid key = {{(uint8_t)(i + 1)}};
        const struct order_cause first = {.disclosed = 1000, .loss = rows[i].first},
                                 then = {.disclosed = rows[i].then != 0 ? 2000 : 500, .loss = rows[i].then};
        const struct record did = {.other_key_id = key, .event_time = 1};
        struct batch b = {.w = &w};
        struct record answer = did;
        memcpy(answer.device, device.d.id, 32);
        assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
        assert_int_equal(writer_order_rotation(&b, device.d.id, &key, &first), ERR_OK);
        if (rows[i].follows)
            assert_int_equal(writer_order_rotation(&b, device.d.id, &key, &then), ERR_OK);
        if (rows[i].done)
            assert_int_equal(writer_order_done(&b, &answer), ERR_OK);
        batch_finish(&b);
        bool was = rows[i].left == 0 && !rows[i].done, late = i % 2 == 0;
        seen_at(device.d.id, late ? writer_now() + 5 : 1); /* was it here since? */
        struct pending p = take_back(7);
        if (p.err != ERR_OK || count_orders() != rows[i].left || p.taken_back.n != was ||
            p.taken_back.gone != (was && late) || p.taken_back.more)
            fail_msg("%s: err %d, %u left, %llu taken back", rows[i].name, p.err, count_orders(),
                     (unsigned long long)p.taken_back.n);
        struct batch end = {.w = &w};
        assert_int_equal(batch_need(&end, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops.command_done(w.store, device.d.id, &key, 9), ERR_OK);
        batch_finish(&end);
    }
}

/* Entries have numbers, and another log has the same: of one that was there before, or of another server.
 * What it ordered is not ours to take back, nor what stands there with a number, as an earlier version wrote
 * it; whoever stops a loss of ours hears how many those are. */
static void test_orders_of_another_log_stay(void **state)
{
    static const struct {
        uint64_t loss;
        bool done;
        unsigned alien;
    } rows[] = {{3, false, 1}, /* a number */
                {MSG_LOSS_MARK, false, 2},
                {MSG_LOSS_MARK + 70, false, 2}, /* ours, and stopped */
                {MSG_LOSS_MARK + 80, false, 3},
                {MSG_LOSS_MARK + 90, false, 3}, /* ours */
                {2 * MSG_LOSS_MARK - 2, false, 4},
                {MSG_LOSS_MARK + 1, true, 4},
                {0, false, 4}}; /* a disclosure */
    (void)state;
    w.uncertain.losses = (struct msg_losses){.n = 2,
                                             .item = {{.n = 4, .mark = MSG_LOSS_MARK + 90},
                                                      {.n = 3, .mark = MSG_LOSS_MARK + 70, .stopped = true}}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guid key = {{(uint8_t)(i + 1)}};
        const struct order_cause cause = {.disclosed = 1000, .loss = rows[i].loss};
        struct batch b = {.w = &w};
        assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
        assert_int_equal(writer_order_rotation(&b, device.d.id, &key, &cause), ERR_OK);
        if (rows[i].done)
            assert_int_equal(ops.command_done(w.store, device.d.id, &key, 9), ERR_OK);
        batch_finish(&b);
        struct pending p = take_back(MSG_LOSS_MARK + 70);
        if (p.err != ERR_OK || p.taken_back.n != (i == 2) || p.taken_back.alien != rows[i].alien)
            fail_msg("row %u: err %d, %llu taken back, %llu of others", i, p.err,
                     (unsigned long long)p.taken_back.n, (unsigned long long)p.taken_back.alien);
    }
    assert_int_equal(count_orders(), 6);
    assert_int_equal(take_back(3).err, ERR_BUSY); /* a number is nobody's mark */
}

static uint64_t ordered_time(void)
{
    uint8_t got[1][COMMAND_LEN];
    struct command c;
    unsigned n;
    assert_int_equal(ops.commands(w.store, device.d.id, 1, got, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(command_decode(got[0], COMMAND_LEN, &receipt_pub, &c), ERR_OK);
    return c.time;
}

/* An order says when the key was disclosed last, and never that it was when somebody told us of it. */
static void test_an_order_speaks_of_the_last_disclosure(void **state)
{
    static const struct {
        uint64_t time, want;
    } rows[] = {{1000, 1000}, {900, 1000}, {2000, 2000}, {1500, 2000}};
    struct msg_entry m = {.chain = "ab", .who = "alice", .key_id = {{1}}};
    const struct order_cause loss = {.disclosed = 100, .loss = 7};
    struct batch b = {.w = &w};
    (void)state;
    memcpy(m.device, device.d.id, sizeof m.device);
    assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
    assert_int_equal(writer_order_rotation(&b, m.device, &m.key_id, &loss), ERR_OK); /* a loss */
    batch_finish(&b);
    assert_int_equal(ordered_time(), 100);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct batch next = {.w = &w};
        struct pending p = {.type = MSG_DISCLOSED};
        m.n = i + 1;
        m.time = rows[i].time;
        writer_disclosed(&next, &p, &m);
        batch_finish(&next);
        assert_int_equal(p.err, ERR_OK);
        assert_int_equal(ordered_time(), rows[i].want);
    }
}

/* A first order is closed by what was replaced since the key was shown, or names that moment; one that is
 * given out once more, by that alone. */
static void test_what_closes_an_order(void **state)
{
    static const struct {
        const char *name;
        uint64_t event_time, time;
        bool first, again; /* does it close that? */
    } rows[] = {{"before", 999, 2000, false, false},
                {"before, by the record's own time", 0, 999, false, false},
                {"the order's answer, of a clock that is behind", 1000, 5, true, true},
                {"since", 1001, 5, true, false},
                {"since, by the record's own time", 0, 1001, true, false},
                {"at that time, by the record's own", 0, 1000, true, false}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned again = 0; again < 2; again++) {
            const struct guid key = {{(uint8_t)(i + 1), (uint8_t)again}};
            const struct order_cause before = {.disclosed = 500}, cause = {.disclosed = 1000};
            struct record r = {.event = EVENT_ROTATED,
                               .other_key_id = key,
                               .event_time = rows[i].event_time,
                               .time = rows[i].time};
            struct batch b = {.w = &w};
            memcpy(r.device, device.d.id, 32);
            assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
            if (again) {
                assert_int_equal(writer_order_rotation(&b, r.device, &key, &before), ERR_OK);
                assert_int_equal(ops.command_done(w.store, r.device, &key, 600), ERR_OK);
            }
            assert_int_equal(writer_order_rotation(&b, r.device, &key, &cause), ERR_OK);
            assert_int_equal(writer_order_done(&b, &r), ERR_OK);
            batch_finish(&b);
            if ((count_orders() == 0) != (again ? rows[i].again : rows[i].first))
                fail_msg("%s: %s order is %s", rows[i].name, again ? "another" : "the first",
                         count_orders() == 0 ? "closed" : "open");
            struct batch end = {.w = &w};
            assert_int_equal(batch_need(&end, STORE_RECOVERY), ERR_OK);
            assert_int_equal(ops.command_done(w.store, r.device, &key, 2000), ERR_OK);
            batch_finish(&end);
        }
}

/* Another device brought the key and replaced it, without an order of its own: before the key was shown, it
 * is told, too; since, that is done. */
static void test_who_brought_a_key_is_told_as_its_owner(void **state)
{
    static const struct {
        uint64_t replaced;
        unsigned open;
    } rows[] = {{999, 1}, {1000, 0}, {1001, 0}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guid key = {{[15] = (uint8_t)(i + 1)}};
        struct record r = {.event = EVENT_ROTATED, .other_key_id = key, .time = rows[i].replaced};
        struct store_record sight = {.received_us = 150000000, .name = {(uint8_t)(i + 1), 7}};
        struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 150, .key_id = key};
        struct batch b = {.w = &w}, answer = {.w = &w};
        memset(r.device, (int)i + 0x51, sizeof r.device);
        memcpy(sight.r.device, r.device, sizeof r.device);
        memcpy(e.device, device.d.id, sizeof e.device);
        sight.r.envelope = sight.name;
        sight.r.envelope_len = sizeof sight.name;
        assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops.envelope_put(w.store, &sight, &e), ERR_OK);
        assert_int_equal(
            writer_order_rotation(&b, device.d.id, &key, &(struct order_cause){.disclosed = 1000}), ERR_OK);
        assert_int_equal(writer_order_done(&b, &r), ERR_OK);
        batch_finish(&b);
        if (count_orders_of(r.device) != rows[i].open)
            fail_msg("replaced at %u: %u orders", (unsigned)rows[i].replaced, count_orders_of(r.device));
        r.event_time = 1000; /* the answer */
        assert_int_equal(batch_need(&answer, STORE_RECOVERY), ERR_OK);
        assert_int_equal(writer_order_done(&answer, &r), ERR_OK);
        batch_finish(&answer);
        assert_int_equal(count_orders_of(r.device), 0);
    }
}

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
    struct record r = {.other_key_id = some_key, .event_time = 100};
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

#define WRITER_TEST(f) cmocka_unit_test_setup_teardown(f, open_writer, close_writer)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_a_failed_request_takes_no_other_with_it),
        WRITER_TEST(test_a_batch_in_one_turn),
        WRITER_TEST(test_the_size_of_a_turn),
        WRITER_TEST(test_one_request_takes_several_turns),
        WRITER_TEST(test_a_batch_has_a_record_twice),
        WRITER_TEST(test_only_an_enrolled_devices_own_record_is_receipted),
        WRITER_TEST(test_key_packages_are_kept),
        WRITER_TEST(test_an_encrypted_request_asks_nobody),
        WRITER_TEST(test_enrolment_token_first),
        WRITER_TEST(test_uncertain_keys_are_ordered_at_a_rate),
        WRITER_TEST(test_who_cannot_be_judged_stops_nobody),
        WRITER_TEST(test_no_device_takes_what_is_everybodys),
        WRITER_TEST(test_a_stopped_loss_takes_its_orders_back),
        WRITER_TEST(test_orders_of_another_log_stay),
        WRITER_TEST(test_what_closes_an_order),
        WRITER_TEST(test_who_brought_a_key_is_told_as_its_owner),
        WRITER_TEST(test_only_devices_that_count_are_ordered),
        WRITER_TEST(test_an_order_speaks_of_the_last_disclosure),
        WRITER_TEST(test_quiet_until_something_concerns_the_device),
        WRITER_TEST(test_not_quiet_by_a_sync_of_the_same_batch),
        WRITER_TEST(test_who_lacks_something_is_not_quiet),
        WRITER_TEST(test_who_was_quiet_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
