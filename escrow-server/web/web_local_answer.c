/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers on the local socket, and the questions that they wait for. */
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web_local.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Answers are small and the socket is fresh, so they fit; a client that does not read loses its answer. */
static bool put(int fd, const void *p, size_t len)
{
    const char *at = p;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool put_line(int fd, struct json_object *answer)
{
    const char *line =
        json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    return line != NULL && put(fd, line, strlen(line)) && put(fd, "\n", 1);
}

struct json_object *local_ok(void)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string("ok"));
    return o;
}

static struct json_object *failure(enum err e, const char *detail)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string("failed"));
    json_object_object_add(o, "err", json_object_new_string(err_name(e)));
    json_object_object_add(o, "detail", json_object_new_string(detail));
    return o;
}

void local_answer(struct local *l, struct json_object *answer, const struct secret *secret)
{
    bool sent = put_line(l->fd, answer);
    if (sent && secret != NULL)
        sent = put(l->fd, secret->bytes, secret->len) && put(l->fd, "\n", 1);
    if (!sent)
        slog(SLOG_WARN, "local", "warning=\"whoever asked did not take the answer\"");
    json_object_put(answer);
    local_end(l);
}

void local_fail(struct local *l, enum err e, const char *detail)
{
    struct json_object *o = failure(e, detail);
    if (e == ERR_CONFLICT && l->keys != NULL) {
        json_object_object_add(o, "keys", json_object_get(l->keys));
        json_object_object_add(o, "more", json_object_new_boolean(l->more_keys));
    }
    local_answer(l, o, NULL);
}

void local_away(struct local *l, enum back_kind kind)
{
    local_fail(l, ERR_OFFLINE, back_away[kind]);
}

void local_failed(struct local *l, enum err e, const struct msg_frame *m)
{
    struct msg_failed failed;
    if (m != NULL && m->type == MSG_FAILED && msg_get_failed(m->body, m->len, &failed) == ERR_OK &&
        failed.detail[0] != '\0')
        return local_fail(l, e, failed.detail);
    if (e == ERR_OFFLINE || e == ERR_TIMEOUT)
        return local_fail(l, e, back_away[l->asks]);
    local_fail(l, e, "The server cannot do this now.");
}

void local_refuse(int fd, enum err e, const char *detail)
{
    struct json_object *o = failure(e, detail);
    (void)put_line(fd, o);
    json_object_put(o);
}

struct writer *local_begin(struct local *l, enum back_kind kind, uint8_t type, back_done *done)
{
    struct writer *body = back_begin(l->web, kind, type, done, l, &l->waiting);
    l->asks = kind;
    if (body == NULL)
        local_away(l, kind);
    return body;
}

bool local_number(struct local *l, enum err e, const struct msg_frame *m, uint64_t *ret)
{
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_u64(m->body, m->len, ret);
    if (e != ERR_OK)
        local_failed(l, e, m);
    return e == ERR_OK;
}

void local_done(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    l->waiting = 0;
    if (e != ERR_OK)
        return local_failed(l, e, m);
    local_answer(l, local_ok(), NULL);
}
