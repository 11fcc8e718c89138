/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/verify_receipts.h"
#include "crypto/host/file.h"
#include "escrow-server/state.h"
#include "formats/names.h"
#include "formats/outbox_answer.h"
#include <stdlib.h>

#define FILE_MAX (64u << 20)

static enum err check_all(struct store_check *c, const struct outbox_bytes *receipt, unsigned n,
                          const char *path)
{
    for (unsigned i = 0; i < n; i++) {
        enum err e = store_check_receipt(c, receipt[i].p, receipt[i].len);
        if (e == ERR_AUTH) {
            c->say("a receipt that no receipt key of this organisation signed", path);
            c->n_wrong++;
        } else
            TRY(e);
    }
    return ERR_OK;
}

/* What begins here, an answer or an outbox. ret_bad: it is neither, or not whole */
static enum err check_one(struct store_check *c, const uint8_t *p, size_t len, const char *path,
                          size_t *ret_len, bool *ret_bad)
{
    static struct outbox_answer answer;
    static struct outbox outbox;
    *ret_bad = false;
    if (outbox_answer_length(p, len, ret_len) == ERR_OK && *ret_len <= len &&
        outbox_answer_decode(p, *ret_len, &answer) == ERR_OK)
        return check_all(c, answer.receipt, answer.n_receipts, path);
    if (outbox_length(p, len, ret_len) == ERR_OK && *ret_len <= len &&
        outbox_decode(p, *ret_len, &outbox) == ERR_OK)
        return check_all(c, outbox.proof, outbox.n_proofs, path);
    *ret_bad = true;
    return ERR_OK;
}

int verify_receipts(struct store_check *c, const char *path)
{
    uint8_t *p = NULL;
    size_t len = 0, n = 0;
    bool bad = false;
    enum err e = file_read(path, FILE_MAX, &p, &len);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, path, err_text(e));
    bad = len == 0;
    for (size_t off = 0; e == ERR_OK && !bad && off < len; off += n)
        e = check_one(c, p + off, len - off, path, &n, &bad);
    free(p);
    if (bad)
        return state_complain(KH_EXIT_NO, path, "neither an outbox nor an answer to one, or not whole");
    if (e != ERR_OK)
        return state_complain(e == ERR_OFFLINE ? KH_EXIT_QUEUED : KH_EXIT_FAILED, "verify",
                              state_store_text(e));
    return KH_EXIT_OK;
}
