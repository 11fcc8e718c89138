/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/device_flags.h"
#include "escrow-server/verb/utc.h"
#include "formats/host/json_strict.h"
#include "formats/names.h"
#include <inttypes.h>
#include <stdio.h>

static void print_row(struct json_object *row)
{
    const char *device = "", *kind = "", *computer = "";
    uint64_t seconds = 0, sequence = 0;
    char when[UTC_TEXT];
    if (json_get_text(row, "device", 64, &device) != ERR_OK ||
        json_get_text(row, "kind", 16, &kind) != ERR_OK ||
        json_get_text(row, "computer", 64, &computer) != ERR_OK ||
        json_get_u64(row, "time", &seconds) != ERR_OK || json_get_u64(row, "sequence", &sequence) != ERR_OK)
        return;
    printf("%s  %-8s  %s  %" PRIu64 "  %s\n", utc_text(seconds, when), kind, device, sequence, computer);
}

static void add_text(struct json_object *o, const char *name, const char *text)
{
    if (text != NULL)
        json_object_object_add(o, name, json_object_new_string(text));
}

/* One page. all: where it goes, NULL: it is printed. behind: taken; ret_next: behind which the next page
 * begins, NULL when this was the last. */
static int page(const char *root, struct json_object *o, struct json_object *all, struct json_object *behind,
                struct json_object **ret_next)
{
    struct json_object *answer = NULL, *list = NULL, *next = NULL;
    json_object_object_add(o, "op", json_object_new_string("flags"));
    if (behind != NULL)
        json_object_object_add(o, "behind", behind);
    int code = ask_server(root, "device", o, NULL, &answer);
    *ret_next = NULL;
    if (code != KH_EXIT_OK)
        return code;
    size_t n = json_get_array(answer, "flags", 4096, &list) == ERR_OK ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *row = json_object_array_get_idx(list, i);
        if (all != NULL)
            json_object_array_add(all, json_object_get(row));
        else
            print_row(row);
    }
    if (json_object_object_get_ex(answer, "next", &next))
        *ret_next = json_object_get(next);
    json_object_put(answer);
    return code;
}

int device_flags(const char *root, const char *device, const char *kind, bool json)
{
    struct json_object *all = json ? json_object_new_array() : NULL, *next = NULL;
    int code;
    do {
        struct json_object *o = json_object_new_object();
        add_text(o, "device", device);
        add_text(o, "kind", kind);
        code = page(root, o, all, next, &next);
    } while (code == KH_EXIT_OK && next != NULL);
    if (!json)
        return code;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "flags", all);
    if (code == KH_EXIT_OK)
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    return code;
}
