/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as org.json. */
#include "formats/org.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static const char seed[] =
    "{\"format\":\"keyholt-org\",\"version\":7,\"id\":\"3F2504E0-4F89-41D3-9A0C-0305E82C3301\",\"name\":"
    "\"M\\u00fcller & S\303\266hne\",\"message\":\"Call 4711\\nor scan\",\"url\":\"https://r.example.org"
    "\",\"servers\":[\"https://a.example.org:8443\",\"https://b.example.org:8443\"],\"ca\":\"-----BEGIN C"
    "ERTIFICATE-----\\nAAAA\\n\",\"escrow_keys\":[{\"use\":\"vault\",\"id\":\"5cd252fb0ce8932436faf8ccd10"
    "40981b89ee4ad6b9fe9e2a2b7e71aacb27cd3\",\"spki\":\"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4v"
    "OblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\"},{\"use\":\"desk\",\"i"
    "d\":\"dc0ce633dbcc913dafafa4b89ac44d8ce683fdfc3f60c8bdf21213b9f2b534ba\",\"spki\":\"MFkwEwYHKoZIzj0C"
    "AQYIKoZIzj0DAQcDQgAEfPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI/EdmmXgHd1UQ247QQCk9msafdDDbun2t5jzpgimeBLed"
    "Inhz0Q==\"}],\"receipt_keys\":[{\"id\":\"2b985badf1bac8293f6b92e8c0acc1139bc5a5ecbbf97a6271dcf0d4f6c"
    "68af6\",\"spki\":\"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXsvk0aYzCkTI9++VHUvxZebGtyHvramF+0FmG8bn/WyHN"
    "GQMSZj/fjdLBs4aZKLs2CqwNjhPuD2aebEnon1QMg==\"}],\"policy_key\":{\"id\":\"3eab3fba5026b61d007cbf411b9"
    "0f3c88ff89cf0a8088cbbfc3eaaca867dd663\",\"spki\":\"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4lNKNTLQj7ugL"
    "d5lnuYr0AMf4tt4VZbvUJMCRGsDCFLg8VdaTGM8xxnf7l/ahi12TvyWw/MO4AVcQsI/GE7Yxg==\"},\"later\":{\"x\":[1]}"
    ",\"revoked\":[\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"]}";
const char *const fuzz_seeds[] = {seed, NULL};
const char *const fuzz_words[] = {"\"ca\":",  "\"servers\":[", "\"https://\",",        "\\u0000", "\\ud83d",
                                  "\xf0\x9f", "[[[[",          "18446744073709551616", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct org o;
    void *scratch = malloc(16 * len + 64);
    if (scratch == NULL)
        abort();
    enum err e = org_decode((const char *)data, len, scratch, 16 * len + 64, &o);
    /* what was taken is whole: every text ends within its field */
    if (e == ERR_FULL && len < ORG_TEXT)
        abort();
    if (e == ERR_OK && (strlen(o.name) > ORG_TEXT || strlen(o.ca) > ORG_CA_MAX || o.n_servers > ORG_SERVERS ||
                        o.n_escrow > ORG_ESCROW_KEYS || o.n_receipt > ORG_RECEIPT_KEYS || o.version == 0))
        abort();
    free(scratch);
    return 0;
}
