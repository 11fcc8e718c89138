/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a stream of HTTP: in whatever pieces they come, the verdict is one. */
#include "escrow-server/web/http_guard.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>

const char *const fuzz_seeds[] = {
    "POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n", NULL};
const char *const fuzz_words[] = {"Transfer-Encoding: chunked\r\n",
                                  "Content-Length: ",
                                  "\r\n ",
                                  "HTTP/1.1\r\n",
                                  "Host: ",
                                  "\r\n\r\n",
                                  NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http_guard whole, pieces;
    http_guard_init(&whole);
    http_guard_init(&pieces);
    const struct http_refusal *a = http_guard_feed(&whole, data, len), *b = NULL;
    for (size_t i = 0; i < len && b == NULL; i++)
        b = http_guard_feed(&pieces, data + i, 1);
    if (a != b || (a != NULL && (a->status < 400 || a->status > 499)))
        abort();
    if (a == NULL && (whole.body > HTTP_GUARD_BODY || whole.n_head > HTTP_GUARD_HEAD))
        abort();
    return 0;
}
