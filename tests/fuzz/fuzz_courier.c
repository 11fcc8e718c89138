/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any text as what a server answers, and as agent.conf. */
#include "agent/courier/errand.h"
#include "agent/state/conf.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

#define BEGIN "\"0011223344556677\""
#define HASH  "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\""
const char *const fuzz_seeds[] = {
    "{\"receipts\":[\"S0hDAQ==\"],\"commands\":[],\"known\":{\"incarnation\":" BEGIN
    ",\"sequence\":7,\"name\":" BEGIN "},\"audit_head\":{\"length\":3,\"hash\":" HASH
    "},\"envelopes_match\":false,"
    "\"retry_after\":5400,\"time\":1800000000,\"want_set\":true,\"envelopes\":" BEGIN "}",
    "{\"receipts\":[],\"commands\":[],\"known\":null,\"audit_head\":null,\"envelopes_match\":true,\"retry_"
    "after\":1,"
    "\"missing\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"certificate\":\"-----BEGIN\\n\"}",
    "{\"device\":" HASH ",\"certificate\":\"-----BEGIN CERTIFICATE-----\\n\"}",
    "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\"detail\":\"The token \\u0007 has "
    "expired.\"}",
    "# the way out\nproxy = http://user:pass@proxy.example.org:3128\nno_proxy = a.example, 10.0.0.0/8\n",
    NULL};
const char *const fuzz_words[] = {"\"missing\":\"",       "null",    "[[[[", "\\u0000",
                                  "18446744073709551615", "proxy =", "\n",   NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct msg m;
    uint8_t *arena = NULL, *frame;
    char *certificate, problem[64];
    struct conf conf;
    unsigned line = 0;
    size_t n;
    if (errand_sync_answer((const char *)data, len, &m, &arena) == ERR_OK) {
        /* what was taken can be handed to the keeper, and lies in the arena to its last byte */
        if (m.sync_answer.missing.len % 32 || msg_encode(&m, &frame, &n) != ERR_OK)
            abort();
        free(frame);
        free(arena);
    }
    if (errand_enroll_answer((const char *)data, len, &certificate) == ERR_OK)
        free(certificate);
    errand_problem((const char *)data, len, problem, sizeof problem);
    if (strlen(problem) >= sizeof problem)
        abort();
    if (conf_decode((const char *)data, len, &conf, &line) != ERR_OK && line == 0)
        abort();
    return 0;
}
