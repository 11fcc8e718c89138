#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vault, web worker and writer say of gaps in the audit log that devices proved. */

#include "escrow-server/process/msg_body.h"

#define MSG_LOSSES_MAX 16

/* Entries that the vault's log had and has not: a device proved it. Entry n is the alarm that says so. Its
 * number means something in this log only: one that was replaced or put back has it a second time, and so has
 * another server's. So what is ordered for a loss carries the mark: made of the alarm's hash, MSG_LOSS_MARK
 * or more and less than 2^63; below that are the numbers that servers of before wrote. */
#define MSG_LOSS_MARK (UINT64_C(1) << 62)

struct msg_loss {
    uint64_t n, proved; /* proved: when */
    uint64_t mark;
    uint64_t lost, have;
    uint64_t from, to;     /* time of the last entry before the gap; of the head that proves it */
    uint64_t until;        /* when the gap was over: later, nothing was lost */
    uint64_t acknowledged; /* entry with a person's word on it; 0: none */
    bool stopped;          /* its keys are not to rotate any more */
    uint64_t rotate_from, rotate_until; /* which keys do: from and until, or what a person narrowed it to */
};

struct msg_losses {
    unsigned n;
    struct msg_loss item[MSG_LOSSES_MAX];
};

/* Orders of a loss that its stop took back. */
struct msg_taken_back {
    uint64_t n;
    uint64_t gone;  /* of them: the device may have it already */
    uint64_t alien; /* where there are no more: orders that wait for losses which our log does not have */
    bool more;
};

enum loss_word { LOSS_ACKNOWLEDGE = 1, LOSS_STOP, LOSS_NARROW };

struct msg_loss_word {
    char who[MSG_NAME + 1];
    struct msg_blob password;
    char code[MSG_CODE + 1];
    char reason[MSG_REASON + 1];
    uint8_t word;         /* enum loss_word */
    uint64_t n;           /* the loss, by its alarm's entry */
    uint64_t from, until; /* of LOSS_NARROW; 0: as it was proved */
};

/* err of every get: TRUNCATED, FORMAT, RANGE */
void msg_put_losses(struct writer *w, const struct msg_losses *m);
MUST_CHECK enum err msg_get_losses(const uint8_t *p, size_t len, struct msg_losses *ret);
void msg_put_taken_back(struct writer *w, const struct msg_taken_back *m);
MUST_CHECK enum err msg_get_taken_back(const uint8_t *p, size_t len, struct msg_taken_back *ret);
void msg_put_loss_word(struct writer *w, const struct msg_loss_word *m);
MUST_CHECK enum err msg_get_loss_word(const uint8_t *p, size_t len, struct msg_loss_word *ret);
