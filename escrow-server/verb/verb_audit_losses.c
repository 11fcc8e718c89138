/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/process.h"
#include "escrow-server/process/local.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/audit_verbs.h"
#include "escrow-server/verb/utc.h"
#include "formats/host/json_strict.h"
#include "formats/names.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STOP_HEARD_S 60 /* the writer hears of a stop a second after the vault */

/* What was lost of the audit log, and a person's word on it. */

static uint64_t number(struct json_object *o, const char *name)
{
    uint64_t v = 0;
    return json_get_u64(o, name, &v) == ERR_OK ? v : 0;
}

static void print_loss(struct json_object *o)
{
    char from[UTC_TEXT], until[UTC_TEXT], proved[UTC_TEXT];
    struct json_object *rotates = NULL;
    printf("entry %llu: of %llu entries at most %llu are there; lost between %s and %s, proved %s\n",
           (unsigned long long)number(o, "entry"), (unsigned long long)number(o, "lost"),
           (unsigned long long)number(o, "have"), utc_text(number(o, "from"), from),
           utc_text(number(o, "until"), until), utc_text(number(o, "proved"), proved));
    if (number(o, "acknowledged") != 0)
        printf("  acknowledged by entry %llu\n", (unsigned long long)number(o, "acknowledged"));
    else
        puts("  not acknowledged");
    if (json_object_object_get_ex(o, "rotates", &rotates) && json_object_get_boolean(rotates))
        printf("  keys that were there between %s and %s rotate\n", utc_text(number(o, "rotate_from"), from),
               utc_text(number(o, "rotate_until"), until));
    else
        puts("  its keys do not rotate: a person stopped it");
}

int audit_losses_verb(const struct audit_words *a)
{
    struct json_object *answer = NULL, *list = NULL, *keys = NULL, *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("losses"));
    int code = ask_server(a->root, "audit losses", o, NULL, &answer);
    if (code != KH_EXIT_OK)
        return code;
    if (a->json) {
        json_object_object_del(answer, "status");
        puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    } else if (json_get_array(answer, "losses", 64, &list) == ERR_OK &&
               json_object_object_get_ex(answer, "keys", &keys)) {
        for (size_t i = 0; i < json_object_array_length(list); i++)
            print_loss(json_object_array_get_idx(list, i));
        if (json_object_array_length(list) == 0)
            puts("no loss was proved");
        else
            printf("keys of those times: %llu to be ordered, %llu ordered, %llu rotated\n",
                   (unsigned long long)number(keys, "to_order"), (unsigned long long)number(keys, "ordered"),
                   (unsigned long long)number(keys, "rotated"));
    }
    json_object_put(answer);
    return KH_EXIT_OK;
}

/* err: FORMAT; 0 where nothing is said */
static enum err read_time(const char *text, uint64_t *ret)
{
    struct tm tm = {0};
    *ret = 0;
    if (text == NULL)
        return ERR_OK;
    const char *end = strptime(text, UTC_FORM, &tm);
    if (end == NULL || *end != '\0')
        return ERR_FORMAT;
    *ret = (uint64_t)timegm(&tm);
    return ERR_OK;
}

struct taken_back {
    uint64_t mark; /* of the loss, as the vault answered */
    uint64_t n, gone, alien;
    bool more;
};

/* One step. err: BUSY (the writer has not heard of the stop yet), OFFLINE, IO */
static enum err take_some_back(const struct audit_words *a, struct taken_back *t)
{
    const char *detail = "";
    struct json_object *answer = NULL, *more = NULL, *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("take_back"));
    json_object_object_add(o, "mark", json_object_new_uint64(t->mark));
    enum err e = local_ask(a->root, o, NULL, &answer, NULL);
    json_object_put(o);
    TRY(e);
    e = local_result(answer, &detail);
    if (e == ERR_OK) {
        t->n += number(answer, "taken_back");
        t->gone += number(answer, "gone_out");
        t->alien = number(answer, "alien");
        t->more = json_object_object_get_ex(answer, "more", &more) && json_object_get_boolean(more);
    }
    json_object_put(answer);
    return e;
}

