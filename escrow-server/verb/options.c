/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/options.h"
#include "formats/names.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFS_MAX 32

struct parse {
    const struct option_def *defs;
    unsigned n;
    bool seen[DEFS_MAX];
    const char *usage;
};

static enum err complain(const struct parse *p, const char *what, const char *name)
{
    fprintf(stderr, "keyholt-server: %s%s\n%s", what, name, p->usage);
    return ERR_FORMAT;
}

static int find(const struct parse *p, const char *name, size_t len)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->defs[i].name != NULL && strlen(p->defs[i].name) == len &&
            memcmp(p->defs[i].name, name, len) == 0)
            return (int)i;
    return -1;
}

static enum err list_add(struct option_list *list, const char *value)
{
    if (list->n == OPTION_LIST_MAX)
        return ERR_RANGE;
    list->item[list->n++] = value;
    return ERR_OK;
}

static enum err words_add(struct option_words *words, const char *value)
{
    if (words->n == words->max)
        return ERR_RANGE;
    words->item[words->n++] = value;
    return ERR_OK;
}

static enum err number(const char *value, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-')
        return ERR_FORMAT;
    *ret = v;
    return ERR_OK;
}

static enum err assign(const struct option_def *def, const char *value)
{
    switch (def->kind) {
    case OPTION_TEXT:
        *(const char **)def->ret = value;
        return ERR_OK;
    case OPTION_LIST:
    case OPTION_REST:
        return list_add(def->ret, value);
    case OPTION_WORDS:
        return words_add(def->ret, value);
    case OPTION_NUMBER:
        return number(value, def->ret);
    case OPTION_FLAG:
        *(bool *)def->ret = true;
        return ERR_OK;
    }
    return ERR_INTERNAL;
}

/* A word that is no option. */
static enum err take_rest(const struct parse *p, const char *word)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->defs[i].name == NULL && assign(&p->defs[i], word) == ERR_OK)
            return ERR_OK;
    return complain(p, "unexpected word: ", word);
}

static enum err take_option(struct parse *p, int argc, char *const *argv, int *i)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '='), *value = NULL;
    int at = find(p, name, equals != NULL ? (size_t)(equals - name) : strlen(name));
    if (at < 0)
        return complain(p, "unknown option: ", argv[*i]);
    const struct option_def *def = &p->defs[at];
    if (p->seen[at] && def->kind != OPTION_LIST && def->kind != OPTION_WORDS)
        return complain(p, "given twice: --", def->name);
    p->seen[at] = true;
    if (def->kind == OPTION_FLAG)
        return equals == NULL ? assign(def, "") : complain(p, "takes no value: --", def->name);
    if (equals != NULL)
        value = equals + 1;
    else if (*i + 1 < argc)
        value = argv[++*i];
    else
        return complain(p, "needs a value: --", def->name);
    return assign(def, value) == ERR_OK ? ERR_OK : complain(p, "no good value for --", def->name);
}

enum err options_parse(int argc, char *const *argv, const struct option_def *defs, unsigned n,
                       const char *usage)
{
    struct parse p = {.defs = defs, .n = n, .usage = usage};
    if (n > DEFS_MAX)
        return ERR_INTERNAL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0)
            TRY(take_option(&p, argc, argv, &i));
        else
            TRY(take_rest(&p, argv[i]));
    }
    for (unsigned i = 0; i < n; i++)
        if (defs[i].required && defs[i].name != NULL && !p.seen[i])
            return complain(&p, "missing: --", defs[i].name);
    return ERR_OK;
}

int options_wrong_words(const char *verb, int argc, char *const *argv, const char *usage)
{
    if (argc < 1 || argv[0][0] == '-')
        fprintf(stderr, "keyholt-server: %s: what is to be done is not said\n%s", verb, usage);
    else
        fprintf(stderr, "keyholt-server: %s: not a command, or not with these words: %s\n%s", verb, argv[0],
                usage);
    return KH_EXIT_USAGE;
}
