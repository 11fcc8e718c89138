/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/report/report.h"
#include "agent/report/tpm_status.h"
#include "agent/report/volume_list.h"
#include "agent/state/records.h"
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include "formats/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define LAST_DIGEST "report_digest"
#define LAST_TIME   "report_time"
#define DAY         UINT64_C(86400)
#define OS_RELEASE  "/etc/os-release"
#define OS_NAME     96
#define PLAIN       (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static struct json_object *get(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    return json_object_object_get_ex(o, name, &v) ? v : NULL;
}

static const char *text(struct json_object *o, const char *name)
{
    struct json_object *v = get(o, name);
    return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* Members that a report has from status as they are; what is empty or zero is left out. */
static void take(struct json_object *from, const char *name, const char *as, struct json_object *to)
{
    struct json_object *v = get(from, name);
    if (!v || (json_object_is_type(v, json_type_string) && !json_object_get_string(v)[0]) ||
        (json_object_is_type(v, json_type_int) && json_object_get_int64(v) == 0) ||
        (json_object_is_type(v, json_type_boolean) && !json_object_get_boolean(v)))
        return;
    json_object_object_add(to, as, json_object_get(v));
}

/* Folders that are named after people or their things. */
static bool is_private(const char *mount)
{
    static const char *const below[] = {"/home/", "/media/", "/run/media/", "/mnt/", "/root/"};
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++)
        if (strncmp(mount, below[i], strlen(below[i])) == 0)
            return true;
    return false;
}

/* {"passphrase": 2, "recovery-password": 1}; BitLocker's recovery passwords by their IDs beside it. */
static void add_protectors(struct json_object *v, struct json_object *to)
{
    struct json_object *list = get(v, "protectors"), *counts = json_object_new_object(), *ids = NULL;
    size_t n = list ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *p = json_object_array_get_idx(list, i), *old = get(counts, text(p, "type"));
        int64_t sum = json_object_get_int64(get(p, "n")) + (old ? json_object_get_int64(old) : 0);
        json_object_object_add(counts, text(p, "type"), json_object_new_int64(sum));
        if (!text(p, "id")[0] || strcmp(text(p, "type"), "recovery-password") != 0)
            continue;
        if (!ids)
            ids = json_object_new_array();
        json_object_array_add(ids, json_object_get(get(p, "id")));
    }
    json_object_object_add(to, "protectors", counts);
    if (ids)
        json_object_object_add(to, "recovery_ids", ids);
}

static struct json_object *volume(struct json_object *v)
{
    static const char *const as_is[] = {"format",      "kind",         "state",    "size",     "uuid",
                                        "file_system", "cipher",       "key_bits", "boot",     "unlocked",
                                        "converting",  "suspended",    "damaged",  "verified", "key_id",
                                        "management",  "re_encryption"};
    struct json_object *o = json_object_new_object();
    const char *name = text(v, "name"), *slash = strrchr(name, '/');
    json_object_object_add(o, "device", json_object_new_string(slash ? slash + 1 : name));
    for (size_t i = 0; i < sizeof as_is / sizeof as_is[0]; i++)
        take(v, as_is[i], as_is[i], o);
    if (!is_private(text(v, "mount")))
        take(v, "mount", "mount", o);
    struct json_object *reasons = get(v, "reasons");
    if (reasons && json_object_array_length(reasons))
        json_object_object_add(o, "reasons", json_object_get(reasons));
    add_protectors(v, o);
    return o;
}

static bool is_compliant(struct json_object *v)
{
    struct json_object *c = get(v, "compliant");
    return !c || json_object_get_boolean(c);
}

/* Disks that are not here, and image files, are no matter of compliance. */
static bool counts(struct json_object *v)
{
    return get(v, "kind") && strcmp(text(v, "state"), "copy") != 0;
}

/* At most max of them, those with reasons first. */
static struct json_object *volumes(struct json_object *all, size_t max, size_t *ret_left)
{
    struct json_object *list = json_object_new_array();
    size_t n = json_object_array_length(all), left = 0;
    for (int good = 0; good <= 1; good++)
        for (size_t i = 0; i < n; i++) {
            struct json_object *v = json_object_array_get_idx(all, i);
            if (!counts(v) || is_compliant(v) != good)
                continue;
            if (json_object_array_length(list) < max)
                json_object_array_add(list, volume(v));
            else
                left++;
        }
    *ret_left = left;
    return list;
}

static void os_name(const char *root, char ret[static OS_NAME])
{
    char path[PATH_MAX];
    uint8_t *p = NULL;
    size_t len;
    strcpy(ret, "unknown");
    if (file_join(root, OS_RELEASE, path, sizeof path) != ERR_OK ||
        file_read(path, 16384, &p, &len) != ERR_OK)
        return;
    char *save = NULL;
    for (char *line = strtok_r((char *)p, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, "PRETTY_NAME=", 12) == 0) {
            const char *from = line + 12 + (line[12] == '"');
            text_clean(from, strcspn(from, "\""), ret, OS_NAME);
        }
    free(p);
}

