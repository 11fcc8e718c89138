/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "agent/command/page.h"
#include "formats/host/json_strict.h"
#include <limits.h>
#include <stdio.h>

static const char *text_of(struct json_object *o, const char *name)
{
    struct json_object *v;
    return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
               ? json_object_get_string(v)
               : "";
}

static void print_volume(struct json_object *v)
{
    struct json_object *verified, *looked;
    bool good = json_object_object_get_ex(v, "verified", &verified) && json_object_get_boolean(verified);
    const char *key = text_of(v, "key_id_short"), *note = text_of(v, "note");
    char when[PAGE_TIME_TEXT];
    uint64_t checked = 0;
    if (json_object_object_get_ex(v, "looked_at", &looked) && !json_object_get_boolean(looked)) {
        (void)!json_get_u64(v, "checked", &checked);
        page_time(checked, when);
        printf("%s  key %s  not looked at; last: %s\n", text_of(v, "device"), key[0] ? key : "none", when);
        return;
    }
    printf("%s  key %s  %s%s%s\n", text_of(v, "device"), key[0] ? key : "none",
           good ? "verified" : "NOT verified", note[0] ? ": " : "", note);
}

static void page(struct json_object *o)
{
    struct json_object *volumes;
    if (json_get_array(o, "volumes", 1024, &volumes) == ERR_OK)
        for (size_t i = 0; i < json_object_array_length(volumes); i++)
            print_volume(json_object_array_get_idx(volumes, i));
}

static int run(int argc, char **argv)
{
    static const struct command_option own[] = {{NULL, NULL, NULL}};
    char device[PATH_MAX] = "";
    struct command_args a;
    struct command_answer answer;
    int code;
    if (!command_parse(&command_verify, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices > 1)
        return command_usage(&command_verify, "one device at a time, or none for all");
    if (a.n_devices)
        command_device(a.device[0], device);
    const struct msg m = {.type = MSG_VERIFY, .verify.device = msg_text(device)};
    command_ask(&a, &m, &answer);
    return command_show(&a, &answer, page);
}

const struct command command_verify = {
    "verify", run, "look at every recovery keyslot now",
    "[--json] [DEVICE]\n\n"
    "Compares everything that opening depends on (keyslot, key material, digest)\n"
    "with what it was when the sealed password opened it, and tries the management\n"
    "key. What another program changed is recorded and, where the management key\n"
    "opens the volume, replaced by a new recovery password at once. The keeper does\n"
    "this by itself at its start, every day (policy) and when a header is written.\n\n"
    "A volume that is not here is neither: it is not looked at. One whose device is\n"
    "here while its header is destroyed is not verified.\n\n"
    "Exit codes: 0 every recovery key that was looked at is verified; 1 failed, or\n"
    "none was here; 2 wrong use; 3 at least one is not.\n"};
