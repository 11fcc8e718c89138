/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/places.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/device_flags.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/utc.h"
#include "escrow-server/verb/verbs.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "  keyholt-server device list [--root DIR] [--waiting] [--json]\n"
    "  keyholt-server device flags [--root DIR] [DEVICE | --kind KIND] [--json]\n"
    "  keyholt-server device approve|refuse|revoke|allow|report [--root DIR] [--json] DEVICE... | -\n";

struct words {
    const char *root, *kind;
    bool waiting, json;
    struct option_words ids;
};

static int complain(int code, const char *reason)
{
    fprintf(stderr, "keyholt-server: device: %s\n", reason);
    return code;
}

static void print_row(struct json_object *row)
{
    const char *device = "", *state = "", *computer = "";
    char when[UTC_TEXT];
    uint64_t seen = 0;
    if (json_get_text(row, "device", 64, &device) != ERR_OK ||
        json_get_text(row, "state", 16, &state) != ERR_OK ||
        json_get_text(row, "computer", 64, &computer) != ERR_OK || json_get_u64(row, "seen", &seen) != ERR_OK)
        return;
    printf("%s  %-8s  %-20s  %s\n", device, state, utc_text(seen, when), computer);
}

/* One page; ret_last: behind which the next one begins, empty when this was the last. */
static int page(const struct words *w, const char *after, struct json_object *all, char ret_last[static 65])
{
    struct json_object *answer = NULL, *list = NULL, *more = NULL, *o = json_object_new_object();
    const char *last = "";
    json_object_object_add(o, "op", json_object_new_string("devices"));
    json_object_object_add(o, "waiting", json_object_new_boolean(w->waiting));
    if (after[0] != '\0')
        json_object_object_add(o, "after", json_object_new_string(after));
    int code = ask_server(w->root, "device", o, NULL, &answer);
    ret_last[0] = '\0';
    size_t n = code == KH_EXIT_OK && json_get_array(answer, "devices", 4096, &list) == ERR_OK
                   ? json_object_array_length(list)
                   : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *row = json_object_array_get_idx(list, i);
        if (w->json)
            json_object_array_add(all, json_object_get(row));
        else
            print_row(row);
        if (i + 1 == n && json_object_object_get_ex(answer, "more", &more) && json_object_get_boolean(more) &&
            json_get_text(row, "device", 64, &last) == ERR_OK)
            snprintf(ret_last, 65, "%s", last);
    }
    json_object_put(answer);
    return code;
}

static void print_json(struct json_object *o)
{
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static int list(const struct words *w)
{
    char after[65] = "", last[65];
    struct json_object *all = json_object_new_array(), *o = json_object_new_object();
    int code;
    do {
        code = page(w, after, all, last);
        memcpy(after, last, sizeof after);
    } while (code == KH_EXIT_OK && last[0] != '\0');
    json_object_object_add(o, "devices", all);
    if (w->json && code == KH_EXIT_OK)
        print_json(o);
    else
        json_object_put(o);
    return code;
}

/* Which devices: the words, or the lines of standard input where "-" is the only one. */
struct named {
    const struct words *w;
    unsigned at;
    char line[256]; /* a longer one is no ID, whatever of it comes */
};

static bool from_lines(const struct words *w)
{
    return w->ids.n == 1 && strcmp(w->ids.item[0], "-") == 0;
}

#define BLANK " \t\r\n"

/* NULL: that were all. A line is one ID, blanks at its ends apart; the server refuses what is none. */
static const char *next_id(struct named *s)
{
    if (!from_lines(s->w))
        return s->at < s->w->ids.n ? s->w->ids.item[s->at++] : NULL;
    while (fgets(s->line, sizeof s->line, stdin) != NULL) {
        char *id = s->line + strspn(s->line, BLANK);
        size_t n = strlen(id);
        while (n > 0 && strchr(BLANK, id[n - 1]) != NULL)
            id[--n] = '\0';
        if (n > 0)
            return id;
    }
    return NULL;
}

static int change_one(const struct words *w, const char *word, const char *id)
{
    struct json_object *answer = NULL, *request = json_object_new_object();
    json_object_object_add(request, "op", json_object_new_string("device"));
    json_object_object_add(request, "device", json_object_new_string(id));
    json_object_object_add(request, "change", json_object_new_string(word));
    int code = ask_server(w->root, "device", request, NULL, &answer);
    json_object_put(answer);
    return code;
}

/* What was done, to those that were named; in force with their next request. */
static void say_done(const char *word, size_t n, const char *id)
{
    static const struct {
        const char *word, *done;
    } all[] = {{"approve", "approved"},
               {"refuse", "refused"},
               {"revoke", "revoked"},
               {"allow", "allowed again"},
               {"report", "report ordered"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].word, word) == 0)
            n == 1 ? printf("%s: %s\n", all[i].done, id) : printf("%s: %zu devices\n", all[i].done, n);
}

