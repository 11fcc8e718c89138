/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verdict over a volume: a row per case. */
#include "agent/report/compliance.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define GOOD .protected_ = true, .verified = true

static const struct {
    const char *name;
    uint8_t encrypt;
    struct compliance_facts facts;
    unsigned reasons;
} rows[] = {
    {"as it should be", 3, {SEEN_LUKS2, KIND_OS, GOOD}, 0},
    {"not protected", 3, {SEEN_LUKS2, KIND_OS, .verified = true}, REASON_NOT_PROTECTED},
    {"a spent password is in use", 3, {SEEN_LUKS2, KIND_OS, GOOD, .needs_secret = true}, REASON_NEEDS_SECRET},
    {"drift", 3, {SEEN_LUKS2, KIND_OS, .protected_ = true}, REASON_NOT_VERIFIED},
    {"both",
     3,
     {SEEN_LUKS2, KIND_OS, .protected_ = true, .needs_secret = true},
     REASON_NOT_VERIFIED | REASON_NEEDS_SECRET},
    {"re-encryption", 3, {SEEN_LUKS2, KIND_FIXED, GOOD, .converting = true}, REASON_CONVERTING},
    {"a header that cannot be read", 3, {SEEN_LUKS2, KIND_FIXED, GOOD, .unreadable = true}, REASON_NO_ANSWER},
    {"a header that is destroyed", 3, {SEEN_LUKS2, KIND_FIXED, .destroyed = true}, REASON_DESTROYED},
    {"LUKS1", 3, {SEEN_LUKS1, KIND_FIXED, GOOD}, REASON_LUKS1},
    {"BitLocker", 3, {SEEN_BITLOCKER, KIND_FIXED, GOOD}, 0},
    {"BitLocker, not escrowed", 3, {SEEN_BITLOCKER, KIND_FIXED, .verified = true}, REASON_NOT_PROTECTED},
    {"BitLocker, suspended", 3, {SEEN_BITLOCKER, KIND_OS, GOOD, .suspended = true}, REASON_SUSPENDED},
    {"plain dm-crypt", 3, {SEEN_OTHER_CRYPT, KIND_FIXED, GOOD}, REASON_OTHER_CRYPT},
    {"in clear", 3, {SEEN_UNENCRYPTED, KIND_FIXED, GOOD}, REASON_UNENCRYPTED},
    {"half in clear", 3, {SEEN_UNENCRYPTED, KIND_OS, GOOD, .part_clear = true}, REASON_PARTLY_ENCRYPTED},
    {"/boot", 3, {SEEN_UNENCRYPTED, KIND_OS, .boot = true}, 0},
    {"a stick, of which the policy says nothing", 3, {SEEN_UNENCRYPTED, KIND_REMOVABLE, .boot = false}, 0},
    {"a stick, of which it does", 4, {SEEN_UNENCRYPTED, KIND_REMOVABLE, .boot = false}, REASON_UNENCRYPTED},
    {"only sticks count", 4, {SEEN_UNENCRYPTED, KIND_FIXED, .boot = false}, 0},
    {"nothing counts", 0, {SEEN_UNENCRYPTED, KIND_OS, .boot = false}, 0},
    {"no volume", 7, {SEEN_NONE, KIND_OS, .boot = false}, 0},
};

static void verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct policy p = {.encrypt = rows[i].encrypt};
        unsigned r = compliance_judge(&p, &rows[i].facts);
        if (r != rows[i].reasons)
            fail_msg("%s: %#x, not %#x", rows[i].name, r, rows[i].reasons);
    }
}

static void names(void **state)
{
    (void)state;
    for (unsigned a = 0; a < COMPLIANCE_REASONS; a++)
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(compliance_name(1u << a), compliance_name(1u << b));
    assert_string_equal(compliance_name(REASON_UNENCRYPTED), "unencrypted");
    assert_string_equal(compliance_name(REASON_NO_ANSWER), "no-answer");
    assert_non_null(strstr(compliance_text(REASON_LUKS1), "LUKS1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
