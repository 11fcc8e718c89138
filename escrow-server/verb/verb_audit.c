/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/audit/audit_import.h"
#include "escrow-server/audit/audit_reading.h"
#include "escrow-server/places.h"
#include "escrow-server/process/local.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/audit_verbs.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/base.h"
#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "  keyholt-server audit show [--root DIR] [--key-id ID] [--json]\n"
    "  keyholt-server audit verify [--root DIR] [--json]\n"
    "  keyholt-server audit import [--root DIR] [--as NAME] FILE [--json]\n"
    "  keyholt-server audit export [--root DIR] [--chain ID] [--without-personal] [FILE [--json]]\n"
    "  keyholt-server audit erase [--root DIR] [--chain ID] --entries N,N-N | --before DAY\n"
    "      --as NAME --password-file FILE [--code-file FILE] [--json]\n"
    "  keyholt-server audit begin [--root DIR] [--json]\n"
    "  keyholt-server audit losses [--root DIR] [--json]\n"
    "  keyholt-server audit acknowledge [--root DIR] --entry N --reason TEXT\n"
    "      --as NAME --password-file FILE [--code-file FILE] [--json]\n"
    "  keyholt-server audit rotation [--root DIR] --entry N --stop | [--from TIME] [--until TIME]\n"
    "      --reason TEXT --as NAME --password-file FILE [--code-file FILE] [--json]\n";

static int complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: %s: %s\n", what, reason);
    return code;
}

/* Boot events come from the compliance store, which only the running server opens. */
static void read_boots(struct audit_reading *r, const struct audit_words *w)
{
    const char *detail = "";
    struct json_object *answer = NULL, *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("boots"));
    json_object_object_add(o, "key", json_object_new_string(r->view.key));
    enum err e = local_ask(w->root, o, NULL, &answer, NULL);
    json_object_put(o);
    if (e == ERR_OK)
        e = local_result(answer, &detail);
    if (e == ERR_OK)
        e = audit_view_boots(&r->view, answer);
    if (e != ERR_OK)
        fprintf(stderr, "keyholt-server: boot events are missing from this list: %s\n",
                detail[0] != '\0' ? detail : local_why(e));
    json_object_put(answer);
}

static bool report_sources(const struct audit_reading *r, bool print, struct json_object *ret)
{
    bool all = true, good;
    for (unsigned i = 0; i < r->n; i++) {
        char hex[BASE16_LEN(32) + 1];
        const char *verdict = audit_judge(r, i, &good);
        base16_encode(r->source[i].head.hash, sizeof r->source[i].head.hash, hex);
        all = all && good;
        if (print)
            printf("%s chain %s, %llu entries, head %s: %s\n", i == 0 ? "vault" : "imported",
                   r->source[i].head.chain, (unsigned long long)r->source[i].head.n, hex, verdict);
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "file", json_object_new_string(r->source[i].path));
        json_object_object_add(o, "chain", json_object_new_string(r->source[i].head.chain));
        json_object_object_add(o, "entries", json_object_new_int64((int64_t)r->source[i].head.n));
        json_object_object_add(o, "head", json_object_new_string(hex));
        json_object_object_add(o, "good", json_object_new_boolean(good));
        json_object_object_add(o, "verdict", json_object_new_string(verdict));
        json_object_array_add(ret, o);
    }
    return all;
}

static void print_json(struct json_object *o)
{
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static bool good_for_show(const struct audit_reading *r)
{
    bool all = true, good;
    for (unsigned i = 0; i < r->n; i++) {
        const char *verdict = audit_judge(r, i, &good);
        if (!good)
            fprintf(stderr, "keyholt-server: %s: %s\n", r->source[i].path, verdict);
        all = all && good;
    }
    return all;
}

/* Which lines to keep is decided after judging, because judging needs the vault's import entries. */
static void keep_key(struct audit_view *v, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < v->n; i++)
        if (strncmp(v->line[i].entry.key_id, key, strlen(key)) == 0)
            v->line[kept++] = v->line[i];
    v->n = kept;
    v->key = key;
}

static int show(struct audit_reading *r, const struct audit_words *w)
{
    bool good = good_for_show(r);
    keep_key(&r->view, w->key);
    read_boots(r, w);
    audit_view_sort(&r->view);
    if (w->json) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "entries", audit_view_json(&r->view));
        json_object_object_add(o, "good", json_object_new_boolean(good));
        print_json(o);
        json_object_put(o);
    } else {
        audit_view_print(&r->view);
    }
    return good ? KH_EXIT_OK : KH_EXIT_NO;
}

static int verify(struct audit_reading *r, const struct audit_words *w)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    bool good = report_sources(r, !w->json, list);
    json_object_object_add(o, "chains", list);
    json_object_object_add(o, "gaps", audit_gaps_json(r));
    json_object_object_add(o, "good", json_object_new_boolean(good));
    if (w->json)
        print_json(o);
    json_object_put(o);
    return good ? KH_EXIT_OK : KH_EXIT_NO;
}