static int change(const struct words *w, const char *word)
{
    struct json_object *done = json_object_new_array(), *o = json_object_new_object();
    struct named ids = {.w = w};
    const char *id = "";
    int code = KH_EXIT_OK;
    json_object_object_add(o, "change", json_object_new_string(word));
    json_object_object_add(o, "done", done);
    while (code == KH_EXIT_OK && (id = next_id(&ids)) != NULL) {
        code = change_one(w, word, id);
        if (code == KH_EXIT_OK)
            json_object_array_add(done, json_object_new_string(id));
        else
            json_object_object_add(o, "failed", json_object_new_string(id));
    }
    size_t n = json_object_array_length(done);
    if (code != KH_EXIT_OK && (n > 0 || w->ids.n > 1 || from_lines(w)))
        fprintf(stderr,
                "keyholt-server: device: not done: %.64s; done: the %zu before it; not tried: what follows\n",
                id, n);
    if (code == KH_EXIT_OK && from_lines(w) && ferror(stdin))
        code = complain(KH_EXIT_FAILED, "standard input cannot be read to its end");
    if (code == KH_EXIT_OK && n == 0)
        code = complain(KH_EXIT_USAGE, "no device is named on standard input");
    if (!w->json && code == KH_EXIT_OK)
        say_done(word, n, json_object_get_string(json_object_array_get_idx(done, 0)));
    if (w->json && n > 0)
        print_json(o);
    else
        json_object_put(o);
    return code;
}

static int parse_and_do(int argc, char *const *argv, struct words *w)
{
    static const char *const words[] = {"approve", "refuse", "revoke", "allow", "report"};
    char absolute[PATH_MAX];
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &w->root},
                                      {"kind", OPTION_TEXT, false, &w->kind},
                                      {"waiting", OPTION_FLAG, false, &w->waiting},
                                      {"json", OPTION_FLAG, false, &w->json},
                                      {NULL, OPTION_WORDS, false, &w->ids}};
    const char *word = argc > 0 ? argv[0] : "";
    bool lists = strcmp(word, "list") == 0, flags = strcmp(word, "flags") == 0, known = lists || flags;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        known = known || strcmp(words[i], word) == 0;
    if (!known)
        return options_wrong_words("device", argc, argv, usage);
    if (options_parse(argc - 1, argv + 1, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK)
        return KH_EXIT_USAGE;
    bool fits = flags ? w->ids.n + (w->kind != NULL) <= 1 : lists == (w->ids.n == 0) && w->kind == NULL;
    if (!fits || (!lists && w->waiting))
        return options_wrong_words("device", argc, argv, usage);
    if (place_absolute(w->root, absolute) != ERR_OK)
        return complain(KH_EXIT_FAILED, "the path of --root is too long");
    w->root = absolute;
    if (flags)
        return device_flags(w->root, w->ids.n > 0 ? w->ids.item[0] : NULL, w->kind, w->json);
    return lists ? list(w) : change(w, word);
}

static int run(int argc, char *const *argv)
{
    struct words w = {.root = "/", .ids = {.max = (unsigned)argc}};
    w.ids.item = calloc((size_t)argc + 1, sizeof *w.ids.item);
    if (w.ids.item == NULL)
        return complain(KH_EXIT_FAILED, err_text(ERR_NOMEM));
    int code = parse_and_do(argc, argv, &w);
    free(w.ids.item);
    return code;
}

const struct verb verb_device = {
    "device", run, usage,
    "the enrolled laptops: list, what was noticed, approve, refuse, revoke, order a report"};
