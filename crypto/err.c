/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/err.h"

#define ERR_NAME(name, text) #name,
#define ERR_TEXT(name, text) text,
static const char *const names[] = {ERR_LIST(ERR_NAME)};
static const char *const texts[] = {ERR_LIST(ERR_TEXT)};
#define ERR_COUNT (sizeof names / sizeof names[0])

const char *err_name(enum err e)
{
    return (unsigned)e < ERR_COUNT ? names[e] : "UNKNOWN";
}

const char *err_text(enum err e)
{
    return (unsigned)e < ERR_COUNT ? texts[e] : "an unknown error";
}