static int show_or_verify(const struct audit_words *w,
                          int (*what)(struct audit_reading *, const struct audit_words *))
{
    struct audit_reading *r = calloc(1, sizeof *r);
    if (r == NULL)
        return complain(KH_EXIT_FAILED, "audit", err_text(ERR_NOMEM));
    r->view.key = "";
    enum err e = audit_read_all(r, w->root);
    int code = e == ERR_OK ? what(r, w) : complain(KH_EXIT_FAILED, w->root, state_text(e));
    audit_view_free(&r->view);
    free(r);
    return code;
}

static int import(const struct audit_words *w)
{
    struct audit_head head = {.n = 0};
    uint64_t added = 0;
    const char *detail = "";
    const char *file = w->rest.item[0];
    enum err e = audit_import(w->root, file, w->as, &head, &added, &detail);
    if (e == ERR_OFFLINE || e == ERR_BUSY || e == ERR_TIMEOUT)
        return complain(KH_EXIT_QUEUED, file, detail);
    if (e != ERR_OK)
        return complain(e == ERR_AUTH || e == ERR_FORMAT || e == ERR_CONFLICT ? KH_EXIT_NO : KH_EXIT_FAILED,
                        file, detail);
    if (w->json)
        printf("{\"chain\":\"%s\",\"entries\":%llu,\"added\":%llu}\n", head.chain, (unsigned long long)head.n,
               (unsigned long long)added);
    else
        printf("chain %s: %llu entries, %llu of them new\n", head.chain, (unsigned long long)head.n,
               (unsigned long long)added);
    return KH_EXIT_OK;
}

/* 8 digits or more, as the screen shows them; upper case, as they are stored. */
static enum err take_key(const char *text, char ret[static 64])
{
    size_t n = 0;
    for (; *text != '\0' && n < 63; text++)
        if (*text != '{' && *text != '}') {
            if (!isxdigit((unsigned char)*text) && *text != '-')
                return ERR_FORMAT;
            ret[n++] = (char)toupper((unsigned char)*text);
        }
    ret[n] = '\0';
    return n == 0 || (n >= 8 && n <= 36) ? ERR_OK : ERR_FORMAT;
}

static const char *caller_name(void)
{
    const struct passwd *p = getpwuid(getuid());
    return p != NULL ? p->pw_name : "root";
}

static int run(int argc, char *const *argv)
{
    struct audit_words w = {.root = "/", .key = "", .as = caller_name()};
    char root[PATH_MAX], key[64];
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &w.root},
                                      {"key-id", OPTION_TEXT, false, &w.key},
                                      {"as", OPTION_TEXT, false, &w.as},
                                      {"chain", OPTION_TEXT, false, &w.chain},
                                      {"entries", OPTION_TEXT, false, &w.entries},
                                      {"before", OPTION_TEXT, false, &w.before},
                                      {"password-file", OPTION_TEXT, false, &w.password_file},
                                      {"code-file", OPTION_TEXT, false, &w.code_file},
                                      {"entry", OPTION_NUMBER, false, &w.entry},
                                      {"reason", OPTION_TEXT, false, &w.reason},
                                      {"from", OPTION_TEXT, false, &w.from},
                                      {"until", OPTION_TEXT, false, &w.until},
                                      {"stop", OPTION_FLAG, false, &w.stop},
                                      {"without-personal", OPTION_FLAG, false, &w.without_personal},
                                      {"json", OPTION_FLAG, false, &w.json},
                                      {NULL, OPTION_REST, false, &w.rest}};
    const char *what = argc > 0 ? argv[0] : "";
    if (argc == 0 || options_parse(argc - 1, argv + 1, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK) {
        if (argc == 0)
            (void)options_wrong_words("audit", argc, argv, usage);
        return KH_EXIT_USAGE;
    }
    if (take_key(w.key, key) != ERR_OK)
        return complain(KH_EXIT_USAGE, w.key, "8 hexadecimal digits or a whole key ID are wanted");
    if (place_absolute(w.root, root) != ERR_OK)
        return complain(KH_EXIT_FAILED, w.root, "the path is too long");
    w.root = root;
    w.key = key;
    if (strcmp(what, "show") == 0 && w.rest.n == 0)
        return show_or_verify(&w, show);
    if (strcmp(what, "verify") == 0 && w.rest.n == 0)
        return show_or_verify(&w, verify);
    if (strcmp(what, "import") == 0 && w.rest.n == 1)
        return import(&w);
    if (strcmp(what, "export") == 0 && w.rest.n <= 1)
        return audit_export_verb(&w);
    if (strcmp(what, "erase") == 0 && w.rest.n == 0)
        return audit_erase_verb(&w);
    if (strcmp(what, "begin") == 0 && w.rest.n == 0)
        return audit_begin_verb(&w);
    if (strcmp(what, "losses") == 0 && w.rest.n == 0)
        return audit_losses_verb(&w);
    if (strcmp(what, "acknowledge") == 0 && w.rest.n == 0)
        return audit_acknowledge_verb(&w);
    if (strcmp(what, "rotation") == 0 && w.rest.n == 0)
        return audit_rotation_verb(&w);
    return options_wrong_words("audit", argc, argv, usage);
}

const struct verb verb_audit = {"audit", run, usage,
                                "show, verify, import and export audit logs; erase personal data; losses"};
