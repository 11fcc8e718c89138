/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the probe says of a device, on its way to the keeper; and the header of LUKS1. */
#include "agent/device/probed.h"
#include "formats/luks1.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void fill(struct probed *p)
{
    memset(p, 0, sizeof *p);
    strcpy(p->type, "crypto_LUKS");
    strcpy(p->usage, "crypto");
    strcpy(p->version, "2");
    strcpy(p->label, "Büro");
    strcpy(p->table, "gpt");
    strcpy(p->cipher, "aes-xts-plain64");
    strcpy(p->problem, "a sentence");
    p->key_bits = 512;
    p->room = 4000;
    p->slots = 3;
    p->slots_max = 32;
    p->ours = p->damaged = p->has_volume_id = true;
    memset(p->volume_id.bytes, 0x5a, 16);
    p->n_parts = 2;
    p->part[0] = (struct probed_part){1, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"};
    p->part[1] = (struct probed_part){128, "0x83"};
    probed_add_slots(p, PROTECTOR_PASSPHRASE, 1);
    probed_add_slots(p, PROTECTOR_TPM, 1);
    probed_add_slots(p, PROTECTOR_PASSPHRASE, 1);
    p->protector[p->n_protectors++] = (struct probed_protector){PROTECTOR_RECOVERY, 1, true, {{9}}};
}

static void test_round_trip(void **state)
{
    (void)state;
    static struct probed p, back;
    fill(&p);
    assert_int_equal(p.n_protectors, 3);
    assert_int_equal(p.protector[0].n, 2);
    struct json_object *o = probed_encode(&p);
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    assert_int_equal(probed_decode(text, strlen(text), &back), ERR_OK);
    assert_memory_equal(&p, &back, sizeof p);
    for (size_t n = 0; n < strlen(text); n++)
        assert_int_equal(probed_decode(text, n, &back), ERR_FORMAT);
    json_object_put(o);
}

#define LISTS "\"parts\":[],\"protectors\":[]"
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *json;
        enum err err;
    } rows[] = {
        {"the least", "{\"err\":0," LISTS "}", ERR_OK},
        {"no lists", "{\"err\":0}", ERR_NOT_FOUND},
        {"an error of tomorrow", "{\"err\":200," LISTS "}", ERR_RANGE},
        {"a text as a number", "{\"type\":1," LISTS "}", ERR_FORMAT},
        {"a type too long", "{\"type\":\"0123456789012345678901234567890123456789\"," LISTS "}", ERR_RANGE},
        {"a flag of 2", "{\"ours\":2," LISTS "}", ERR_RANGE},
        {"no GUID", "{\"volume_id\":\"x\"," LISTS "}", ERR_FORMAT},
        {"a kind of tomorrow", "{\"parts\":[],\"protectors\":[{\"kind\":16,\"n\":1}]}", ERR_RANGE},
        {"kind 0", "{\"parts\":[],\"protectors\":[{\"kind\":0,\"n\":1}]}", ERR_FORMAT},
        {"no keyslot", "{\"parts\":[],\"protectors\":[{\"kind\":1,\"n\":0}]}", ERR_FORMAT},
        {"a protector that is none", "{\"parts\":[],\"protectors\":[7]}", ERR_FORMAT},
        {"too many keyslots", "{\"parts\":[],\"protectors\":[{\"kind\":1,\"n\":33}]}", ERR_RANGE},
    };
    static struct probed back;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum err e = probed_decode(rows[i].json, strlen(rows[i].json), &back);
        if (e != rows[i].err)
            fail_msg("%s: %s", rows[i].name, err_name(e));
    }
    static const char escape[] = "{\"label\":\"a\\u001b[1mb\"," LISTS "}";
    assert_int_equal(probed_decode(escape, strlen(escape), &back), ERR_OK);
    assert_string_equal(back.label, "a?[1mb"); /* a terminal shall get nothing but text */
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(protector_name(PROTECTOR_TPM_PIN), "tpm+pin");
    assert_string_equal(protector_name(0), "other");
    assert_string_equal(protector_name(200), "other");
    for (uint8_t k = PROTECTOR_PASSPHRASE; k <= PROTECTOR_OTHER; k++)
        assert_non_null(protector_name(k));
}

/* Laid out as the specification says; digest and salts, which mean nothing here, as zeros. Headers that
 * cryptsetup made are read in tests/agent/test_volumes.py. */
static void make_luks1(uint8_t h[static LUKS1_HEADER])
{
    static const uint8_t on[4] = {0x00, 0xac, 0x71, 0xf3}, off[4] = {0x00, 0x00, 0xde, 0xad};
    memset(h, 0, LUKS1_HEADER);
    memcpy(h, "LUKS\xba\xbe\0\1", 8);
    memcpy(h + 8, "aes", 3);
    memcpy(h + 40, "cbc-essiv:sha256", 16);
    memcpy(h + 72, "sha1", 4);
    h[111] = 32;
    memcpy(h + 168, "12a3a118-7039-4575-a649-3f559d8d87ee", 36);
    for (int i = 0; i < LUKS1_SLOTS; i++)
        memcpy(h + 208 + 48 * i, i < 2 ? on : off, 4);
}

static void test_luks1(void **state)
{
    (void)state;
    uint8_t h[LUKS1_HEADER];
    struct luks1 l;
    make_luks1(h);
    assert_int_equal(luks1_decode(h, sizeof h, &l), ERR_OK);
    assert_string_equal(l.cipher, "aes");
    assert_string_equal(l.mode, "cbc-essiv:sha256");
    assert_string_equal(l.hash, "sha1");
    assert_int_equal(l.key_bytes, 32);
    assert_int_equal(l.slots, 2);
    assert_int_equal(l.uuid.bytes[0], 0x18);
    for (size_t n = 0; n < sizeof h; n++)
        assert_int_equal(luks1_decode(h, n, &l), ERR_TRUNCATED);
    h[208] = 1;
    assert_int_equal(luks1_decode(h, sizeof h, &l), ERR_FORMAT);
    make_luks1(h);
    h[168] = 'x';
    assert_int_equal(luks1_decode(h, sizeof h, &l), ERR_FORMAT);
    h[7] = 2;
    assert_int_equal(luks1_decode(h, sizeof h, &l), ERR_VERSION);
    h[0] = 'M';
    assert_int_equal(luks1_decode(h, sizeof h, &l), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_names), cmocka_unit_test(test_luks1)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
