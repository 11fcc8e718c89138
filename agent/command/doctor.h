#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is wrong, in sentences, and what to do about it. Pure: the checks judge by facts that others collected
 * (the keeper's status, doctor_facts.c), so each is a row of a table in its test. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define DOCTOR_TEXT 640
#define DOCTOR_MAX  256 /* findings; more are counted only */

enum doctor_level {
    DOCTOR_GOOD = 1,
    DOCTOR_NOTE = 2, /* worth knowing; mends itself, or is as somebody wanted it */
    DOCTOR_BAD = 3   /* a person is needed */
};

enum doctor_initrd {
    INITRD_NOT_USED =
        1, /* no initramfs-tools here: another way of starting, which Debian's own prompt serves */
    INITRD_NO_HOOK = 2, /* the package's hook is gone */
    INITRD_MISSING = 3, /* there is no initrd of the running kernel */
    INITRD_WITHOUT = 4, /* it was made without the hand-off helper */
    INITRD_GOOD = 5,
    INITRD_UNREADABLE = 6 /* lsinitramfs could not list it */
};

struct doctor_facts {
    struct json_object *status; /* of the keeper; NULL: it does not answer */
    const char *no_status;      /* then, why */
    int64_t now;                /* seconds, UTC */
    int64_t certificate_end;    /* the courier's certificate is good until; 0: there is none */
    uint64_t state_free;        /* bytes for the agent's state; UINT64_MAX not known */
    bool state_read_only;
    uint8_t initrd;  /* enum doctor_initrd */
    char kernel[72]; /* release that runs */
};

struct doctor_finding {
    const char *check;
    uint8_t level; /* enum doctor_level */
    char text[DOCTOR_TEXT];
};

struct doctor_report {
    unsigned n, n_bad;
    struct doctor_finding finding[DOCTOR_MAX];
};

/* Run every check; each leaves one finding at least. */
void doctor_run(const struct doctor_facts *f, struct doctor_report *ret);

/* For the checks (doctor_*.c). */
struct doctor_check {
    const char *name;
    void (*run)(const struct doctor_facts *f, struct doctor_report *r);
    bool alone; /* needs no keeper */
};
extern const struct doctor_check doctor_system_checks[], doctor_boot_checks[],
    doctor_volume_checks[]; /* end: NULL */
void doctor_say(struct doctor_report *r, enum doctor_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Members of the status; what is not there is "", 0, false. */
const char *doctor_text(struct json_object *o, const char *name);
int64_t doctor_number(struct json_object *o, const char *name);
bool doctor_flag(struct json_object *o, const char *name);
struct json_object *doctor_object(struct json_object *o, const char *name);
/* Of an array; 0 and NULL where there is none. */
unsigned doctor_count(struct json_object *o, const char *name);
struct json_object *doctor_item(struct json_object *o, const char *name, unsigned i);
