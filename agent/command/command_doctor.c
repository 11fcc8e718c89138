/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "agent/command/doctor.h"
#include "agent/command/doctor_facts.h"
#include "agent/command/page.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const level_name[] = {
    [DOCTOR_GOOD] = "good", [DOCTOR_NOTE] = "note", [DOCTOR_BAD] = "bad"};

static void print_page(const struct doctor_report *r, bool all)
{
    static const char *const head[] = {"", "CHECK", "FINDING"};
    static const char *const mark[] = {[DOCTOR_GOOD] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_BAD] = "TO DO"};
    static const enum tone tone[] = {
        [DOCTOR_GOOD] = TONE_GOOD, [DOCTOR_NOTE] = TONE_WARN, [DOCTOR_BAD] = TONE_BAD};
    struct page p;
    struct page_table t;
    page_open(&p, stdout);
    page_table_init(&t, head, 3, 0);
    for (unsigned i = 0; i < r->n; i++) {
        const struct doctor_finding *f = &r->finding[i];
        const char *cells[] = {mark[f->level], f->check, f->text};
        if (all || f->level != DOCTOR_GOOD)
            page_table_add(&t, tone[f->level], cells);
    }
    if (t.n_rows)
        page_table_print(&p, &t);
    page_table_free(&t);
    printf("%s%u checked; %u need a person\n", r->n ? "\n" : "", r->n, r->n_bad);
}

static void print_json(const struct doctor_report *r)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    for (unsigned i = 0; i < r->n; i++) {
        struct json_object *f = json_object_new_object();
        json_object_object_add(f, "check", json_object_new_string(r->finding[i].check));
        json_object_object_add(f, "level", json_object_new_string(level_name[r->finding[i].level]));
        json_object_object_add(f, "text", json_object_new_string(r->finding[i].text));
        json_object_array_add(list, f);
    }
    json_object_object_add(o, "findings", list);
    json_object_object_add(o, "need_person", json_object_new_int64(r->n_bad));
    command_print_json(o);
    json_object_put(o);
}

static int examine(const struct command_args *a, bool all)
{
    const struct msg m = {.type = MSG_STATUS};
    struct command_answer answer;
    struct doctor_facts f = {0};
    struct doctor_report *r = calloc(1, sizeof *r);
    if (!r)
        return KH_EXIT_FAILED;
    command_ask(a, &m, &answer);
    f.status = answer.exit_code == KH_EXIT_OK ? answer.json : NULL;
    f.no_status = answer.text ? answer.text : "the keeper does not answer";
    doctor_facts(a->root, &f);
    doctor_run(&f, r);
    if (a->json)
        print_json(r);
    else
        print_page(r, all);
    int code = r->n_bad ? KH_EXIT_NO : KH_EXIT_OK;
    command_answer_free(&answer);
    free(r);
    return code;
}

static int run(int argc, char **argv)
{
    bool all = false;
    const struct command_option own[] = {{"all", NULL, &all}, {NULL, NULL, NULL}};
    struct command_args a;
    int code;
    if (!command_parse(&command_doctor, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices)
        return command_usage(&command_doctor, "doctor takes no device; it looks at everything");
    return examine(&a, all);
}

const struct command command_doctor = {
    "doctor", run, "say what is wrong, and what to do about it",
    "[--all] [--json]\n\n"
    "Looks at processes, organisation, servers, TPM, disk space, recovery app, boot\n"
    "entry, initramfs and every volume, and changes nothing. --all: what is well,\n"
    "too.\n\n"
    "Exit codes: 0 all is well; 1 it could not look; 2 wrong use; 3 something needs\n"
    "a person.\n"};
