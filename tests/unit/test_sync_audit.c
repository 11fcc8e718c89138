/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Audit heads of several vaults: which one goes out, and that none is forgotten for another's sake. */
#include "agent/sync/sync_parts.h"
#include "crypto/p256.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define DOUBTS 16 /* source: docs/formats.md#sync */

static char dir[] = "/tmp/keyholt-audit-XXXXXX", path[64], command[128];
static struct agent a;
static struct cr_p256_key *key;

static int setup(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/cache.db", dir);
    memset(&a, 0, sizeof a);
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    return cache_open(path, &a.cache) == ERR_OK ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    cache_close(a.cache);
    cr_p256_free(key);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

enum how { BRIEF, WITH_WORD, UNTOLD };

/* An answer of the vault whose chain begins with this byte; its head's hash is length and chain. */
static void answer(uint8_t chain, uint8_t length, enum how how)
{
    const uint8_t hash[32] = {chain, length}, told[SYNC_CHAIN] = {chain};
    const struct audit_head_word said = {.chain = {chain}, .n = length, .hash = {chain, length}};
    uint8_t word[AUDIT_HEAD_LEN];
    struct msg m = {.type = MSG_SYNC_ANSWER,
                    .sync_answer = {.audit_length = length, .audit_hash = {hash, 32}}};
    assert_int_equal(audit_head_encode(&said, key, word), ERR_OK);
    if (how == WITH_WORD)
        m.sync_answer.audit_word = (struct msg_span){word, sizeof word};
    else if (how == BRIEF)
        m.sync_answer.audit_chain = (struct msg_span){told, sizeof told};
    assert_int_equal(sync_take_audit_head(&a, &m), ERR_OK);
}

/* The head that would go out is this one; word: and the signed word on it, from when it had that length */
static bool held(uint8_t chain, uint8_t length, uint8_t word)
{
    const uint8_t want[32] = {chain, length};
    uint8_t hash[32], got[AUDIT_HEAD_LEN];
    struct audit_head_word said;
    struct cr_p256_pub pub;
    size_t len;
    assert_int_equal(cache_get(a.cache, SYNC_AUDIT_HASH, hash, sizeof hash, &len), ERR_OK);
    enum err e = cache_get(a.cache, SYNC_AUDIT_WORD, got, sizeof got, &len);
    if (word) {
        assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
        if (e != ERR_OK || audit_head_decode(got, len, &pub, &said) != ERR_OK || said.n != word ||
            said.chain[0] != chain)
            return false;
    } else if (e != ERR_NOT_FOUND) {
        return false;
    }
    return memcmp(hash, want, sizeof hash) == 0;
}

static void another_vault_waits_its_turn(void **state)
{
    (void)state;
    answer(1, 50, WITH_WORD);
    assert_true(held(1, 50, 50));
    answer(1, 52, BRIEF);
    assert_true(held(1, 52, 50));
    for (unsigned i = 1; i < DOUBTS; i++) {
        answer(2, 60, WITH_WORD); /* longer, but it is another chain's */
        assert_true(held(1, 52, 50));
    }
    answer(2, 60, WITH_WORD);
    assert_true(held(2, 60, 60));
}

static void a_known_one_is_back_at_once(void **state)
{
    (void)state;
    answer(1, 50, WITH_WORD);
    for (unsigned i = 0; i < DOUBTS; i++)
        answer(2, 60, BRIEF);
    assert_true(held(2, 60, 0));
    answer(1, 40, BRIEF); /* its log was cut off meanwhile */
    assert_true(held(1, 50, 50));
    answer(2, 61, BRIEF);
    assert_true(held(2, 61, 0));
    answer(1, 51, BRIEF);
    assert_true(held(1, 51, 50));
}

/* A log that was begun anew has a new chain: the old head is sent for as long as a shorter one's would be. */
static void a_log_begun_anew(void **state)
{
    (void)state;
    answer(1, 50, WITH_WORD);
    for (unsigned i = 1; i < DOUBTS; i++)
        answer(9, 1, WITH_WORD);
    assert_true(held(1, 50, 50));
    answer(1, 50, BRIEF);
    for (unsigned i = 1; i < DOUBTS; i++)
        answer(9, 1, WITH_WORD); /* they do not add up */
    assert_true(held(1, 50, 50));
}

static void four_vaults_and_no_more(void **state)
{
    (void)state;
    for (uint8_t chain = 1; chain <= 5; chain++)
        for (unsigned i = 0; i < DOUBTS; i++)
            answer(chain, (uint8_t)(100 + chain), WITH_WORD);
    assert_true(held(5, 105, 105));
    for (uint8_t chain = 4; chain >= 2; chain--) {
        answer(chain, 1, BRIEF);
        assert_true(held(chain, (uint8_t)(100 + chain), (uint8_t)(100 + chain)));
    }
    answer(1, 1, BRIEF); /* forgotten: new again */
    assert_true(held(2, 102, 102));
}

/* An older server says nothing of chains, and so does what an older agent kept. */
static void who_says_nothing_is_taken_as_before(void **state)
{
    (void)state;
    answer(1, 50, UNTOLD);
    answer(1, 51, UNTOLD);
    assert_true(held(1, 51, 0));
    answer(1, 52, BRIEF);
    assert_true(held(1, 52, 0));
    answer(1, 20, UNTOLD);
    assert_true(held(1, 52, 0));
}

static void chain_of_a_word(void **state)
{
    (void)state;
    const struct audit_head_word said = {.chain = {1, 2, 3}, .n = 4};
    uint8_t word[AUDIT_HEAD_LEN + 1] = {0}, chain[16];
    assert_int_equal(audit_head_encode(&said, key, word), ERR_OK);
    assert_int_equal(audit_head_chain(word, AUDIT_HEAD_LEN, chain), ERR_OK);
    assert_memory_equal(chain, said.chain, sizeof chain);
    for (size_t i = 0; i < AUDIT_HEAD_LEN; i++)
        assert_int_not_equal(audit_head_chain(word, i, chain), ERR_OK);
    assert_int_not_equal(audit_head_chain(word, sizeof word, chain), ERR_OK);
    struct audit_head_word read = {.n = 0};
    assert_int_equal(audit_head_read(word, AUDIT_HEAD_LEN, &read), ERR_OK);
    assert_int_equal(read.n, said.n);
    assert_memory_equal(read.chain, said.chain, sizeof chain);
    for (size_t i = 0; i < AUDIT_HEAD_LEN; i++)
        assert_int_not_equal(audit_head_read(word, i, &read), ERR_OK);
    assert_int_not_equal(audit_head_read(word, sizeof word, &read), ERR_OK);
    word[3] = 2;
    assert_int_equal(audit_head_read(word, AUDIT_HEAD_LEN, &read), ERR_VERSION);
    assert_int_equal(audit_head_chain(word, AUDIT_HEAD_LEN, chain), ERR_VERSION);
}

#define AUDIT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_TEST(another_vault_waits_its_turn),
        AUDIT_TEST(a_known_one_is_back_at_once),
        AUDIT_TEST(a_log_begun_anew),
        AUDIT_TEST(four_vaults_and_no_more),
        AUDIT_TEST(who_says_nothing_is_taken_as_before),
        AUDIT_TEST(chain_of_a_word),
    };
    return cmocka_run_group_tests_name("sync_audit", tests, NULL, NULL);
}
