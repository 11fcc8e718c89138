/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/test_crypto_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void bytes_from_hex(const char *hex, struct bytes *ret)
{
    size_t n = strlen(hex);
    if (n % 2 != 0 || n / 2 > BYTES_MAX)
        fail_msg("not hex of at most %d bytes: %.20s", BYTES_MAX, hex);
    for (size_t i = 0; i < n / 2; i++) {
        int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            fail_msg("not hex: %.20s", hex);
        ret->b[i] = (uint8_t)(hi << 4 | lo);
    }
    ret->len = n / 2;
}

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    if (!json_object_object_get_ex(o, name, &v))
        fail_msg("no member %s", name);
    return v;
}

const char *text_get(struct json_object *o, const char *name)
{
    return json_object_get_string(member(o, name));
}

int64_t int_get(struct json_object *o, const char *name)
{
    return json_object_get_int64(member(o, name));
}

void bytes_get(struct json_object *o, const char *name, struct bytes *ret)
{
    bytes_from_hex(text_get(o, name), ret);
}

bool same_bytes(const char *row, const void *got, const void *want, size_t len)
{
    if (memcmp(got, want, len) == 0)
        return true;
    print_error("row '%s': other bytes than the vector\n", row);
    return false;
}

struct json_object *data_load(const char *path)
{
    const char *dir = getenv("KEYHOLT_DATA");
    char full[4096];
    (void)snprintf(full, sizeof full, "%s/%s", dir ? dir : "../shared/data", path);
    if (access(full, R_OK) != 0) {
        print_message("SKIP: %s is not there (set KEYHOLT_DATA)\n", full);
        skip();
    }
    struct json_object *o = json_object_from_file(full);
    if (!o)
        fail_msg("%s: %s", full, json_util_get_last_err());
    return o;
}

static enum verdict verdict_of(struct json_object *test)
{
    const char *result = text_get(test, "result");
    return strcmp(result, "valid") == 0 ? VALID : strcmp(result, "invalid") == 0 ? INVALID : ACCEPTABLE;
}

#define REASONS_MAX 4

static struct {
    const char *why;
    unsigned n;
} left_out[REASONS_MAX];

bool wycheproof_left_out(const char *why, bool refused)
{
    for (size_t i = 0; i < REASONS_MAX; i++)
        if (!left_out[i].why || strcmp(left_out[i].why, why) == 0) {
            left_out[i].why = why;
            left_out[i].n++;
            return refused;
        }
    fail_msg("more than %d reasons to leave rows out", REASONS_MAX);
    return false;
}

/* Say what was left out; returns how many rows that is. */
static unsigned say_left_out(const char *file, unsigned all)
{
    unsigned n = 0;
    for (size_t i = 0; i < REASONS_MAX; i++)
        n += left_out[i].n;
    print_message("%s: %u of %u rows run", file, all - n, all);
    for (size_t i = 0; i < REASONS_MAX && left_out[i].why; i++)
        print_message("%s %u %s", i ? "," : "; left out:", left_out[i].n, left_out[i].why);
    print_message("\n");
    return n;
}

void wycheproof_run(const char *file, unsigned min,
                    bool (*row)(struct json_object *group, struct json_object *test, enum verdict want))
{
    unsigned ran = 0, failed = 0;
    memset(left_out, 0, sizeof left_out);
    struct json_object *doc = data_load(file), *groups = member(doc, "testGroups");
    for (size_t g = 0; g < json_object_array_length(groups); g++) {
        struct json_object *group = json_object_array_get_idx(groups, g), *tests = member(group, "tests");
        for (size_t t = 0; t < json_object_array_length(tests); t++, ran++) {
            struct json_object *test = json_object_array_get_idx(tests, t);
            if (row(group, test, verdict_of(test)))
                continue;
            failed++;
            print_error("%s: case %d (%s, %s) failed\n", file, (int)int_get(test, "tcId"),
                        text_get(test, "result"), text_get(test, "comment"));
        }
    }
    json_object_put(doc);
    ran -= say_left_out(file, ran);
    assert_int_equal(failed, 0);
    assert_true(ran >= min);
}
