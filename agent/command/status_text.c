/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/status_text.h"
#include "agent/command/page.h"
#include "formats/host/json_strict.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *text(struct json_object *o, const char *name, const char *otherwise)
{
    struct json_object *v;
    if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, json_type_string))
        return otherwise;
    const char *t = json_object_get_string(v);
    return t[0] ? t : otherwise;
}

static bool flag(struct json_object *o, const char *name)
{
    struct json_object *v;
    return json_object_object_get_ex(o, name, &v) && json_object_get_boolean(v);
}

static void print_time(const struct page *p, const char *label, struct json_object *o, const char *name)
{
    uint64_t v = 0;
    char when[PAGE_TIME_TEXT];
    (void)!json_get_u64(o, name, &v);
    page_time(v, when);
    page_pair(p, label, when);
}

/* Only when it is wrong. */
static void print_clock(const struct page *p, struct json_object *o)
{
    struct json_object *v;
    char line[128];
    if (!json_object_object_get_ex(o, "clock_off_s", &v) || !json_object_is_type(v, json_type_int))
        return;
    int64_t off = json_object_get_int64(v), s = off < 0 ? -off : off;
    (void)snprintf(line, sizeof line, "%lld days %lld h %lld min %s the server's at the last sync",
                   (long long)(s / 86400), (long long)(s % 86400 / 3600), (long long)(s % 3600 / 60),
                   off < 0 ? "ahead of" : "behind");
    page_pair(p, "clock", line);
}

static enum tone tone_of(struct json_object *v, const char *state)
{
    struct json_object *verdict;
    if (strcmp(state, "header-destroyed") == 0)
        return TONE_BAD;
    if (json_object_object_get_ex(v, "looked_at", &verdict) && !json_object_get_boolean(verdict))
        return TONE_WARN;
    if (strcmp(state, "protected") == 0 || strcmp(state, "escrowed") == 0)
        return flag(v, "compliant") || !text(v, "kind", NULL) ? TONE_GOOD : TONE_WARN;
    bool judged = json_object_object_get_ex(v, "compliant", &verdict);
    return judged && !flag(v, "compliant") ? TONE_BAD : TONE_WARN;
}

static void add_volume(struct page_table *t, struct json_object *v)
{
    char size[PAGE_SIZE_TEXT] = "";
    uint64_t bytes;
    if (json_get_u64(v, "size", &bytes) == ERR_OK)
        page_size(bytes, size);
    const char *state = text(v, "state", "?");
    const char *cells[] = {text(v, "name", text(v, "device", "?")),
                           text(v, "kind", ""),
                           text(v, "file_system", text(v, "format", "luks2")),
                           size,
                           state,
                           text(v, "key_id_short", ""),
                           text(v, "escrow", ""),
                           text(v, "mount", "")};
    page_table_add(t, tone_of(v, state), cells);
}

static void note(const struct page *p, const char *device, const char *sentence)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "%s: %s", device, sentence);
    page_text(p, 2, line);
}

/* A volume that this look did not read: nothing is said of its key but when it was read. */
static void print_absent(const struct page *p, struct json_object *v, const char *device)
{
    char line[200], when[PAGE_TIME_TEXT];
    uint64_t checked = 0;
    (void)!json_get_u64(v, "checked", &checked);
    page_time(checked, when);
    (void)snprintf(line, sizeof line, "it %s, so it was not looked at; last: %s",
                   flag(v, "present") ? "cannot be read now" : "is not here now", when);
    note(p, device, line);
}

static void print_notes(const struct page *p, struct json_object *v)
{
    const char *device = text(v, "name", text(v, "device", "?"));
    struct json_object *copies = NULL, *looked;
    char line[512];
    bool read = !json_object_object_get_ex(v, "looked_at", &looked) || json_object_get_boolean(looked);
    if (text(v, "note", NULL))
        note(p, device, text(v, "note", ""));
    if (read && text(v, "key_id", NULL) && !flag(v, "verified") &&
        strcmp(text(v, "state", ""), "header-destroyed") != 0)
        note(p, device, "its recovery key is not what was proved to open it");
    if (strcmp(text(v, "re_encryption", ""), "recommended") == 0)
        note(
            p, device,
            "re-encryption recommended: somebody may have a password and a copy of the header that it opens "
            "(cryptsetup reencrypt DEVICE --key-slot NUMBER, of a keyslot of your own; until that is done no "
            "recovery password opens it; then keyholt-agent protect DEVICE)");
    if (strcmp(text(v, "escrow", ""), "queued") == 0 && strcmp(text(v, "state", ""), "header-destroyed") != 0)
        note(p, device, "no server has confirmed its key yet; the volume's own header has it");
    if (!read)
        print_absent(p, v, device);
    if (json_get_array(v, "copies", 1024, &copies) != ERR_OK)
        return;
    for (size_t i = 0; i < json_object_array_length(copies); i++) {
        (void)snprintf(line, sizeof line, "%s has the same UUID; it is left alone",
                       json_object_get_string(json_object_array_get_idx(copies, i)));
        note(p, device, line);
    }
}

