#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local socket's little protocol: one line of JSON each way, then the end. A secret never stands in the
 * JSON (its memory cannot be wiped); where "secret" is true, it follows as a line of its own.
 *
 * Requests, by "op":
 *   recover  key, reason, as, user, device, code; the secret is the person's password
 *   approve  as, entry, code          a second person's word; the secret is his password
 *   wish     entry                    the request that waits for such a word (*)
 *   boots    key                      boot events with that key ID
 *   token    hash, expires, uses      a new enrolment token          (*)
 *   import   as, chain                a foreign chain lies in the vault's folder as CHAIN.new (*)
 *   erase    as, chain, entries       personal data of those entries; the secret is the person's password (*)
 *   outbox   bytes                    that many bytes follow: an outbox; answered with "answer" in base64 (*)
 *   vault                             how the vault is: its log, and each epoch of the escrow key (*)
 *   devices  after, waiting           64 devices behind that one (*)
 *   device   device, change           approve, refuse, revoke, allow, or order a report (*)
 *   flags    device or kind, behind   64 flags, newest first, behind what the answer before called "next" (*)
 *   losses                            what the audit log lost, and how far the rotation of its keys is (*)
 *   loss     word, as, reason, entry, from, until, code   acknowledge a loss, stop or set which keys rotate;
 *                                     the secret is the person's password
 * (*) only from root, or from the user that runs the server.
 *
 * Answers: "status" is "ok" or "failed"; failed ones have "err" (err_name) and "detail" (a sentence), and
 * "keys" where several fit, with "more" true where the list is not whole; a recover that a second person has
 * to approve has "err" APPROVAL and "entry". Answers to approve and wish have the request. An answer to
 * recover has the 55 characters as its secret. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <json-c/json.h>

#define LOCAL_LINE_MAX 65536

/* Ask the running server. secret: sent along when it is not NULL and not empty.
 * ret:        the answer, to be put
 * ret_secret: filled when the answer has one
 * err: NOT_FOUND (no socket is here), OFFLINE (nobody listens at it), BUSY (no room), TRUNCATED (it ended the
 *      connection without an answer), DENIED (the socket is not yours), TIMEOUT, FORMAT, NOMEM */
MUST_CHECK enum err local_ask(const char *root, struct json_object *request, const struct secret *secret,
                              struct json_object **ret, struct secret *ret_secret);
/* The same with bytes that follow the request. */
MUST_CHECK enum err local_ask_with(const char *root, struct json_object *request, const void *bytes,
                                   size_t len, struct json_object **ret);
/* What a person reads, and may do, where there was no answer. err: of the two above. Never NULL. */
const char *local_why(enum err e);
#define LOCAL_APPROVAL "APPROVAL" /* err of a request that a second person has to approve; for programs */
/* The err and detail of a failed answer (BUSY for APPROVAL); ERR_OK when it did not fail. ret_detail:
 * borrowed. */
enum err local_result(struct json_object *answer, const char **ret_detail);
/* A one-time code out of a file ("-": standard input). err: RANGE, FORMAT, and of secret_from_file() */
MUST_CHECK enum err local_read_code(const char *path, char *ret, size_t cap);
