/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/conf_table.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/config_check.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char usage[] = "  keyholt-server check-config [--root DIR] [--file FILE] [--json]\n"
                            "  keyholt-server check-config --defaults | --manual\n";

static void add_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

/* The verdict on a file that could be read: OK or FORMAT. */
static int say_json(const char *path, enum err e, const struct conf_mistake *m)
{
    struct json_object *o = json_object_new_object();
    add_text(o, "file", path);
    json_object_object_add(o, "good", json_object_new_boolean(e == ERR_OK));
    if (e == ERR_FORMAT && m->line > 0)
        json_object_object_add(o, "line", json_object_new_int64(m->line));
    if (e == ERR_FORMAT && m->key[0] != '\0')
        add_text(o, "key", m->key);
    if (e != ERR_OK)
        add_text(o, "reason", m->reason);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    return e == ERR_OK ? KH_EXIT_OK : KH_EXIT_NO;
}

static int say(const char *path, enum err e, const struct conf_mistake *m)
{
    if (e == ERR_OK) {
        printf("%s: good\n", path);
        return KH_EXIT_OK;
    }
    if (e == ERR_FORMAT) {
        char line[32] = "";
        if (m->line > 0)
            snprintf(line, sizeof line, ": line %u", m->line);
        fprintf(stderr, "keyholt-server: %s%s%s%s: %s\n", path, line, m->key[0] != '\0' ? ": " : "", m->key,
                m->reason);
        return KH_EXIT_NO;
    }
    fprintf(stderr, "keyholt-server: %s: %s\n", path, err_text(e));
    return KH_EXIT_FAILED;
}

static int print_defaults(void)
{
    struct conf c;
    char *text = NULL;
    size_t len = 0;
    conf_init(&c);
    if (conf_text(&c, &text, &len) != ERR_OK)
        return KH_EXIT_FAILED;
    (void)fwrite(text, 1, len, stdout);
    free(text);
    return KH_EXIT_OK;
}

static int print(bool defaults)
{
    if (defaults)
        return print_defaults();
    return config_page() == ERR_OK ? KH_EXIT_OK : KH_EXIT_FAILED;
}

static int refuse_json(void)
{
    fprintf(stderr, "keyholt-server: --defaults prints a file and --manual a page; neither has --json\n%s",
            usage);
    return KH_EXIT_USAGE;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum err check(const char *path, struct conf_mistake *ret_mistake)
{
    struct conf c;
    unsigned lines[CONF_SETTINGS];
    TRY(conf_read(path, &c, lines, ret_mistake));
    return config_check(&c, lines, ret_mistake);
}

static int run(int argc, char *const *argv)
{
    const char *root = "/", *file = NULL;
    char absolute[PATH_MAX], path[PATH_MAX];
    bool json = false, defaults = false, manual = false;
    struct conf_mistake m = {.line = 0};
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"file", OPTION_TEXT, false, &file},
                                      {"json", OPTION_FLAG, false, &json},
                                      {"defaults", OPTION_FLAG, false, &defaults},
                                      {"manual", OPTION_FLAG, false, &manual}};
    if (options_parse(argc, argv, defs, sizeof defs / sizeof defs[0], usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (defaults || manual)
        return json ? refuse_json() : print(defaults);
    enum err e = place_absolute(file != NULL ? file : root, absolute);
    if (e == ERR_OK && file == NULL)
        e = file_join(absolute, PLACE_CONF, path, sizeof path);
    if (e != ERR_OK)
        return say(root, e, &m);
    const char *at = file != NULL ? absolute : path;
    if (is_folder(at))
        return state_complain(KH_EXIT_FAILED, at, "it is a folder; name the file in it");
    e = check(at, &m);
    return json && (e == ERR_OK || e == ERR_FORMAT) ? say_json(at, e, &m) : say(at, e, &m);
}

const struct verb verb_check_config = {"check-config", run, usage, "try server.conf; nothing is started"};