static void print_volumes(const struct page *p, struct json_object *volumes)
{
    static const char *const head[] = {"VOLUME", "KIND",   "FORMAT", "SIZE",
                                       "STATE",  "KEY ID", "ESCROW", "MOUNTED"};
    struct page_table t;
    size_t n = json_object_array_length(volumes);
    if (n == 0) {
        (void)fputs("\nno volume\n", p->to);
        return;
    }
    page_table_init(&t, head, sizeof head / sizeof head[0], 4);
    for (size_t i = 0; i < n; i++)
        add_volume(&t, json_object_array_get_idx(volumes, i));
    (void)fputc('\n', p->to);
    page_table_print(p, &t);
    page_table_free(&t);
    (void)fputc('\n', p->to);
    for (size_t i = 0; i < n; i++)
        print_notes(p, json_object_array_get_idx(volumes, i));
}

static void print_others(const struct page *p, struct json_object *o, bool all)
{
    static const char *const head[] = {"NO VOLUME", "WHY"};
    struct page_table t;
    struct json_object *others = NULL;
    size_t n = json_get_array(o, "others", 4096, &others) == ERR_OK ? json_object_array_length(others) : 0;
    if (n == 0)
        return;
    if (!all) {
        (void)fprintf(p->to, "%zu other devices are no volumes: keyholt-agent status --all\n", n);
        return;
    }
    page_table_init(&t, head, 2, 2);
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(others, i);
        const char *cells[] = {text(v, "name", "?"), text(v, "reason", "?")};
        page_table_add(&t, TONE_PLAIN, cells);
    }
    (void)fputc('\n', p->to);
    page_table_print(p, &t);
    page_table_free(&t);
}

static void print_pairs(const struct page *p, struct json_object *o)
{
    struct json_object *tpm, *boot;
    uint64_t queued = 0;
    char line[512];
    (void)snprintf(line, sizeof line, "SHA-256 %s", text(o, "root_sha256", "none"));
    page_pair(p, "computer", text(o, "computer", "?"));
    page_pair(p, "device ID", text(o, "device_id", "?"));
    page_pair(p, "organisation", text(o, "organisation", "none yet; keyholt-agent enroll --bundle DIR"));
    page_pair(p, "root key", line);
    page_pair(p, "enrolment", text(o, "enrolment", "?"));
    if (text(o, "identity", NULL))
        page_pair(p, "identity", text(o, "identity", ""));
    if (json_object_object_get_ex(o, "tpm", &tpm) && json_object_is_type(tpm, json_type_object))
        page_pair(p, "TPM", text(tpm, "text", "?"));
    if (json_object_object_get_ex(o, "boot", &boot) && json_object_is_type(boot, json_type_object)) {
        (void)snprintf(line, sizeof line, "no way in: %s", text(boot, "not_recoverable", ""));
        page_pair(p, "recovery",
                  flag(boot, "recoverable") ? "the app starts when somebody is locked out" : line);
    }
    page_pair(p, "courier", text(o, "courier", "?"));
    print_time(p, "last sync", o, "last_sync");
    print_clock(p, o);
    if (text(o, "last_problem", NULL))
        page_pair(p, "last problem", text(o, "last_problem", ""));
    (void)snprintf(line, sizeof line, "%s", "?");
    if (json_get_u64(o, "queued", &queued) == ERR_OK)
        (void)snprintf(line, sizeof line, "%llu records", (unsigned long long)queued);
    page_pair(p, "queued", line);
    if (json_get_u64(o, "unsigned", &queued) == ERR_OK && queued > 0) {
        (void)snprintf(line, sizeof line, "and %llu that wait for the TPM to sign them",
                       (unsigned long long)queued);
        page_pair(p, "", line);
    }
    if (json_get_u64(o, "queued_former", &queued) == ERR_OK && queued > 0) {
        (void)snprintf(line, sizeof line, "and %llu that this computer made under an earlier identity",
                       (unsigned long long)queued);
        page_pair(p, "", line);
    }
}

void status_text_print(struct json_object *o, bool all)
{
    struct json_object *volumes = NULL;
    struct page p;
    page_open(&p, stdout);
    print_pairs(&p, o);
    if (json_get_array(o, "volumes", 4096, &volumes) == ERR_OK)
        print_volumes(&p, volumes);
    print_others(&p, o, all);
}
