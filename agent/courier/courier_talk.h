#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What keeper and courier say to each other, and what an errand brings for it; courier.c has the loop around
 * it. */

#include "agent/courier/courier.h"

struct courier {
    const char *root;
    struct courier_schedule schedule;
    struct courier_servers servers;
    struct courier_child child;
    struct channel keeper;
    char socket[PATH_MAX];
    int netlink;                                  /* -1: none; the timer does without */
    uint16_t wanted;                              /* enum msg_type of what the errand under way is to bring */
    bool asked;                                   /* BATCH_WANTED is out and not settled yet */
    bool person;                                  /* for a person who waits */
    enum { AGAIN_NO, AGAIN, AGAIN_PERSON } again; /* SYNC_NOW came while an errand was under way */
    bool full;                                    /* the batch that is out holds all that one can */
    int64_t answered_ms;                          /* of the last answer; 0 when the keeper has spoken since */
};

/* Random enough for jitter. */
uint32_t courier_dice(void);
/* Ask the keeper what is to be sent. err: of the connection */
MUST_CHECK enum err courier_want_batch(struct courier *c);
/* What the keeper hears when an errand brought nothing. problem: a sentence's beginning
 * err: of the connection; IO: the keeper cannot go on without, and the connection begins anew */
MUST_CHECK enum err courier_give_up(struct courier *c, const char *problem);
/* Read what the keeper said, and do it. err: FORMAT, or of the connection: it is to end */
MUST_CHECK enum err courier_hear_keeper(struct courier *c);
/* What an errand says: how each server did, then its answer, which the keeper gets. err: of the connection */
MUST_CHECK enum err courier_hear_child(struct courier *c);