static struct json_object *tpm(struct json_object *all)
{
    static const char *const as_is[] = {"present",  "manufacturer", "model",  "firmware",
                                        "identity", "problem",      "lockout"};
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; all && i < sizeof as_is / sizeof as_is[0]; i++)
        take(all, as_is[i], as_is[i], o);
    return o;
}

/* What is said once, whatever the volumes. */
static struct json_object *head(struct agent *a)
{
    struct json_object *o = json_object_new_object(), *t = tpm_json(a);
    char os[OS_NAME];
    struct utsname u;
    os_name(a->root, os);
    json_object_object_add(o, "format", json_object_new_string("keyholt-report"));
    json_object_object_add(o, "agent", json_object_new_string(KEYHOLT_VERSION));
    json_object_object_add(o, "os", json_object_new_string(os));
    if (uname(&u) == 0)
        json_object_object_add(o, "kernel", json_object_new_string(u.release));
    json_object_object_add(o, "tpm", tpm(t));
    json_object_object_add(o, "org", json_object_new_uint64(a->org ? a->org->version : 0));
    json_object_object_add(o, "policy", json_object_new_uint64(a->policy.version));
    json_object_put(t);
    return o;
}

static bool all_compliant(struct json_object *all)
{
    for (size_t i = 0; i < json_object_array_length(all); i++)
        if (counts(json_object_array_get_idx(all, i)) && !is_compliant(json_object_array_get_idx(all, i)))
            return false;
    return true;
}

enum err report_text(struct agent *a, struct json_object *all, char ret[static REPORT_MAX], size_t *ret_len)
{
    struct json_object *o = head(a);
    enum err e = ERR_INTERNAL;
    json_object_object_add(o, "compliant", json_object_new_boolean(all_compliant(all)));
    for (size_t max = json_object_array_length(all) + 1; e == ERR_INTERNAL && max-- > 0;) {
        size_t left = 0;
        json_object_object_add(o, "volumes", volumes(all, max, &left));
        json_object_object_add(o, "left_out", json_object_new_uint64(left));
        const char *p = json_object_to_json_string_ext(o, PLAIN);
        e = !p ? ERR_NOMEM : strlen(p) < REPORT_MAX ? ERR_OK : ERR_INTERNAL;
        if (e == ERR_OK) {
            strcpy(ret, p);
            *ret_len = strlen(p);
        }
    }
    json_object_put(o);
    return e;
}

/* Is there anything to say? */
static enum err is_due(struct agent *a, const uint8_t digest[static 32], uint64_t now, bool *ret)
{
    uint8_t last[32];
    uint64_t time = 0;
    size_t len = 0;
    enum err e = cache_get(a->cache, LAST_DIGEST, last, sizeof last, &len);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    bool same = e == ERR_OK && len == sizeof last && memcmp(last, digest, sizeof last) == 0;
    e = cache_get_u64(a->cache, LAST_TIME, &time);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = !same || now < time || now - time >= DAY; /* a clock that went back must not silence it */
    return ERR_OK;
}

static enum err answer_order(struct agent *a, const struct guid *order, uint64_t now)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = EVENT_DONE;
    r->other_key_id = *order;
    r->event_time = now;
    enum err e = records_add(a, r, NULL);
    free(r);
    return e;
}

static enum err queue(struct agent *a, const char *report, size_t len, const uint8_t digest[static 32],
                      const struct guid *order, uint64_t now)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_REPORT;
    r->report = (const uint8_t *)report;
    r->report_len = len;
    enum err e = cache_begin(a->cache);
    if (e == ERR_OK)
        e = records_add(a, r, NULL);
    if (e == ERR_OK && order)
        e = answer_order(a, order, now);
    if (e == ERR_OK)
        e = cache_set(a->cache, LAST_DIGEST, digest, 32);
    if (e == ERR_OK)
        e = cache_set_u64(a->cache, LAST_TIME, now);
    e = cache_end(a->cache, e);
    free(r);
    return e;
}

static enum err make(struct agent *a, char *buf, const struct guid *order, bool *ret_new)
{
    struct volume_list l = {NULL, NULL};
    struct inventory v;
    uint64_t now = (uint64_t)time(NULL);
    uint8_t digest[32];
    size_t len = 0;
    bool due = false;
    TRY(inventory_make(a->root, &v));
    enum err e = volume_list(a, &v, &l);
    inventory_free(&v);
    TRY(e);
    e = report_text(a, l.volumes, buf, &len);
    json_object_put(l.volumes);
    json_object_put(l.others);
    if (e == ERR_OK)
        e = cr_sha256(buf, len, digest);
    if (e == ERR_OK)
        e = is_due(a, digest, now, &due);
    due = due || order;
    if (e == ERR_OK && due)
        e = queue(a, buf, len, digest, order, now);
    *ret_new = e == ERR_OK && due;
    return e;
}

enum err report_update(struct agent *a, bool *ret_new)
{
    return report_order(a, NULL, ret_new);
}

enum err report_order(struct agent *a, const struct guid *order, bool *ret_new)
{
    char *buf = malloc(REPORT_MAX);
    *ret_new = false;
    enum err e = buf ? make(a, buf, order, ret_new) : ERR_NOMEM;
    free(buf);
    return e;
}
