/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Audit entries as they go out: JSON lines, RFC 5424, with and without octet counting. */
#include "escrow-server/export/export.h"
#include "formats/host/audit_chain.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define CORE(action) "{\"n\":7,\"time\":1735689600,\"chain\":\"ab\",\"action\":\"" action "\",\"prev\":\"00\""
#define WHO          "\"salt\":\"01\",\"who\":\"Ada \\\"x\\\"\""
#define BOM          "\xef\xbb\xbf"

static const struct {
    const char *name;
    enum export_kind kind;
    bool counted;
    const char *line, *out; /* out NULL: FORMAT */
} rows[] = {
    {"a line of JSON", EXPORT_FILE, false, CORE("disclose") "}\t{" WHO "}\n", CORE("disclose") "," WHO "}\n"},
    {"erased", EXPORT_FILE, false, CORE("disclose") "}\t      \n", CORE("disclose") ",\"erased\":true}\n"},
    {"a notice", EXPORT_SYSLOG, false, CORE("disclose") "}\t{" WHO "}\n",
     "<109>1 2025-01-01T00:00:00Z host keyholt-vault - disclose - " BOM CORE("disclose") "," WHO "}"},
    {"a warning", EXPORT_SYSLOG, false, CORE("refuse") "}\t{" WHO "}\n",
     "<108>1 2025-01-01T00:00:00Z host keyholt-vault - refuse - " BOM CORE("refuse") "," WHO "}"},
    {"an alert, counted", EXPORT_SYSLOG, true, CORE("alarm") "}\t \n",
     "141 <105>1 2025-01-01T00:00:00Z host keyholt-vault - alarm - " BOM CORE("alarm") ",\"erased\":true}"},
    {"no tab", EXPORT_FILE, false, CORE("disclose") "}{" WHO "}\n", NULL},
    {"no newline", EXPORT_FILE, false, CORE("disclose") "}\t{" WHO "}", NULL},
    {"no object before the tab", EXPORT_FILE, false, "ab\t{" WHO "}\n", NULL},
    {"no object behind it", EXPORT_FILE, false, CORE("disclose") "}\tx\n", NULL},
    {"no action", EXPORT_SYSLOG, false, "{\"n\":7,\"time\":1}\t{" WHO "}\n", NULL},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[AUDIT_LINE_MAX + 512] = "";
        size_t len = 0;
        enum err e =
            export_form(rows[i].kind, rows[i].counted, "host", rows[i].line, strlen(rows[i].line), out, &len);
        if ((e == ERR_OK) != (rows[i].out != NULL))
            fail_msg("%s: %s", rows[i].name, err_name(e));
        if (e == ERR_OK && (len != strlen(rows[i].out) || memcmp(out, rows[i].out, len) != 0))
            fail_msg("%s: %.*s", rows[i].name, (int)len, out);
    }
}

static void test_every_truncation(void **state)
{
    (void)state;
    static const char line[] = CORE("disclose") "}\t{" WHO "}\n";
    for (size_t len = 0; len < sizeof line - 1; len++) {
        char out[AUDIT_LINE_MAX + 512], cut[sizeof line];
        size_t n;
        memcpy(cut, line, len);
        if (export_form(EXPORT_SYSLOG, true, "host", cut, len, out, &n) == ERR_OK)
            fail_msg("taken when cut to %zu bytes", len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_every_truncation)};
    return cmocka_run_group_tests_name("export_form", tests, NULL, NULL);
}
