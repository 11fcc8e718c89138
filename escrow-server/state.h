#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the verbs that work on a server's state from outside share: its lock, organisation and stores. */

#include "crypto/p256.h"
#include "escrow-server/places.h"
#include "escrow-server/store/store.h"
#include "formats/org.h"

/* No server may run, or start, until the process ends. err: BUSY, DENIED, IO */
MUST_CHECK enum err state_lock(const char *root);
/* The organisation, its signature verified. ret_json: malloc'ed, NULL where it is not wanted.
 * err: AUTH, FORMAT, NOT_FOUND, NOMEM, IO */
MUST_CHECK enum err state_org(const char *root, struct org *ret, uint8_t **ret_json, size_t *ret_len);
/* Is that the root's, by the signature beside path? Two files cannot be replaced at once, so where a new
 * org.json is put, its signature first lies beside the old one, and either counts.
 * ret_sig: the one that counts
 * err: AUTH, FORMAT, NOT_FOUND, IO, of the first */
#define ORG_SIG      ".sig"
#define ORG_SIG_NEXT ".sig.next"
MUST_CHECK enum err state_org_signed(const char *path, const void *json, size_t len,
                                     const struct cr_p256_pub *pub, uint8_t ret_sig[static CR_P256_SIG]);
/* org.json of the server as it lies there, and its signature, which was verified. ret_json: malloc'ed
 * err: as state_org() */
MUST_CHECK enum err state_org_bytes(const char *root, uint8_t **ret_json, size_t *ret_len,
                                    uint8_t ret_sig[static CR_P256_SIG]);
/* The stores as server.conf has them. err: NOT_FOUND (a SQLite half was never made), OFFLINE, VERSION, ... */
MUST_CHECK enum err state_store(const char *root, const struct conf *conf, struct store **ret);
/* The same as the writer's user, for good, where the caller is root: no file of a store becomes another
 * user's. The working folder is the writer's then. err: RANGE (server.conf makes the writer root), ... */
MUST_CHECK enum err state_store_as_writer(const char *root, const struct conf *conf, struct store **ret);
/* Why that failed, as a sentence. */
const char *state_store_text(enum err e);
/* Is this half in SQLite? */
bool state_is_sqlite(const struct conf *conf, enum store_half half);
/* Path of its file. err: RANGE */
MUST_CHECK enum err state_sqlite_path(const char *root, enum store_half half, char ret[static PATH_MAX]);

/* What is said where init did not run. */
#define STATE_NO_SERVER "no server was set up here; run keyholt-server init"
/* Did it? The package brings server.conf; the organisation is init's. root: absolute */
bool state_has_organisation(const char *root);
/* Why server.conf, the organisation or a log of it could not be read: that sentence on NOT_FOUND. */
const char *state_text(enum err e);
/* A word on standard error. Returns code. */
int state_complain(int code, const char *what, const char *reason);
/* A word on standard error on why state_org() failed. root: absolute. Returns KH_EXIT_FAILED. */
int state_no_org(const char *root, enum err e);
/* Root made absolute, and server.conf. Returns 0, or an exit code after a word on standard error. */
int state_begin(const char *root, char ret_root[static PATH_MAX], struct conf *ret_conf);
