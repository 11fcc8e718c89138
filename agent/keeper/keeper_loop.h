#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside agent/keeper/keeper*.c only: one turn of the keeper's loop. */

#include "agent/keeper/keeper.h"

/* Answer messages until a signal asks to stop; nothing is ever half done then. err: what made waiting fail */
MUST_CHECK enum err keeper_serve(struct keeper *k);

/* Commands that are connected (keeper_clients.c). */
void clients_accept(struct keeper *k);
/* What poll() said of client i. */
void clients_events(struct keeper *k, int i, short revents);
/* The courier is there, and asks for a batch at once: nobody needs to wake it. */
void clients_courier_came(struct keeper *k);
/* Answer whoever waited too long. */
void clients_close_late(struct keeper *k);
/* Until the first of them has waited too long; -1: nobody waits. */
int64_t clients_wait_ms(const struct keeper *k, int64_t now_ms);
