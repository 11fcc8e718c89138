/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_checkpoint.h"
#include "formats/base.h"
#include <string.h>

static enum err word_of(const struct audit_entry *e, uint8_t ret[static AUDIT_HEAD_LEN])
{
    size_t len;
    if (base64_decode(e->note, strlen(e->note), ret, AUDIT_HEAD_LEN, &len) != ERR_OK)
        return ERR_FORMAT;
    return len == AUDIT_HEAD_LEN ? ERR_OK : ERR_FORMAT;
}

enum err audit_checkpoint_read(const struct audit_entry *e, struct audit_head_word *ret)
{
    struct audit_head_word w;
    uint8_t word[AUDIT_HEAD_LEN];
    char chain[BASE16_LEN(16) + 1], prev[BASE16_LEN(32) + 1];
    TRY(word_of(e, word));
    if (audit_head_read(word, sizeof word, &w) != ERR_OK)
        return ERR_FORMAT;
    base16_encode(w.chain, sizeof w.chain, chain);
    base16_encode(w.hash, sizeof w.hash, prev);
    if (w.n + 1 != e->n || strcmp(chain, e->chain) != 0 || strcmp(prev, e->prev) != 0)
        return ERR_AUTH;
    *ret = w;
    return ERR_OK;
}

enum err audit_checkpoint_verify(const struct audit_entry *e, const struct cr_p256_pub *pub)
{
    struct audit_head_word w;
    uint8_t word[AUDIT_HEAD_LEN];
    TRY(word_of(e, word));
    return audit_head_decode(word, sizeof word, pub, &w);
}
