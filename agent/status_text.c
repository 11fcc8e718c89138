/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/status_text.h"
#include "formats/host/json_strict.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *text(struct json_object *o, const char *name, const char *otherwise)
{
    struct json_object *v;
    if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_string))
        return otherwise;
    const char *t = json_object_get_string(v);
    return t[0] ? t : otherwise;
}

static void print_time(const char *label, struct json_object *o, const char *name)
{
    uint64_t v;
    char when[64] = "never";
    if (json_get_u64(o, name, &v) == ERR_OK) {
        time_t t = (time_t)v;
        struct tm local;
        if (localtime_r(&t, &local))
            (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    }
    printf("%s%s\n", label, when);
}

static void print_volume(struct json_object *v)
{
    const char *note = text(v, "note", NULL), *key = text(v, "key_id_short", NULL);
    struct json_object *verified, *copies = NULL;
    printf("\nvolume        %s\n", text(v, "device", "?"));
    printf("  uuid        %s\n", text(v, "uuid", "?"));
    printf("  state       %s\n", text(v, "state", "?"));
    if (note)
        printf("  note        %s\n", note);
    if (json_get_array(v, "copies", 1024, &copies) == ERR_OK)
        for (size_t i = 0; i < json_object_array_length(copies); i++)
            printf("  copy        %s has the same UUID; it is left alone\n",
                   json_object_get_string(json_object_array_get_idx(copies, i)));
    if (!key)
        return;
    bool good = json_object_object_get_ex(v, "verified", &verified) && json_object_get_boolean(verified);
    printf("  key ID      %s\n", key);
    printf("  key         %s\n", good ? "verified: it opened the volume, and nothing has changed since"
                                      : "not verified: see the note");
    printf("  escrow      %s\n",
           strcmp(text(v, "escrow", ""), "receipted") == 0
               ? "receipted: the server has it"
               : "queued: no server has confirmed it yet; the volume's own header has it");
}

static void print_tpm(struct json_object *o)
{
    struct json_object *tpm;
    if (json_object_object_get_ex(o, "tpm", &tpm) && json_object_is_type(tpm, json_type_object))
        printf("TPM           %s\n", text(tpm, "text", "?"));
}

void status_text_print(const char *json)
{
    struct json_object *o = NULL, *volumes = NULL;
    uint64_t queued = 0;
    if (json_strict_parse(json, strlen(json), &o) != ERR_OK) {
        puts(json);
        return;
    }
    printf("computer      %s\n", text(o, "computer", "?"));
    printf("device ID     %s\n", text(o, "device_id", "?"));
    printf("organisation  %s\n", text(o, "organisation", "none yet; keyholt-agent enroll --bundle DIR"));
    printf("root key      SHA-256 %s\n", text(o, "root_sha256", "none"));
    printf("enrolment     %s\n", text(o, "enrolment", "?"));
    if (text(o, "identity", NULL))
        printf("identity      %s\n", text(o, "identity", ""));
    print_tpm(o);
    printf("courier       %s\n", text(o, "courier", "?"));
    print_time("last sync     ", o, "last_sync");
    if (text(o, "last_problem", NULL))
        printf("last problem  %s\n", text(o, "last_problem", ""));
    if (json_get_u64(o, "queued", &queued) == ERR_OK)
        printf("queued        %llu records\n", (unsigned long long)queued);
    if (json_get_u64(o, "queued_former", &queued) == ERR_OK && queued > 0)
        printf("              and %llu that this computer made under an earlier identity\n",
               (unsigned long long)queued);
    if (json_get_array(o, "volumes", 1024, &volumes) == ERR_OK) {
        for (size_t i = 0; i < json_object_array_length(volumes); i++)
            print_volume(json_object_array_get_idx(volumes, i));
        if (json_object_array_length(volumes) == 0)
            puts("\nno protected volume; keyholt-agent protect DEVICE");
    }
    json_object_put(o);
}
