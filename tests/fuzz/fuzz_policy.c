/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as policy.json and as the token of a management keyslot. */
#include "formats/management.h"
#include "formats/policy.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {"{\"format\":\"keyholt-policy\",\"version\":3,\"org\":\"00000000-0000-0000-"
                                  "0000-000000000000\",\"escrow\":\"sealed\","
                                  "\"key_package\":true,\"rotate_days\":90,\"rotate_used_needs_receipt\":"
                                  "false,\"verify_hours\":6,\"retention\":\"none\"}",
                                  "{\"type\":\"keyholt-management\",\"keyslots\":[\"3\"],\"version\":1,"
                                  "\"state\":\"live\",\"slot\":3,\"count\":2500,"
                                  "\"id\":\"3F2504E0-4F89-41D3-9A0C-0305E82C3301\",\"device\":"
                                  "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\","
                                  "\"fingerprint\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}",
                                  NULL};
const char *const fuzz_words[] = {"\"receipt\"", "\"pending\"", "null",   "18446744073709551616",
                                  "[[[[",        "\\u0000",     "\"31\"", NULL};

static void management(const char *text, size_t len)
{
    struct management m;
    char again[MANAGEMENT_JSON_MAX];
    if (management_decode(text, len, &m) != ERR_OK)
        return;
    /* what was taken can be written, and means the same then */
    if (management_encode(&m, again) != ERR_OK || management_decode(again, strlen(again), &m) != ERR_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct guid org;
    struct policy p;
    void *scratch = malloc(POLICY_SCRATCH(len));
    if (scratch == NULL)
        abort();
    enum err e = policy_decode((const char *)data, len, &org, scratch, POLICY_SCRATCH(len), &p);
    if (e == ERR_FULL ||
        (e == ERR_OK && (p.version == 0 || p.verify_hours == 0 || p.rotate_days > POLICY_ROTATE_MAX)))
        abort();
    free(scratch);
    management((const char *)data, len);
    return 0;
}
