/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any text to the readers of text, and as base32 (other characters dropped) to the readers of bytes. */
#include "crypto/p256.h"
#include "formats/audit_head.h"
#include "formats/command.h"
#include "formats/handoff.h"
#include "formats/host/audit_chain.h"
#include "formats/host/json_strict.h"
#include "formats/qr_text.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include "formats/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/formats_vectors.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {
    VECTOR_ENVELOPE_TEXT,
    VECTOR_EVENT_TEXT,
    VECTOR_RECEIPT_TEXT,
    VECTOR_COMMAND_TEXT,
    VECTOR_AUDIT_HEAD_TEXT,
    "HTTPS://KEYS.EXAMPLE.ORG/R/" VECTOR_ENVELOPE_TEXT,
    "042647-302313-590458-071500-554323-116567-412181-516978",
    "{3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c}",
    "gr\xc3\xb6\xc3\x9f \xf0\x9f\x94\x91",
    "{\"n\":1,\"time\":2,\"chain\":\"00112233445566778899aabbccddeeff\",\"role\":\"\",\"action\":\"x\","
    "\"key_id\":\"\",\"volume\":\"\",\"device\":\"\",\"note\":\"\",\"personal\":"
    "\"614b6093e81ec33883d660753ada3ccc8a8d6237d036d3beb7f6f4f6dd33ee05\",\"prev\":"
    "\"0000000000000000000000000000000000000000000000000000000000000000\"}\t{\"salt\":"
    "\"000102030405060708090a0b0c0d0e0f\",\"who\":\"Ada\",\"reason\":\"r\",\"detail\":\"\"}\n",
    NULL};
const char *const fuzz_words[] = {"AAAAAAAA", "77777777", "/R/", "\\u0000", "\"n\":1,", "[[[[[[[[[[[[[[[[[",
                                  "720885",   "\xe2\x82", "\n",  "==",      NULL};

static void require(int good)
{
    if (!good)
        abort();
}

/* What a decoder lends out lies within the input. */
static void read_signed(const uint8_t *in, size_t len)
{
    static const struct cr_p256_pub nobody = {{4}};
    struct record record;
    struct receipt receipt;
    struct command command;
    struct audit_head_word head;
    if (record_decode(in, len, &record) == ERR_OK)
        require(record.envelope_len + record.report_len < len &&
                text_is_printable(record.label, strlen(record.label)));
    require(record_verify(in, len, &nobody) != ERR_OK);
    require(receipt_decode(in, len, &nobody, &receipt) != ERR_OK);
    require(command_decode(in, len, &nobody, &command) != ERR_OK);
    require(audit_head_decode(in, len, &nobody, &head) != ERR_OK);
}

static void read_unsigned(const uint8_t *in, size_t len)
{
    struct envelope envelope;
    struct handoff_reason reason;
    struct boot_event event;
    struct guid volume, key_id;
    SECRET(password);
    require(envelope_decode(in, len, &envelope) != ERR_OK || len == ENVELOPE_LEN(envelope.n_recipients));
    require(handoff_reason_decode(in, len, &reason) != ERR_OK || len == HANDOFF_REASON_LEN);
    require(boot_event_decode(in, len, &event) != ERR_OK || len == HANDOFF_EVENT_LEN);
    require(handoff_join(in, len, in, len, &volume, &key_id, &password) != ERR_OK); /* pad and share in one */
}

static void read_text(const char *text, size_t len)
{
    uint8_t bytes[ENVELOPE_MAX];
    char clean[64];
    size_t n = 0;
    unsigned group = 0;
    struct guid guid;
    struct audit_head head = {0};
    struct json_object *object = NULL;
    SECRET(password);
    text_clean(text, len, clean, sizeof clean);
    require(text_is_printable(clean, strlen(clean)));
    require(rp_decode_file(text, len, &password, &group) != ERR_OK || password.len == RP_BYTES);
    require(guid_decode(text, len, &guid) != ERR_OK || len >= GUID_TEXT - 1);
    require(qr_text_decode(text, len, bytes, sizeof bytes, &n) != ERR_OK || n > 0);
    require(base64_decode(text, len, bytes, sizeof bytes, &n) != ERR_OK || BASE64_LEN(n) == len);
    require(audit_check_line(&head, text, len, NULL) != ERR_OK || head.n == 1);
    require(json_strict_parse(text, len, &object) != ERR_OK || json_object_is_type(object, json_type_object));
    json_object_put(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t bytes[16384];
    char *digits = malloc(len + 1);
    size_t n_digits = 0, n = 0;
    require(digits != NULL);
    read_text((const char *)data, len);
    for (size_t i = 0; i < len; i++)
        if ((data[i] >= 'A' && data[i] <= 'Z') || (data[i] >= '2' && data[i] <= '7'))
            digits[n_digits++] = (char)data[i];
    /* the spare bits of a last character are no reason to learn nothing */
    while (base32_decode(digits, n_digits, bytes, sizeof bytes, &n) == ERR_FORMAT)
        n_digits--;
    free(digits);
    uint8_t *exact = malloc(n + 1);
    require(exact != NULL);
    memcpy(exact, bytes, n);
    read_signed(exact, n);
    read_unsigned(exact, n);
    free(exact);
    return 0;
}
