/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as the body of an enrolment; what is taken passes to the writer and back unchanged. */
#include "escrow-server/web/enroll_read.h"
#include "formats/host/json_strict.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* a public key of P-256: the curve's generator */
#define SPKI                                                                                                 \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/"                  \
    "hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="
#define SIGNATURE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
const char *const fuzz_seeds[] = {"{\"token\":\"abcdefgh\",\"device_spki\":\"" SPKI
                                  "\",\"courier_csr\":\"-----BEGIN\",\"computer\":\"pc-1\","
                                  "\"time\":1780000000,\"signature\":\"" SIGNATURE "\"}",
                                  NULL};
const char *const fuzz_words[] = {
    "\"token\":\"", "\\u0000", "\\ud83d\\ude00", "\"time\":-1", "====", "[[[[", NULL};

static unsigned n_taken;

static void check(const struct msg_enroll *m, const uint8_t device[32])
{
    static const uint8_t zero[32];
    static uint8_t body[MSG_STORE_MAX];
    struct msg_enroll back;
    struct writer w;
    size_t len;
    writer_init(&w, body, sizeof body);
    msg_put_enroll(&w, m);
    if (writer_end(&w, &len) != ERR_OK || msg_get_enroll(body, len, &back) != ERR_OK ||
        strcmp(back.computer, m->computer) != 0 || memcmp(back.spki, m->spki, sizeof m->spki) != 0 ||
        back.csr.len != m->csr.len || back.time != m->time || memcmp(device, zero, 32) == 0)
        abort();
    n_taken++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct json_object *o = NULL;
    struct msg_enroll m;
    uint8_t device[32] = {0};
    bool first = n_taken == 0;
    if (json_strict_parse((const char *)data, len, &o) == ERR_OK && enroll_read(o, &m, device) == ERR_OK)
        check(&m, device);
    json_object_put(o);
    /* the driver begins with a seed as it is: where that is refused, nothing behind it is looked at */
    if (first && n_taken == 0 && len == strlen(fuzz_seeds[0]) && memcmp(data, fuzz_seeds[0], len) == 0)
        abort();
    return 0;
}
