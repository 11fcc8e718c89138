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
/* The same, and only such that may read keys. */
bool people_are_askers(const char *list);
const char *people_role_text(enum people_role role);
/* 1 to 64 printable characters without blanks, quotes and colons. */
bool people_name_is_good(const char *name);

/* The file, with nobody in it (0600). The caller gives it to the vault's user. err: FULL, DENIED, IO */
MUST_CHECK enum err people_begin(const char *path);

/* The changes. Each replaces the whole file at once, owner and mode stay; the vault reads it at each
 * question. err: FORMAT (the file; a bad name), NOT_FOUND (nobody of this name; no file), IO, FULL, DENIED
 * people_add(): and CONFLICT (the name is taken), RANGE (password shorter than 8 bytes) */
MUST_CHECK enum err people_add(const char *path, const char *name, enum people_role role,
                               const struct secret *password);
MUST_CHECK enum err people_remove(const char *path, const char *name);
MUST_CHECK enum err people_set_role(const char *path, const char *name, enum people_role role);
/* err: and RANGE, as above */
MUST_CHECK enum err people_set_password(const char *path, const char *name, const struct secret *password);
/* From now on somebody needs one-time codes of this seed; NULL: none any more. */
MUST_CHECK enum err people_set_totp(const char *path, const char *name, const uint8_t *seed);

/* Who there is, nothing secret. */
struct people_row {
    char name[PEOPLE_NAME + 1];
    enum people_role role; /* 0: one that this version does not know */
    bool has_totp;
};
/* ret: malloc'ed, in the file's order. err: NOT_FOUND (no file), FORMAT (the file), IO, NOMEM */
MUST_CHECK enum err people_list(const char *path, struct people_row **ret, size_t *ret_n);

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
