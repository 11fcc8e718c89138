/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/exchange.h"
#include "agent/report/report.h"
#include "agent/sync/enrollment.h"
#include "tests/unit/fake_tpm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* No reports here, and no certificates: the courier has them. */
enum err report_order(struct agent *a, const struct guid *order, bool *ret_new)
{
    (void)a;
    (void)order;
    (void)ret_new;
    return ERR_OK;
}

enum err enrollment_certificate_check(struct agent *a, struct msg_span pem)
{
    (void)a;
    (void)pem;
    return ERR_AUTH;
}

struct protect_result exchange_made;
struct sync_outcome exchange_out;
unsigned exchange_told, exchange_servers = 1; /* servers whose doing was told to the courier */

int exchange_setup(void **state)
{
    (void)state;
    fake_tpm_reset(1);
    fake_disk_make();
    fake_keeper_forget();
    fake_keeper_start(false);
    fake_server_reset(&fake_agent.key.pub);
    assert_int_equal(fake_protect(&exchange_made), ERR_OK);
    return 0;
}

int exchange_teardown(void **state)
{
    (void)state;
    fake_server_lose();
    fake_keeper_stop();
    fake_disk_free();
    return 0;
}

unsigned exchange_waiting(void)
{
    unsigned n;
    assert_int_equal(cache_outbox_count(fake_agent.cache, fake_agent.key.id, &n), ERR_OK);
    return n;
}

static void said(void *ctx, struct msg_span server, uint32_t status, uint64_t retry_after_s)
{
    (void)ctx;
    (void)server;
    (void)status;
    (void)retry_after_s;
    exchange_told++;
}

/* What the errand does with a batch. ret: its answer; arena: to be freed */
static void carry(const struct msg *batch, struct errand_answer *ret, struct msg *ret_answer, uint8_t **arena)
{
    char *json;
    assert_int_equal(errand_sync_request(batch, &json), ERR_OK);
    const struct errand_request q = {.servers = &batch->sync_batch.servers,
                                     .proxy = batch->sync_batch.proxy,
                                     .no_proxy = batch->sync_batch.no_proxy,
                                     .path = "/v1/sync",
                                     .json = json,
                                     .patience_ms = 1,
                                     .said = said};
    errand_post(&q, ret);
    free(json);
    if (ret->status == MSG_DONE && errand_sync_answer(ret->body, ret->body_len, ret_answer, arena) != ERR_OK)
        ret->status = MSG_REFUSED;
    free(ret->body);
}

/* One sync. ret: its status; out is filled when it is MSG_DONE */
uint32_t exchange_sync(unsigned times_applied)
{
    struct sync_batch *b = malloc(sizeof *b);
    struct msg *batch = malloc(sizeof *batch), *answer = calloc(1, sizeof *answer);
    struct errand_answer a;
    uint8_t *arena = NULL;
    assert_true(b && batch && answer);
    assert_int_equal(sync_batch_make(&fake_agent, fake_agent.key.id, b, batch), ERR_OK);
    if (batch->sync_batch.servers.n > exchange_servers)
        batch->sync_batch.servers.n = exchange_servers;
    carry(batch, &a, answer, &arena);
    sync_batch_wipe(b);
    for (unsigned i = 0; a.status == MSG_DONE && i < times_applied; i++)
        assert_int_equal(sync_apply(&fake_agent, answer, &exchange_out), ERR_OK);
    free(arena);
    free(answer);
    free(batch);
    free(b);
    return a.status;
}

/* Until nothing is left to be said; as the courier, which comes again at once while there is more. */
void exchange_converge(unsigned rounds)
{
    unsigned n = 0;
    do {
        if (++n > rounds)
            fail_msg("not done after %u rounds: %u records wait", rounds, exchange_waiting());
        assert_int_equal(exchange_sync(1), MSG_DONE);
    } while (exchange_out.more || exchange_out.waiting);
    assert_int_equal(exchange_waiting(), 0);
    assert_int_equal(fake_server.bad, 0);
    assert_int_equal(exchange_out.refused, 0);
}

/* Every envelope that this computer ever made is on the server. */
void exchange_expect_all(void)
{
    struct guid id = {{0}};
    uint8_t p[ENVELOPE_MAX];
    size_t len;
    while (cache_next_envelope(fake_agent.cache, &id, p, &len) == ERR_OK)
        assert_true(fake_server_has(p, len));
}
