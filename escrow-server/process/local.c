/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/local.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "escrow-server/places.h"
#include "escrow-server/process/listen.h"
#include "formats/host/json_strict.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_S 30

struct buffer {
    char *p;
    size_t len;
};

static void buffer_wipe(struct buffer *b)
{
    if (b->p != NULL)
        cr_wipe(b->p, LOCAL_LINE_MAX);
    free(b->p);
}

static enum err send_all(int fd, const void *p, size_t len)
{
    const char *at = p;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return ERR_TIMEOUT;
        if (n <= 0)
            return ERR_OFFLINE;
        at += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

/* What follows the line of JSON. */
struct tail {
    const void *p;
    size_t len;
    bool newline; /* behind it */
};

static enum err send_request(int fd, struct json_object *request, const struct tail *tail)
{
    const char *line = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
    if (line == NULL)
        return ERR_NOMEM;
    TRY(send_all(fd, line, strlen(line)));
    TRY(send_all(fd, "\n", 1));
    if (tail->len > 0)
        TRY(send_all(fd, tail->p, tail->len));
    return tail->len > 0 && tail->newline ? send_all(fd, "\n", 1) : ERR_OK;
}

/* Until the server closes; it may do so with some of the request unread (ECONNRESET). */
static enum err receive_all(int fd, struct buffer *b)
{
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        int ready = poll(&p, 1, ANSWER_S * 1000);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ERR_TIMEOUT;
        ssize_t n = recv(fd, b->p + b->len, LOCAL_LINE_MAX - b->len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return b->len > 0 ? ERR_OK : ERR_TRUNCATED;
        b->len += (size_t)n;
        if (b->len == LOCAL_LINE_MAX)
            return ERR_FORMAT;
    }
}

static enum err read_answer(const struct buffer *b, struct json_object **ret, struct secret *ret_secret)
{
    const char *end = memchr(b->p, '\n', b->len);
    if (end == NULL)
        return ERR_FORMAT;
    TRY(json_strict_parse(b->p, (size_t)(end - b->p), ret));
    size_t left = b->len - (size_t)(end + 1 - b->p);
    if (left == 0)
        return ERR_OK;
    if (ret_secret == NULL || left > SECRET_MAX || end[left] != '\n') {
        json_object_put(*ret);
        return ERR_FORMAT;
    }
    memcpy(ret_secret->bytes, end + 1, left - 1);
    ret_secret->len = left - 1;
    return ERR_OK;
}

static enum err ask(const char *root, struct json_object *request, const struct tail *tail,
                    struct json_object **ret, struct secret *ret_secret)
{
    char path[PATH_MAX];
    int fd;
    TRY(file_join(root, KH_SERVER_SOCK, path, sizeof path));
    TRY(listen_local_connect(path, ANSWER_S, &fd));
    __attribute__((cleanup(buffer_wipe))) struct buffer b = {.p = malloc(LOCAL_LINE_MAX)};
    enum err e = b.p == NULL ? ERR_NOMEM : send_request(fd, request, tail);
    if (e == ERR_OK || e == ERR_OFFLINE) /* who is turned away before he has said all is told why */
        e = receive_all(fd, &b);
    close(fd);
    return e == ERR_OK ? read_answer(&b, ret, ret_secret) : e;
}

enum err local_ask(const char *root, struct json_object *request, const struct secret *secret,
                   struct json_object **ret, struct secret *ret_secret)
{
    bool has = secret != NULL && secret->len > 0;
    const struct tail tail = {has ? secret->bytes : NULL, has ? secret->len : 0, true};
    json_object_object_add(request, "secret", json_object_new_boolean(has));
    return ask(root, request, &tail, ret, ret_secret);
}

enum err local_ask_with(const char *root, struct json_object *request, const void *bytes, size_t len,
                        struct json_object **ret)
{
    const struct tail tail = {bytes, len, false};
    json_object_object_add(request, "bytes", json_object_new_int64((int64_t)len));
    return ask(root, request, &tail, ret, NULL);
}

const char *local_why(enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return "the server is not running here (it has no socket); start it first, or name its --root";
    case ERR_OFFLINE:
        return "the server is not running here; start it first";
    case ERR_BUSY:
        return "the server is busy: too many wait for it at its local socket; try again in a moment";
    case ERR_TRUNCATED:
        return "the server ended the connection without an answer, as when it stops; whether it did what was "
               "asked is not known; look, and ask again";
    case ERR_TIMEOUT:
        return "the server did not answer within 30 seconds; whether it does what was asked is not known; "
               "its "
               "log may say why";
    case ERR_DENIED:
        return "the server's socket is not open to you; ask as root, or as the user that runs the server";
    case ERR_FORMAT:
        return "the server's answer is not in its form; it may be of another version than this command";
    default:
        return err_text(e);
    }
}

static enum err err_from_name(const char *name)
{
    for (int e = ERR_OK; e <= ERR_INTERNAL; e++)
        if (strcmp(err_name((enum err)e), name) == 0)
            return (enum err)e;
    return strcmp(name, LOCAL_APPROVAL) == 0 ? ERR_BUSY : ERR_FORMAT;
}

enum err local_result(struct json_object *answer, const char **ret_detail)
{
    const char *status, *name, *detail;
    if (json_get_text(answer, "status", 16, &status) != ERR_OK)
        return ERR_FORMAT;
    if (strcmp(status, "ok") == 0)
        return ERR_OK;
    if (json_get_text(answer, "err", 32, &name) != ERR_OK ||
        json_get_text(answer, "detail", 1024, &detail) != ERR_OK)
        return ERR_FORMAT;
    *ret_detail = detail;
    enum err e = err_from_name(name);
    return e == ERR_OK ? ERR_FORMAT : e;
}

enum err local_read_code(const char *path, char *ret, size_t cap)
{
    SECRET(code);
    TRY(secret_from_file(path, &code));
    if (code.len == 0 || code.len >= cap)
        return ERR_RANGE;
    memcpy(ret, code.bytes, code.len);
    ret[code.len] = '\0';
    return strspn(ret, "0123456789") == code.len ? ERR_OK : ERR_FORMAT;
}
