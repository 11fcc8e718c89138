/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many records go in one turn to a database that is worth turns (store.h, room). A turn that is not over
 * in time is cancelled (store_pg.h, PG_WAIT_MS), and each request is then stored by itself. */
#include "escrow-server/writer/writer.h"

#define TURN_MS 2000

unsigned writer_turn(const struct writer_state *w, enum store_half half)
{
    return w->turn[half] > 0 ? w->turn[half] : WRITER_TURN_FIRST;
}

unsigned writer_turn_next(unsigned size, unsigned n, int64_t took_ms, bool failed)
{
    uint64_t fits = took_ms > 0 ? (uint64_t)n * TURN_MS / (uint64_t)took_ms : WRITER_TURN_MAX;
    uint64_t most = failed ? size : 2 * size; /* what follows a failure is skipped, and takes no time */
    if (most > WRITER_TURN_MAX)
        most = WRITER_TURN_MAX;
    return (unsigned)(fits > most ? most : fits == 0 ? 1 : fits);
}

void writer_turned(struct writer_state *w, enum store_half half, unsigned n, int64_t from_ms, enum err e)
{
    if (n > 0)
        w->turn[half] = writer_turn_next(writer_turn(w, half), n, writer_now_ms() - from_ms, e != ERR_OK);
}
