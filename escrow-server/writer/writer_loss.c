/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A record that comes again with a receipt of ours, and that the store does not have, was lost by the store:
 * the receipt is the proof, signed by ourselves. Only what is never deleted counts. */
#include "escrow-server/writer/writer.h"
#include "formats/receipt.h"
#include <string.h>

static bool verifies(const struct writer_state *w, const struct msg_blob *b, struct receipt *ret)
{
    struct cr_p256_pub pub;
    if (cr_p256_public(w->receipt_key, &pub) == ERR_OK && receipt_decode(b->p, b->len, &pub, ret) == ERR_OK)
        return true;
    for (unsigned i = 0; i < w->org.n_receipt; i++)
        if (cr_p256_from_spki(w->org.receipt[i].spki, sizeof w->org.receipt[i].spki, &pub) == ERR_OK &&
            receipt_decode(b->p, b->len, &pub, ret) == ERR_OK)
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
