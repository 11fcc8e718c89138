#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every opening at the desk begins with: the audit log, the organisation, the desk key; and a "no" that
 * is written down. */

#include "formats/envelope.h"
#include "tools/desk_log.h"
#include "tools/desk_org.h"
#include <stdbool.h>

struct cr_p256_key;

/* What the command line said, checked; all borrowed. root_key and user may be NULL. */
struct desk_request {
    const char *qr, *envelope; /* of open: either is set */
    const char *key, *passphrase, *org, *root_key, *who, *reason, *user, *root;
    bool json;
};

struct desk_session {
    const struct desk_request *req;
    struct desk_log log;
    struct org org;
    struct envelope envelope; /* of what is to be opened */
    bool has_envelope;
    struct cr_p256_key *key;
};

/* Each says on stderr what is wrong, and returns an enum kh_exit. */
int desk_session_log(struct desk_session *s);
int desk_session_org(struct desk_session *s);
int desk_session_key(struct desk_session *s);
/* Is the envelope sealed to the key? what: "the envelope", for the sentences */
int desk_session_recipients(struct desk_session *s, const char *what);
/* Write the disclosure down; on KH_EXIT_OK it is durable, and the envelope may be opened. */
int desk_session_disclose(struct desk_session *s, const char *detail, struct audit_head *ret_head);
void desk_session_close(struct desk_session *s);

/* The answer is no: say why, and leave that in the log, too. Returns KH_EXIT_NO. */
__attribute__((format(printf, 2, 3))) int desk_refuse(struct desk_session *s, const char *format, ...);

/* The command line's half of the above: is everything there that the log has to say? verb: for the usage */
struct desk_verb;
int desk_session_check(const struct desk_verb *verb, const struct desk_request *r);
/* Its options, for a table of getopt_long()'s, and where the value of one goes (NULL: it is another's). */
#define DESK_SESSION_OPTIONS                                                                                 \
    {"key", required_argument, NULL, 'k'}, {"key-passphrase-file", required_argument, NULL, 'p'},            \
        {"org", required_argument, NULL, 'o'}, {"root-key", required_argument, NULL, 'R'},                   \
        {"who", required_argument, NULL, 'w'}, {"reason", required_argument, NULL, 'r'},                     \
        {"user", required_argument, NULL, 'u'},                                                              \
    {                                                                                                        \
        "root", required_argument, NULL, 'd'                                                                 \
    }
const char **desk_session_place(struct desk_request *r, int option);
