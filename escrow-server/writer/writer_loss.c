/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A record that comes again with a receipt of ours, and that the store does not have, was lost by the store:
 * the receipt is the proof, signed by ourselves. Only what is never deleted counts. */
#include "escrow-server/writer/writer.h"
#include "formats/receipt.h"
#include <string.h>

bool writer_receipt_key(const struct writer_state *w, unsigned i, struct cr_p256_pub *ret)
{
    if (i == 0)
        return cr_p256_public(w->receipt_key, ret) == ERR_OK;
    return org_receipt_key(&w->org, i - 1, ret) == ERR_OK;
}

static bool verifies(const struct writer_state *w, const struct msg_blob *b, struct receipt *ret)
{
    struct cr_p256_pub pub;
    for (unsigned i = 0; i <= w->org.n_receipt; i++)
        if (writer_receipt_key(w, i, &pub) && receipt_decode(b->p, b->len, &pub, ret) == ERR_OK)
            return true;
    return false;
}

void writer_take_proofs(const struct writer_state *w, struct pending *p, const struct msg_sync *m)
{
    p->n_proofs = 0;
    for (unsigned i = 0; i < m->n_proofs && m->n > 0; i++) {
        struct receipt r;
        if (verifies(w, &m->proof[i], &r) && guid_equal(&r.org, &w->org.id) &&
            memcmp(r.device, m->device, sizeof r.device) == 0)
            p->proof[p->n_proofs++] = m->proof[i];
    }
}

/* The names of a receipt that was verified stand in a row behind its header. */
bool writer_was_receipted(const struct writer_state *w, const struct pending *p, const struct store_record *r)
{
    (void)w;
    for (unsigned i = 0; i < p->n_proofs; i++) {
        const struct receipt seen = {.n = (unsigned)((p->proof[i].len - RECEIPT_HEADER - CR_P256_SIG) / 32),
                                     .names = p->proof[i].p + RECEIPT_HEADER};
        if (receipt_covers(&seen, r->name))
            return true;
    }
    return false;
}
