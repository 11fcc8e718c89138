/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes (given as base32, other characters dropped) as what a person carries: outbox and answer. */
#include "formats/base.h"
#include "formats/outbox_answer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/outbox_vectors.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {VECTOR_OUTBOX_TEXT, VECTOR_OUTBOX_ANSWER_TEXT, VECTOR_OUTBOX_1_TEXT,
                                  VECTOR_OUTBOX_ANSWER_1_TEXT, NULL};
const char *const fuzz_words[] = {"AAAAAAAA", "77777777", "IAAA", "JNEFQ", "JNEFS", "AEAAAAAA", NULL};

static void require(int good)
{
    if (!good)
        abort();
}

static void use(const uint8_t *in, size_t len)
{
    static uint8_t out[OUTBOX_MAX];
    struct outbox o = {.n = 0};
    struct outbox_answer a = {.time = 0};
    size_t n = 0;
    /* nobody signs what a fuzzer makes, unless it made nothing new */
    if (outbox_decode(in, len, &o) == ERR_OK)
        require(o.n <= OUTBOX_RECORDS && outbox_encode_unsigned(&o, out, &n) == ERR_OK && n + 64 == len);
    if (outbox_answer_decode(in, len, &a) == ERR_OK)
        require(outbox_answer_encode(&a, out, &n) == ERR_OK && n == len && memcmp(in, out, n) == 0);
    if (outbox_length(in, len, &n) == ERR_OK)
        require(n <= OUTBOX_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t bytes[16384];
    char *digits = malloc(len + 1);
    size_t n_digits = 0, n = 0;
    require(digits != NULL);
    for (size_t i = 0; i < len; i++)
        if ((data[i] >= 'A' && data[i] <= 'Z') || (data[i] >= '2' && data[i] <= '7'))
            digits[n_digits++] = (char)data[i];
    while (base32_decode(digits, n_digits, bytes, sizeof bytes, &n) == ERR_FORMAT)
        n_digits--;
    free(digits);
    uint8_t *exact = malloc(n + 1);
    require(exact != NULL);
    memcpy(exact, bytes, n);
    use(exact, n);
    free(exact);
    return 0;
}
