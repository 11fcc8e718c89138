/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "crypto/host/file.h"
#include "formats/host/json_strict.h"
#include "formats/outbox_answer.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX (64u << 20)

/* One answer of the file; the keeper's verdict. */
static int import_one(const struct command_args *a, const uint8_t *p, size_t len, uint64_t *receipted,
                      uint64_t *waiting)
{
    const struct msg m = {.type = MSG_IMPORT, .import.bytes = {p, len}};
    struct command_answer answer;
    uint64_t n = 0;
    command_ask(a, &m, &answer);
    int code = answer.exit_code;
    if (json_get_u64(answer.json, "receipted", &n) == ERR_OK)
        *receipted += n;
    if (json_get_u64(answer.json, "waiting", &n) == ERR_OK)
        *waiting = n;
    if (code != KH_EXIT_OK)
        command_say("%s", answer.text ? answer.text : "not enough memory");
    command_answer_free(&answer);
    return code;
}

static int import_all(const struct command_args *a, const uint8_t *p, size_t len)
{
    uint64_t receipted = 0, waiting = 0;
    int code = KH_EXIT_OK;
    size_t n;
    for (size_t off = 0; code == KH_EXIT_OK && off < len; off += n) {
        enum err e = outbox_answer_length(p + off, len - off, &n);
        if (e != ERR_OK || n > len - off || n == 0) {
            command_say("%s: byte %zu: this is no answer to an exported outbox", a->device[0], off);
            return KH_EXIT_FAILED;
        }
        code = import_one(a, p + off, n, &receipted, &waiting);
    }
    if (a->json)
        printf("{\"receipted\":%" PRIu64 ",\"waiting\":%" PRIu64 "}\n", receipted, waiting);
    else
        printf("%" PRIu64 " records receipted, %" PRIu64 " waiting\n", receipted, waiting);
    return code;
}

static int run(int argc, char **argv)
{
    static const struct command_option own[] = {{NULL, NULL, NULL}};
    struct command_args a;
    uint8_t *p = NULL;
    size_t len = 0;
    int code;
    if (!command_parse(&command_import, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices != 1)
        return command_usage(&command_import, "import takes the name of one file");
    enum err e = file_read(a.device[0], FILE_MAX, &p, &len);
    if (e == ERR_OK && len == 0)
        e = ERR_TRUNCATED;
    if (e != ERR_OK) {
        command_say("%s: %s; nothing was changed", a.device[0], err_text(e));
        free(p);
        return KH_EXIT_FAILED;
    }
    code = import_all(&a, p, len);
    free(p);
    return code;
}

const struct command command_import = {
    "import", run, "take in what a server answered to an exported file",
    "[--json] FILE\n\n"
    "FILE is what 'keyholt-server import outbox' wrote. The same answer may be\n"
    "imported again. Exit codes: 0 done; 1 failed; 2 wrong use; 3 it is for another\n"
    "computer, or does not verify.\n"};
