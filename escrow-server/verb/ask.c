/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/ask.h"
#include "escrow-server/process/local.h"
#include "escrow-server/state.h"
#include "formats/names.h"

int ask_exit_unreachable(enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND:
    case ERR_OFFLINE:
    case ERR_BUSY:
    case ERR_TRUNCATED:
    case ERR_TIMEOUT:
        return KH_EXIT_QUEUED;
    default:
        return KH_EXIT_FAILED;
    }
}

int ask_exit_refused(enum err e)
{
    switch (e) {
    case ERR_OFFLINE:
    case ERR_BUSY:
    case ERR_TIMEOUT:
    case ERR_FULL:
        return KH_EXIT_QUEUED;
    case ERR_FORMAT:
        return KH_EXIT_USAGE;
    case ERR_NOMEM:
    case ERR_IO: /* nobody said no: a log, or a file of users, that is broken */
    case ERR_INTERNAL:
        return KH_EXIT_FAILED;
    default:
        return KH_EXIT_NO;
    }
}

int ask_server(const char *root, const char *what, struct json_object *request, const struct secret *secret,
               struct json_object **ret)
{
    const char *detail = "the server's answer cannot be read";
    struct json_object *answer = NULL;
    enum err e = local_ask(root, request, secret, &answer, NULL);
    json_object_put(request);
    if (e != ERR_OK)
        return state_complain(ask_exit_unreachable(e), what, local_why(e));
    e = local_result(answer, &detail);
    if (e == ERR_OK) {
        *ret = answer;
        return KH_EXIT_OK;
    }
    int code = state_complain(ask_exit_refused(e), what, detail);
    json_object_put(answer);
    return code;
}
