#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Long options of a verb, read from one table. Secrets have no option of their own: only files do. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stdint.h>

#define OPTION_LIST_MAX 8

enum option_kind {
    OPTION_TEXT = 1, /* const char ** */
    OPTION_LIST,     /* struct option_list *, may be repeated */
    OPTION_NUMBER,   /* uint64_t * */
    OPTION_FLAG,     /* bool * */
    OPTION_REST,     /* struct option_list *, words that are no options; name NULL */
    OPTION_WORDS     /* struct option_words *, either of the two, as many as it has room for */
};

struct option_list {
    const char *item[OPTION_LIST_MAX]; /* borrowed from argv */
    unsigned n;
};

struct option_words {
    const char **item; /* the caller's, of argc at most; what is in it is borrowed from argv */
    unsigned n, max;
};

struct option_def {
    const char *name; /* without the dashes */
    enum option_kind kind;
    bool required;
    void *ret;
};

/* argv: the words after the verb. Says on standard error what is wrong, with the usage text.
 * err: FORMAT (usage) */
MUST_CHECK enum err options_parse(int argc, char *const *argv, const struct option_def *defs, unsigned n,
                                  const char *usage);
/* Where a verb's own words are wrong, or too few or too many: say so on standard error, with the usage text.
 * argv: the words after the verb, as options_parse() may have read them. Returns KH_EXIT_USAGE. */
int options_wrong_words(const char *verb, int argc, char *const *argv, const char *usage);
