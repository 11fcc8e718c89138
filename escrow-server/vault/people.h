#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The people who may ask for keys: a small JSON file of the vault's, passwords hashed by yescrypt. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include "escrow-server/vault/totp.h"
#include <stdbool.h>

#define PEOPLE_NAME 64
#define PEOPLE_MAX  1000

/* Only the first two may read keys. */
enum people_role {
    PEOPLE_HELP_DESK = 1,
    PEOPLE_ADVANCED,
    PEOPLE_READER,
    PEOPLE_AUDITOR,
    PEOPLE_ADMINISTRATOR
};

/* "helpdesk", "advanced", "reader", "auditor", "administrator". err: NOT_FOUND */
MUST_CHECK enum err people_role_from_text(const char *text, enum people_role *ret);
/* Nothing but roles, with blanks or commas between them; or empty. */
bool people_are_roles(const char *list);
const char *people_role_text(enum people_role role);
/* 1 to 64 printable characters without blanks, quotes and colons. */
bool people_name_is_good(const char *name);

/* Add somebody; the file is made where there is none (0600). The caller gives it to the vault's user.
 * err: FORMAT (name), RANGE (password shorter than 8 bytes), CONFLICT (the name is taken), IO */
MUST_CHECK enum err people_add(const char *path, const char *name, enum people_role role,
                               const struct secret *password);
/* Is there somebody of this name? err: IO, FORMAT (the file) */
MUST_CHECK enum err people_known(const char *path, const char *name, bool *ret);
struct person {
    enum people_role role;
    bool has_totp; /* a one-time code is wanted, too: */
    uint8_t totp[TOTP_SECRET];
};

/* Who is it? Takes as long for an unknown name as for a wrong password. The one-time code is the caller's to
 * check. err: AUTH (unknown name or wrong password), IO, FORMAT (the file) */
MUST_CHECK enum err people_check(const char *path, const char *name, const struct secret *password,
                                 struct person *ret);
/* From now on somebody needs one-time codes of this seed. err: NOT_FOUND, IO, FORMAT */
MUST_CHECK enum err people_set_totp(const char *path, const char *name,
                                    const uint8_t seed[static TOTP_SECRET]);