static enum err take_back(const struct audit_words *a, struct taken_back *t)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    enum err e = ERR_OK;
    t->more = true;
    for (unsigned i = 0; i < STOP_HEARD_S * 10 && t->more; i += e != ERR_OK) {
        e = take_some_back(a, t);
        if (e != ERR_OK && e != ERR_BUSY)
            return e;
        if (e == ERR_BUSY)
            nanosleep(&pause, NULL);
    }
    return e;
}

static void print_taken_back(const struct taken_back *t)
{
    printf("orders taken back: %llu; of these, %llu had gone out, or may have: those devices may replace "
           "their keys all the same\n",
           (unsigned long long)t->n, (unsigned long long)t->gone);
    if (t->alien > 0)
        printf(
            "orders that stay: %llu, made for losses that this audit log does not have: by an earlier log, "
            "by another server, or by a version that did not say whose loss it was\n",
            (unsigned long long)t->alien);
}

static int stop_orders(const struct audit_words *a, uint64_t mark)
{
    struct taken_back t = {.mark = mark};
    enum err e = take_back(a, &t);
    if (a->json)
        ANSWER_JSON({"entry", NULL, a->entry}, {"word", "stop", 0}, {"taken_back", NULL, t.n},
                    {"gone_out", NULL, t.gone}, {"of_unknown_losses", NULL, t.alien},
                    {"orders", e == ERR_OK ? "taken-back" : "left", 0});
    else
        print_taken_back(&t);
    if (e == ERR_OK)
        return KH_EXIT_OK;
    return state_complain(KH_EXIT_QUEUED, "audit rotation",
                          "the stop is on record, but orders that were made before are not all taken back; "
                          "say it again when the writer is there");
}

static int say(const struct audit_words *a, const char *word, const char *what, uint64_t from, uint64_t until)
{
    SECRET(password);
    struct json_object *answer = NULL, *o;
    enum err e = secret_from_file(a->password_file, &password);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, a->password_file, secret_file_text(e));
    o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("loss"));
    json_object_object_add(o, "word", json_object_new_string(word));
    json_object_object_add(o, "as", json_object_new_string(a->as));
    json_object_object_add(o, "entry", json_object_new_uint64(a->entry));
    json_object_object_add(o, "reason", json_object_new_string(a->reason));
    json_object_object_add(o, "from", json_object_new_uint64(from));
    json_object_object_add(o, "until", json_object_new_uint64(until));
    json_object_object_add(o, "code", json_object_new_string(a->code));
    int code = ask_server(a->root, what, o, &password, &answer);
    uint64_t mark = code == KH_EXIT_OK ? number(answer, "mark") : 0;
    json_object_put(answer);
    if (code == KH_EXIT_OK && a->stop)
        return stop_orders(a, mark);
    if (code == KH_EXIT_OK && a->json)
        ANSWER_JSON({"entry", NULL, a->entry}, {"word", word, 0});
    else if (code == KH_EXIT_OK)
        fputs("keyholt-server: it is on record\n", stderr);
    return code;
}

/* What both words want. */
static int check(struct audit_words *a, const char *what)
{
    if (a->entry == 0 || a->reason == NULL || a->password_file == NULL)
        return state_complain(KH_EXIT_USAGE, what, "--entry, --reason, --as and --password-file are wanted");
    if (a->code_file != NULL && local_read_code(a->code_file, a->code, sizeof a->code) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, a->code_file, "a one-time code of 6 digits is wanted");
    return KH_EXIT_OK;
}

int audit_acknowledge_verb(struct audit_words *a)
{
    int code = check(a, "audit acknowledge");
    return code == KH_EXIT_OK ? say(a, "acknowledge", "audit acknowledge", 0, 0) : code;
}

int audit_rotation_verb(struct audit_words *a)
{
    uint64_t from, until;
    int code = check(a, "audit rotation");
    if (code != KH_EXIT_OK)
        return code;
    if (read_time(a->from, &from) != ERR_OK || read_time(a->until, &until) != ERR_OK)
        return state_complain(KH_EXIT_USAGE, "audit rotation", "a time is wanted as 2026-01-31T09:30:00Z");
    if (a->stop && (a->from != NULL || a->until != NULL))
        return state_complain(KH_EXIT_USAGE, "audit rotation", "--stop, or --from and --until");
    return say(a, a->stop ? "stop" : "rotate", "audit rotation", from, until);
}
