#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One computer with a protected volume (fake_keeper.h) and one server (fake_server.h), and what the keeper,
 * the courier and an errand do between them. */

#include "agent/sync/sync.h"
#include "tests/unit/fake_keeper.h"
#include "tests/unit/fake_server.h"

extern struct protect_result exchange_made; /* the volume's key */
extern struct sync_outcome exchange_out;    /* of the last answer that was taken in */
extern unsigned exchange_told;              /* servers whose doing was told to the courier */
extern unsigned exchange_servers;           /* how many of the organisation's two there are: 1 */

int exchange_setup(void **state);
int exchange_teardown(void **state);
/* Records in the outbox. */
unsigned exchange_waiting(void);
/* One sync; its answer is taken in so many times. Returns its status (enum msg_status) */
uint32_t exchange_sync(unsigned times_applied);
/* Until nothing is left to be said; as the courier, which comes again at once while there is more. Fails
 * after so many rounds, and when a record or an answer is not as it should be. */
void exchange_converge(unsigned rounds);
/* Every envelope that this computer ever made is on the server. */
void exchange_expect_all(void);
