/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file is written here, and not by the keeper, whose sandbox knows no places of a person's choice. */
#include "agent/command/command.h"
#include "crypto/host/file.h"
#include "formats/outbox.h"
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64u << 20)

struct pile {
    uint8_t *p;
    size_t len;
};

static enum err add_piece(void *ctx, struct msg_span s)
{
    struct pile *f = ctx;
    if (s.len > FILE_MAX - f->len)
        return ERR_RANGE;
    uint8_t *p = realloc(f->p, f->len + s.len);
    if (!p)
        return ERR_NOMEM;
    memcpy(p + f->len, s.p, s.len);
    f->p = p;
    f->len += s.len;
    return ERR_OK;
}

static int run(int argc, char **argv)
{
    static const struct command_option own[] = {{NULL, NULL, NULL}};
    const struct msg m = {.type = MSG_EXPORT};
    struct command_args a;
    struct command_answer answer;
    struct pile file = {0};
    int code;
    if (!command_parse(&command_export, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices != 1)
        return command_usage(&command_export, "export takes the name of one file");
    command_ask_pieces(&a, &m, add_piece, &file, &answer);
    if (answer.exit_code == KH_EXIT_OK) {
        enum err e = file_write(a.device[0], file.p, file.len, 0600);
        if (e != ERR_OK) {
            command_say("%s: %s; nothing was written", a.device[0], err_text(e));
            command_answer_free(&answer);
            answer.exit_code = KH_EXIT_FAILED;
        }
    }
    free(file.p);
    return answer.text ? command_show(&a, &answer, NULL) : answer.exit_code;
}

const struct command command_export = {
    "export", run, "write what waits for a server to a file, for a machine without a network",
    "[--json] FILE\n\n"
    "Bring FILE to the server's machine: keyholt-server import outbox FILE; then\n"
    "bring the answer that it writes back: keyholt-agent import ANSWER. Nothing is\n"
    "lost when a file is: export again. FILE holds no secret: signed records, sealed\n"
    "envelopes, and no token, but its hash. Exit codes: 0 written; 1 failed; 2 wrong\n"
    "use; 4 not now.\n"};
