/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/doctor.h"
#include "formats/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *current; /* check that runs */

void doctor_say(struct doctor_report *r, enum doctor_level level, const char *fmt, ...)
{
    char raw[DOCTOR_TEXT];
    va_list args;
    r->n_bad += level == DOCTOR_BAD;
    if (r->n == DOCTOR_MAX)
        return;
    struct doctor_finding *f = &r->finding[r->n++];
    va_start(args, fmt);
    (void)vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    text_clean(raw, strlen(raw), f->text, sizeof f->text);
    f->check = current;
    f->level = (uint8_t)level;
}

struct json_object *doctor_object(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    return o && json_object_object_get_ex(o, name, &v) ? v : NULL;
}

const char *doctor_text(struct json_object *o, const char *name)
{
    struct json_object *v = doctor_object(o, name);
    return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

int64_t doctor_number(struct json_object *o, const char *name)
{
    struct json_object *v = doctor_object(o, name);
    return v && json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;
}

bool doctor_flag(struct json_object *o, const char *name)
{
    struct json_object *v = doctor_object(o, name);
    return v && json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

unsigned doctor_count(struct json_object *o, const char *name)
{
    struct json_object *v = doctor_object(o, name);
    return v && json_object_is_type(v, json_type_array) ? (unsigned)json_object_array_length(v) : 0;
}

struct json_object *doctor_item(struct json_object *o, const char *name, unsigned i)
{
    return i < doctor_count(o, name) ? json_object_array_get_idx(doctor_object(o, name), i) : NULL;
}

static void run_all(const struct doctor_check *c, const struct doctor_facts *f, struct doctor_report *r)
{
    for (; c->name; c++)
        if (f->status || c->alone) {
            current = c->name;
            c->run(f, r);
        }
}

void doctor_run(const struct doctor_facts *f, struct doctor_report *ret)
{
    ret->n = ret->n_bad = 0;
    run_all(doctor_system_checks, f, ret);
    run_all(doctor_boot_checks, f, ret);
    run_all(doctor_volume_checks, f, ret);
}
