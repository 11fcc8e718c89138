/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/host/monotonic.h"
#include "escrow-server/web/web.h"
#include <stdlib.h>
#include <string.h>

/* Most devices have the newest head, or one of the last few; each other one is asked for once, and so
 * is each word on it. A sync does not wait for it: what the vault says late counts the next time. */

struct asked {
    struct web *w;
    uint8_t hash[32], word[8];
};

static struct web_head *place_of(struct web *w, const uint8_t hash[static 32])
{
    return &w->heads[hash[0] % WEB_HEADS];
}

/* ret: zeros for no word */
static void tag_of(struct msg_blob word, uint8_t ret[static 8])
{
    uint8_t hash[CR_SHA256_SIZE] = {0};
    if (word.len > 0 && cr_sha256(word.p, word.len, hash) != ERR_OK)
        memset(hash, 0, sizeof hash); /* it is judged once more */
    memcpy(ret, hash, 8);
}

static void on_heard(void *ctx, enum err e, const struct msg_frame *m)
{
    struct asked *a = ctx;
    uint64_t is = 0;
    if (e == ERR_OK)
        e = msg_get_u64(m->body, m->len, &is);
    if (e == ERR_OK && is >= HEARD_KNOWN && is <= HEARD_ELSEWHERE) {
        struct web_head *h = place_of(a->w, a->hash);
        memcpy(h->hash, a->hash, sizeof h->hash);
        memcpy(h->word, a->word, sizeof h->word);
        h->said_ms = monotonic_ms();
        h->is = (uint8_t)is;
    }
    free(a);
}

static void ask(struct web *w, const uint8_t device[static 32], const uint8_t hash[static 32],
                struct msg_blob word)
{
    uint64_t id;
    struct msg_heard h = {.word = word};
    struct asked *a = calloc(1, sizeof *a);
    if (a == NULL)
        return;
    a->w = w;
    memcpy(a->hash, hash, sizeof a->hash);
    tag_of(word, a->word);
    struct writer *body = back_begin(w, BACK_VAULT, MSG_HEARD, on_heard, a, &id);
    if (body == NULL)
        return free(a);
    memcpy(h.device, device, sizeof h.device);
    memcpy(h.hash, hash, sizeof h.hash);
    msg_put_heard(body, &h);
    back_send(w, BACK_VAULT);
}

unsigned web_heads_get(struct web *w, const uint8_t hash[static 32])
{
    const struct web_head *h = place_of(w, hash);
    if (w->head.n > 0 && memcmp(hash, w->head.hash, 32) == 0)
        return HEARD_KNOWN;
    if (h->is == 0 || memcmp(h->hash, hash, 32) != 0)
        return 0;
    bool doubted = h->is == HEARD_ELSEWHERE && monotonic_ms() - h->said_ms > WEB_HEADS_DOUBT_MS;
    return doubted ? HEARD_UNKNOWN : h->is;
}

void web_heads_take(struct web *w, const uint8_t device[static 32], const uint8_t hash[static 32],
                    struct msg_blob word)
{
    uint8_t tag[8];
    unsigned is = web_heads_get(w, hash);
    tag_of(word, tag);
    bool is_news = is != HEARD_KNOWN && word.len > 0 && memcmp(place_of(w, hash)->word, tag, sizeof tag) != 0;
    if (is == 0 || is_news)
        ask(w, device, hash, word);
}
