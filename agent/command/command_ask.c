/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/channel.h"
#include "agent/command/command.h"
#include "crypto/host/file.h"
#include "formats/host/json_strict.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 120000 /* longer than the keeper waits for the courier */

/* The same form as a failure that the keeper tells. */
static void fail(struct command_answer *ret, enum err e, const char *path)
{
    char text[PATH_MAX + 200];
    (void)snprintf(text, sizeof text, "the keeper does not answer at %s (%s); %s", path, err_text(e),
                   e == ERR_DENIED ? "only root may ask it"
                                   : "is it running? systemctl status keyholt-keeper");
    ret->exit_code = KH_EXIT_FAILED;
    ret->text = strdup(text);
    ret->json = json_object_new_object();
    json_object_object_add(ret->json, "error", json_object_new_string(err_name(e)));
    json_object_object_add(ret->json, "message", json_object_new_string(text));
}

/* Steps are for eyes: a script's log gets what was said, not what was being done. */
static void show_progress(struct msg_span s, bool step)
{
    if (step && !isatty(STDERR_FILENO))
        return;
    (void)fprintf(stderr, "%.*s\n", (int)s.len, (const char *)s.p);
}

static enum err take_result(const struct msg *m, struct command_answer *ret)
{
    ret->exit_code = (int)m->result.exit_code;
    ret->text = strndup((const char *)m->result.text.p, m->result.text.len);
    enum err e = json_strict_parse((const char *)m->result.json.p, m->result.json.len, &ret->json);
    return ret->text ? e : ERR_NOMEM;
}

struct sink {
    enum err (*take)(void *ctx, struct msg_span piece);
    void *ctx;
};

static enum err talk(struct channel *c, const struct msg *request, const struct sink *sink,
                     struct command_answer *ret)
{
    struct msg m;
    TRY(channel_send(c, request, ANSWER_MS));
    for (;;) {
        TRY(channel_recv(c, ANSWER_MS, &m));
        if (m.type == MSG_RESULT)
            return take_result(&m, ret);
        if (m.type == MSG_PROGRESS)
            show_progress(m.progress.text, m.progress.step);
        else if (m.type == MSG_PIECE && sink->take)
            TRY(sink->take(sink->ctx, m.piece.bytes));
        else
            return ERR_FORMAT;
    }
}

void command_ask(const struct command_args *a, const struct msg *request, struct command_answer *ret)
{
    command_ask_pieces(a, request, NULL, NULL, ret);
}

void command_ask_pieces(const struct command_args *a, const struct msg *request,
                        enum err (*take)(void *ctx, struct msg_span piece), void *ctx,
                        struct command_answer *ret)
{
    const struct sink sink = {take, ctx};
    char path[PATH_MAX] = KH_KEEPER_SOCK;
    struct channel c = {.fd = -1};
    *ret = (struct command_answer){0};
    enum err e = file_join(a->root, KH_KEEPER_SOCK, path, sizeof path);
    if (e == ERR_OK)
        e = channel_connect(path, &c);
    if (e == ERR_OK)
        e = talk(&c, request, &sink, ret);
    channel_close(&c);
    if (e != ERR_OK) {
        command_answer_free(ret);
        fail(ret, e, path);
    }
}

void command_answer_free(struct command_answer *answer)
{
    free(answer->text);
    json_object_put(answer->json);
    *answer = (struct command_answer){0};
}

int command_show(const struct command_args *a, struct command_answer *answer,
                 void (*page)(struct json_object *o))
{
    int code = answer->exit_code;
    if (a->json)
        command_print_json(answer->json);
    else if (code == KH_EXIT_OK && page)
        page(answer->json);
    else if (code == KH_EXIT_OK)
        puts(answer->text);
    if (code != KH_EXIT_OK)
        command_say("%s", answer->text ? answer->text : "not enough memory");
    command_answer_free(answer);
    return code;
}
