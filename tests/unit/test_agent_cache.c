/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/cache.h"
#include "crypto/hash.h"
#include "formats/receipt.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static char dir[] = "/tmp/keyholt-cache-XXXXXX", path[64], command[128];

static int setup(void **state)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/cache.db", dir);
    assert_int_equal(cache_open(path, (struct cache **)state), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    cache_close(*state);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static struct guid guid(uint8_t n)
{
    struct guid g = {{0}};
    g.bytes[0] = n;
    return g;
}

static void values(void **state)
{
    struct cache *c = *state;
    uint8_t b[4] = {9, 9, 9, 9};
    size_t len;
    uint64_t v;
    assert_int_equal(cache_get(c, "x", b, sizeof b, &len), ERR_NOT_FOUND);
    assert_int_equal(cache_set(c, "x", "abcd", 4), ERR_OK);
    assert_int_equal(cache_set(c, "x", "ab", 2), ERR_OK);
    assert_int_equal(cache_get(c, "x", b, 1, &len), ERR_RANGE);
    assert_int_equal(b[0], 9); /* untouched on failure */
    assert_int_equal(cache_get(c, "x", b, sizeof b, &len), ERR_OK);
    assert_int_equal(len, 2);
    assert_int_equal(cache_get_u64(c, "x", &v), ERR_TRUNCATED);
    assert_int_equal(cache_set_u64(c, "n", UINT64_MAX), ERR_OK);
    assert_int_equal(cache_get_u64(c, "n", &v), ERR_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(cache_unset(c, "n"), ERR_OK);
    assert_int_equal(cache_get_u64(c, "n", &v), ERR_NOT_FOUND);
}

static void a_rolled_back_transaction_leaves_nothing(void **state)
{
    struct cache *c = *state;
    uint8_t b[4];
    size_t len;
    assert_int_equal(cache_begin(c), ERR_OK);
    assert_int_equal(cache_set(c, "x", "ab", 2), ERR_OK);
    cache_rollback(c);
    cache_rollback(c); /* harmless */
    assert_int_equal(cache_get(c, "x", b, sizeof b, &len), ERR_NOT_FOUND);
}

/* What the cache looks at in a record: its device. */
static const uint8_t *device(uint8_t fill)
{
    static uint8_t id[32];
    memset(id, fill, sizeof id);
    return id;
}

static void add_of(struct cache *c, uint8_t signer, uint8_t kind, uint8_t n, const struct guid *key)
{
    uint8_t name[32] = {n}, bytes[RECORD_HEADER] = {n};
    memcpy(bytes + 8, device(signer), 32);
    assert_int_equal(cache_add_record(c, kind, name, bytes, sizeof bytes, key), ERR_OK);
}

static void add(struct cache *c, uint8_t kind, uint8_t n, const struct guid *key)
{
    add_of(c, 'D', kind, n, key);
}

static void expect_outbox_of(struct cache *c, uint8_t signer, const char *want)
{
    struct cache_record r[16];
    unsigned n = 0, count = 0;
    assert_int_equal(cache_outbox(c, device(signer), r, 16, &n), ERR_OK);
    assert_int_equal(cache_outbox_count(c, device(signer), &count), ERR_OK);
    assert_int_equal(n, strlen(want));
    assert_int_equal(count, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(r[i].len, RECORD_HEADER);
        assert_int_equal(r[i].bytes[0], want[i]);
        free(r[i].bytes);
    }
}

static void expect_outbox(struct cache *c, const char *want)
{
    expect_outbox_of(c, 'D', want);
}

static void receipted(struct cache *c, uint64_t time, const uint8_t *names, unsigned n, unsigned want)
{
    unsigned got = 99;
    assert_int_equal(
        cache_add_receipt(c, (const uint8_t *)"R", 1,
                          &(struct receipt){.class = RECEIPT_LOCAL, .time = time, .n = n, .names = names},
                          &got),
        ERR_OK);
    assert_int_equal(got, want);
}

static void outbox_and_receipts(void **state)
{
    struct cache *c = *state;
    struct guid k = guid(1);
    const uint8_t names[2][32] = {{'e'}, {'b'}};
    assert_int_equal(cache_put_envelope(c, &k, (const uint8_t *)"sealed", 6), ERR_OK);
    add(c, RECORD_EVENT, 'a', NULL);
    add(c, RECORD_REPORT, 'b', NULL);
    add(c, RECORD_EVENT, 'a', NULL); /* the same again is the same */
    add(c, RECORD_ESCROW, 'e', &k);
    expect_outbox(c, "eab"); /* escrow records first, then as they were made */
    receipted(c, 10, names[0], 2, 2);
    expect_outbox(c, "a");
    receipted(c, 11, names[0], 2, 0); /* nothing of it waited */
    assert_int_equal(cache_resend_escrows(c, device('D')), ERR_OK);
    expect_outbox(c, "ea");
    receipted(c, 9, names[0], 2, 0);
    receipted(c, 10, names[0], 2, 0);
    expect_outbox(c, "ea"); /* an older receipt says nothing of what was lost since */
    receipted(c, UINT64_MAX, names[0], 2, 1);
    expect_outbox(c, "a");
}

/* By the number of the batch that a receipt answers, and not by a clock that may be wrong. */
static void receipts_of_later_batches(void **state)
{
    struct cache *c = *state;
    struct guid k = guid(1);
    struct cache_record proof[2];
    uint64_t attempt = 0;
    unsigned n = 99;
    const uint8_t name[32] = {'e'};
    struct receipt r = {.class = RECEIPT_LOCAL, .time = 1000, .n = 1, .names = name};
    assert_int_equal(cache_put_envelope(c, &k, (const uint8_t *)"sealed", 6), ERR_OK);
    add(c, RECORD_ESCROW, 'e', &k);
    for (uint32_t batch = 1; batch <= 3; batch++) {
        assert_int_equal(cache_next_attempt(c, &attempt), ERR_OK);
        assert_int_equal(attempt, batch);
        r.attempt = batch;
        r.time = 1000 - batch; /* the server's clock goes back */
        assert_int_equal(cache_add_receipt(c, (const uint8_t *)"R", 1, &r, &n), ERR_OK);
        assert_int_equal(n, 1);
        expect_outbox(c, "");
        assert_int_equal(cache_proofs(c, device('D'), proof, 2, &n), ERR_OK);
        assert_int_equal(n, 0);
        assert_int_equal(cache_resend_escrows(c, device('D')), ERR_OK);
        assert_int_equal(cache_add_receipt(c, (const uint8_t *)"R", 1, &r, &n), ERR_OK);
        assert_int_equal(n, 0); /* the same answer, once more */
        expect_outbox(c, "e");
        assert_int_equal(cache_proofs(c, device('D'), proof, 2, &n), ERR_OK);
        assert_int_equal(n, 1);
        assert_int_equal(proof[0].len, 1);
        free(proof[0].bytes);
        assert_int_equal(cache_resend_escrows(c, device('D')),
                         ERR_OK); /* what it had before stays its proof */
        assert_int_equal(cache_proofs(c, device('D'), proof, 2, &n), ERR_OK);
        assert_int_equal(n, 1);
        free(proof[0].bytes);
        assert_int_equal(cache_proofs(c, device('X'), proof, 2, &n), ERR_OK);
        assert_int_equal(n, 0);
    }
    r.attempt = 0; /* a server that knows no numbers: by its clock */
    r.time = 997;
    assert_int_equal(cache_add_receipt(c, (const uint8_t *)"R", 1, &r, &n), ERR_OK);
    assert_int_equal(n, 0);
    r.time = 998;
    assert_int_equal(cache_add_receipt(c, (const uint8_t *)"R", 1, &r, &n), ERR_OK);
    assert_int_equal(n, 1);
}

static bool is_packed(struct cache *c, const struct guid *key, bool *receipted)
{
    struct cache_key k;
    assert_int_equal(cache_get_key(c, key, &k), ERR_OK);
    *receipted = k.receipted;
    return k.packed;
}

/* A receipt that says more replaces one that says less, never the other way round. */
static void classes_of_receipts(void **state)
{
    struct cache *c = *state;
    struct cache_key k = {.key_id = guid(1), .volume = guid(9), .state = KEY_LIVE, .slot = 1};
    const uint8_t name[32] = {'e'};
    unsigned n = 0;
    bool receipted;
    assert_int_equal(cache_put_key(c, &k), ERR_OK);
    assert_int_equal(cache_put_envelope(c, &k.key_id, (const uint8_t *)"sealed", 6), ERR_OK);
    add(c, RECORD_ESCROW, 'e', &k.key_id);
    assert_false(is_packed(c, &k.key_id, &receipted) || receipted);
    receipted = false;
    assert_int_equal(
        cache_add_receipt(c, (const uint8_t *)"R", 1,
                          &(struct receipt){.class = RECEIPT_LOCAL, .time = 10, .n = 1, .names = name}, &n),
        ERR_OK);
    assert_false(is_packed(c, &k.key_id, &receipted));
    assert_true(receipted);
    assert_int_equal(
        cache_add_receipt(c, (const uint8_t *)"P", 1,
                          &(struct receipt){.class = RECEIPT_PACKED, .time = 9, .n = 1, .names = name}, &n),
        ERR_OK);
    assert_int_equal(n, 1);
    assert_true(is_packed(c, &k.key_id, &receipted) && receipted);
    assert_int_equal(
        cache_add_receipt(c, (const uint8_t *)"R", 1,
                          &(struct receipt){.class = RECEIPT_REPLICATED, .time = 11, .n = 1, .names = name},
                          &n),
        ERR_OK);
    assert_int_equal(n, 0);
    assert_true(is_packed(c, &k.key_id, &receipted));
    assert_int_equal(cache_resend_escrows(c, device('D')), ERR_OK);
    assert_false(is_packed(c, &k.key_id, &receipted) || receipted);
}

static void what_became_of_a_key(void **state)
{
    struct cache *c = *state;
    struct cache_key k = {
        .key_id = guid(1), .volume = guid(9), .state = KEY_LIVE, .slot = 1, .cause = KH_CAUSE_PROTECT};
    assert_int_equal(cache_put_key(c, &k), ERR_OK);
    k.spent = KH_CAUSE_DISCLOSED;
    assert_int_equal(cache_put_key(c, &k), ERR_OK);
    memset(&k, 0, sizeof k);
    assert_int_equal(cache_get_key(c, &(struct guid){{1}}, &k), ERR_OK);
    assert_true(k.cause == KH_CAUSE_PROTECT && k.spent == KH_CAUSE_DISCLOSED);
}

static void life_of_a_volume(void **state)
{
    struct cache *c = *state;
    struct cache_life l = {.uuid = guid(3), .seqid = 17, .checked = 99, .management = MANAGEMENT_TPM}, got;
    assert_int_equal(cache_get_life(c, &l.uuid, &got), ERR_NOT_FOUND);
    assert_int_equal(cache_put_life(c, &l), ERR_OK);
    assert_int_equal(cache_get_life(c, &l.uuid, &got), ERR_OK);
    assert_true(got.seqid == 17 && got.checked == 99 && got.management == MANAGEMENT_TPM && !got.is_exposed);
    l.is_exposed = true;
    memset(l.digest, 7, sizeof l.digest);
    assert_int_equal(cache_put_life(c, &l), ERR_OK);
    assert_int_equal(cache_get_life(c, &l.uuid, &got), ERR_OK);
    assert_true(got.is_exposed && got.digest[31] == 7);
}

/* What waits for the device key: in its order, and an escrow among it is one that exists. */
static void drafts(void **state)
{
    struct cache *c = *state;
    struct cache_key k = {.key_id = guid(1), .volume = guid(2), .slot = 1, .count = 1001, .state = KEY_LIVE};
    struct cache_draft *d = calloc(1, sizeof *d);
    unsigned n = 9;
    assert_non_null(d);
    assert_int_equal(cache_next_draft(c, d), ERR_NOT_FOUND);
    assert_int_equal(cache_put_key(c, &k), ERR_OK);
    assert_int_equal(cache_add_draft(c, RECORD_REPORT, (const uint8_t *)"old", 3, NULL), ERR_OK);
    assert_int_equal(cache_add_draft(c, RECORD_ESCROW, (const uint8_t *)"escrow", 6, &k.key_id), ERR_OK);
    assert_int_equal(cache_clear_drafts(c, RECORD_REPORT), ERR_OK);
    assert_int_equal(cache_add_draft(c, RECORD_REPORT, (const uint8_t *)"new", 3, NULL), ERR_OK);
    assert_int_equal(cache_drafts(c, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(cache_get_key(c, &(struct guid){{1}}, &k), ERR_OK);
    assert_true(k.recorded && !k.receipted);
    assert_int_equal(cache_next_draft(c, d), ERR_OK);
    assert_true(d->has_key && guid_equal(&d->key_id, &k.key_id) && d->len == 6);
    assert_int_equal(cache_drop_draft(c, d->id), ERR_OK);
    assert_int_equal(cache_next_draft(c, d), ERR_OK);
    assert_true(!d->has_key && d->len == 3 && memcmp(d->bytes, "new", 3) == 0);
    assert_int_equal(cache_drop_draft(c, d->id), ERR_OK);
    assert_int_equal(cache_get_key(c, &(struct guid){{1}}, &k), ERR_OK);
    assert_false(k.recorded); /* it never became a record: to be made again */
    free(d);
}

/* A computer whose TPM was cleared signs as another device: each has its own outbox. */
static void two_identities(void **state)
{
    struct cache *c = *state;
    struct guid k = guid(1), next = guid(0);
    const uint8_t names[2][32] = {{'e'}, {'x'}};
    uint8_t envelope[ENVELOPE_MAX];
    size_t len = 0;
    unsigned others = 9;
    assert_int_equal(cache_put_envelope(c, &k, (const uint8_t *)"sealed", 6), ERR_OK);
    assert_int_equal(cache_next_envelope(c, &next, envelope, &len), ERR_NOT_FOUND); /* never recorded */
    add_of(c, 'F', RECORD_ESCROW, 'e', &k);
    add_of(c, 'F', RECORD_EVENT, 'f', NULL);
    add_of(c, 'D', RECORD_EVENT, 'a', NULL);
    expect_outbox_of(c, 'F', "ef");
    expect_outbox_of(c, 'D', "a");
    assert_int_equal(cache_outbox_others(c, device('D'), &others), ERR_OK);
    assert_int_equal(others, 2);
    receipted(c, 1, names[0], 1, 1);
    expect_outbox_of(c, 'F', "f");
    assert_int_equal(cache_resend_escrows(c, device('D')), ERR_OK); /* none of these are its own */
    expect_outbox_of(c, 'F', "f");
    expect_outbox_of(c, 'D', "a");
    assert_int_equal(cache_next_envelope(c, &next, envelope, &len), ERR_OK);
    assert_memory_equal(next.bytes, k.bytes, sizeof k.bytes);
    assert_int_equal(len, 6);
    assert_memory_equal(envelope, "sealed", 6);
    assert_int_equal(cache_next_envelope(c, &next, envelope, &len), ERR_NOT_FOUND);
    add_of(c, 'D', RECORD_ESCROW, 'x', &k); /* the new identity's own word */
    assert_int_equal(cache_put_rotation(c, &k, names[0]), ERR_OK);
    assert_int_equal(cache_clear_rotations(c), ERR_OK);
    assert_int_equal(cache_resend_rotation(c, &k), ERR_NOT_FOUND);
    receipted(c, 2, names[1], 1, 1);
    assert_int_equal(cache_resend_escrows(c, device('D')), ERR_OK);
    expect_outbox_of(c, 'D', "xa");
    expect_outbox_of(c, 'F', "f");
}

static void envelopes_and_their_digest(void **state)
{
    struct cache *c = *state;
    struct guid a = guid(1), b = guid(2);
    uint8_t digest[32], want[32], hashes[64], one[32], two[32], got[ENVELOPE_MAX];
    size_t len;
    assert_int_equal(cache_envelopes_digest(c, digest), ERR_OK);
    assert_int_equal(cr_sha256("", 0, want), ERR_OK);
    assert_memory_equal(digest, want, 32);
    assert_int_equal(cache_put_envelope(c, &a, (const uint8_t *)"first", 5), ERR_OK);
    assert_int_equal(cache_put_envelope(c, &b, (const uint8_t *)"second", 6), ERR_OK);
    assert_int_equal(cache_put_envelope(c, &a, (const uint8_t *)"other", 5), ERR_OK); /* never replaced */
    assert_int_equal(cache_get_envelope(c, &a, got, &len), ERR_OK);
    assert_memory_equal(got, "first", 5);
    assert_int_equal(cache_envelopes_digest(c, digest), ERR_OK);
    assert_memory_equal(digest, want, 32); /* not recorded yet: no server can have it */
    add(c, RECORD_ESCROW, 1, &a);
    add(c, RECORD_ESCROW, 2, &b);
    assert_int_equal(cr_sha256("first", 5, one), ERR_OK);
    assert_int_equal(cr_sha256("second", 6, two), ERR_OK);
    bool swap = memcmp(one, two, 32) > 0;
    memcpy(hashes, swap ? two : one, 32);
    memcpy(hashes + 32, swap ? one : two, 32);
    assert_int_equal(cr_sha256(hashes, 64, want), ERR_OK);
    assert_int_equal(cache_envelopes_digest(c, digest), ERR_OK);
    assert_memory_equal(digest, want, 32);
}

/* Those that said it last. */
static void a_rotation_is_said_in_the_same_bytes(void **state)
{
    struct cache *c = *state;
    struct guid k = guid(1);
    const uint8_t first[32] = {'a'}, second[32] = {'b'};
    uint8_t got[RECORD_MAX];
    size_t len;
    assert_int_equal(cache_resend_rotation(c, &k), ERR_NOT_FOUND);
    add(c, RECORD_EVENT, 'a', NULL);
    add(c, RECORD_EVENT, 'b', NULL);
    assert_int_equal(cache_put_rotation(c, &k, first), ERR_OK);
    receipted(c, 1, first, 1, 1);
    receipted(c, 1, second, 1, 1);
    expect_outbox(c, "");
    assert_int_equal(cache_resend_rotation(c, &k), ERR_OK);
    expect_outbox(c, "a");
    receipted(c, 2, first, 1, 1);
    assert_int_equal(cache_put_rotation(c, &k, second), ERR_OK);
    assert_int_equal(cache_rotation_record(c, &k, got, &len), ERR_OK);
    assert_int_equal(got[0], 'b');
    assert_int_equal(cache_resend_rotation(c, &k), ERR_OK);
    expect_outbox(c, "b");
}

static void keys_newest_first(void **state)
{
    struct cache *c = *state;
    struct cache_key k = {.volume = guid(9), .state = KEY_LIVE, .slot = -1}, got[CACHE_KEYS];
    unsigned n = 0;
    for (uint8_t i = 1; i <= 3; i++) {
        k.key_id = guid(i);
        k.made = i;
        assert_int_equal(cache_put_key(c, &k), ERR_OK);
    }
    assert_int_equal(cache_keys(c, &k.volume, got, &n), ERR_OK);
    assert_int_equal(n, 3);
    assert_int_equal(got[0].key_id.bytes[0], 3);
    assert_int_equal(got[0].slot, -1);
    assert_false(got[0].recorded || got[0].receipted);
    k.key_id = guid(4);
    k.made = UINT64_MAX; /* the time in an envelope is whatever somebody wrote there */
    assert_int_equal(cache_put_key(c, &k), ERR_OK);
    assert_int_equal(cache_keys(c, &k.volume, got, &n), ERR_OK);
    assert_int_equal(got[0].key_id.bytes[0], 4);
    assert_true(got[0].made == INT64_MAX);
    k.key_id = guid(5);
    assert_int_equal(cache_get_key(c, &k.key_id, got), ERR_NOT_FOUND);
}

static void a_damaged_file_is_set_aside(void **state)
{
    struct cache *c = *state;
    uint8_t before[16], after[16];
    size_t len;
    assert_int_equal(cache_get(c, "incarnation", before, sizeof before, &len), ERR_OK);
    cache_close(c);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (int i = 0; i < 8192; i++)
        assert_int_equal(fputc('!', f), '!');
    assert_int_equal(fclose(f), 0);
    assert_int_equal(cache_open(path, (struct cache **)state), ERR_OK);
    assert_int_equal(cache_get(*state, "incarnation", after, sizeof after, &len), ERR_OK);
    assert_memory_not_equal(before, after, sizeof before);
    (void)snprintf(command, sizeof command, "ls %s | grep -q damaged", dir);
    assert_int_equal(system(command), 0);
}

static void one_keeper_at_a_time(void **state)
{
    struct cache *second = NULL;
    (void)state;
    assert_int_equal(cache_open(path, &second), ERR_BUSY);
    assert_null(second);
}

/* Sticks come and go, and none is forgotten: what is protected must not drop out behind them. */
static void many_volumes(void **state)
{
    struct cache *c = *state;
    struct cache_volume v = {.state = VOLUME_PENDING}, *list = NULL;
    unsigned n = 9;
    assert_int_equal(cache_volumes(c, &list, &n), ERR_OK);
    assert_null(list);
    assert_int_equal(n, 0);
    for (unsigned i = 0; i < 200; i++) {
        memcpy(v.uuid.bytes, &i, sizeof i);
        (void)snprintf(v.device, sizeof v.device, "/dev/sd%03u", 199 - i);
        assert_int_equal(cache_put_volume(c, &v), ERR_OK);
    }
    assert_int_equal(cache_volumes(c, &list, &n), ERR_OK);
    assert_int_equal(n, 200);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(v.device, sizeof v.device, "/dev/sd%03u", i);
        assert_string_equal(list[i].device, v.device);
    }
    free(list);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(values),
        T(a_rolled_back_transaction_leaves_nothing),
        T(outbox_and_receipts),
        T(receipts_of_later_batches),
        T(classes_of_receipts),
        T(what_became_of_a_key),
        T(life_of_a_volume),
        T(many_volumes),
        T(drafts),
        T(two_identities),
        T(envelopes_and_their_digest),
        T(a_rotation_is_said_in_the_same_bytes),
        T(keys_newest_first),
        T(a_damaged_file_is_set_aside),
        T(one_keeper_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
