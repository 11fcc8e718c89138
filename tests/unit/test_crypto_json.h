#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Test vectors in JSON files, and comparing bytes so that the failing row is named. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BYTES_MAX 8192

struct bytes {
    size_t len;
    uint8_t b[BYTES_MAX];
};

/* Decode hex; stops the test on anything else. */
void bytes_from_hex(const char *hex, struct bytes *ret);
/* The hex member name of an object; stops the test where there is none. */
void bytes_get(struct json_object *o, const char *name, struct bytes *ret);
int64_t int_get(struct json_object *o, const char *name);
const char *text_get(struct json_object *o, const char *name);
/* Equal? Says which row of which table is not. */
bool same_bytes(const char *row, const void *got, const void *want, size_t len);

/* A JSON file of the data folder (KEYHOLT_DATA, else ../shared/data). Absent: the test is skipped, and says
 * so. The caller puts it. */
struct json_object *data_load(const char *path);

enum verdict { VALID = 1, INVALID, ACCEPTABLE };

/* Run every row of a Wycheproof file; row() says whether the code did what the verdict asks for. Fails the
 * test when a row failed, or when fewer than min rows were run. Says how many were left out and why. */
void wycheproof_run(const char *file, unsigned min,
                    bool (*row)(struct json_object *group, struct json_object *test, enum verdict want));
/* For row(): this one does not fit our interface. why: a string that stays; few different ones. Returns
 * refused, which says whether our code, asked all the same, said no. */
bool wycheproof_left_out(const char *why, bool refused);
