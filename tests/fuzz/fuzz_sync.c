/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as the body of a sync; what is taken keeps its bounds, and passes to the writer and back
 * unchanged. */
#include "escrow-server/web/sync_read.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

#define HEX8  "0011223344556677"
#define HEX32 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
const char *const fuzz_seeds[] = {
    "{\"device\":\"" HEX8 "\",\"records\":[\"AAAA\",\"BBBBBBBB\"],\"envelopes\":\"" HEX8
    "\",\"audit_head\":\"" HEX32 "\",\"set\":\"AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8=\",\"last\":"
    "\"0011223344556677\",\"attempt\":7,\"policy\":3,\"proofs\":[\"CCCC\"]}",
    "{\"device\":\"" HEX8 "\",\"envelopes\":\"" HEX8 "\"}", NULL};
const char *const fuzz_words[] = {
    "\"proofs\":[", "\"attempt\":4294967296", "\"device_spki\":\"", "\\u0000", "[[[[", NULL};

static void check(const struct sync *s)
{
    static uint8_t body[MSG_STORE_MAX];
    static struct msg_sync back;
    struct writer w;
    size_t len;
    if (s->m.n > MSG_RECORDS || s->m.n_proofs > MSG_PROOFS || s->m.set.len > 32 * MSG_SET ||
        s->m.set.len % 32 != 0)
        abort();
    for (unsigned i = 0; i < s->m.n; i++)
        if (s->m.record[i].len > RECORD_MAX)
            abort();
    for (unsigned i = 0; i < s->m.n_proofs; i++)
        if (s->m.proof[i].len > RECEIPT_MAX)
            abort();
    writer_init(&w, body, sizeof body);
    msg_put_sync(&w, &s->m);
    if (writer_end(&w, &len) != ERR_OK || msg_get_sync(body, len, &back) != ERR_OK || back.n != s->m.n ||
        back.attempt != s->m.attempt || memcmp(back.device, s->m.device, 32) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *exact = malloc(len + 1); /* zero-terminated, as the web worker has it */
    struct sync *s = calloc(1, sizeof *s);
    if (exact == NULL || s == NULL)
        abort();
    memcpy(exact, data, len);
    exact[len] = 0;
    enum err e = sync_read(exact, len, s);
    if (e == ERR_OK)
        check(s);
    else if (s->detail[0] == 0)
        abort(); /* no sentence */
    sync_free(s);
    free(exact);
    return 0;
}
