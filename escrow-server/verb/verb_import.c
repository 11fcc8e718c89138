/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/places.h"
#include "escrow-server/process/local.h"
#include "escrow-server/verb/ask.h"
#include "escrow-server/verb/options.h"
#include "escrow-server/verb/verbs.h"
#include "formats/host/json_strict.h"
#include "formats/outbox_answer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64u << 20)

static const char usage[] = "  keyholt-server import outbox [--root DIR] [--answer FILE] FILE [--json]\n";

struct import {
    const char *root, *file;
    uint8_t *answer; /* what goes back, one answer behind the other */
    size_t len;
    uint64_t records, outboxes;
    bool enrolled;
};

static int complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: import: %s: %s\n", what, reason);
    return code;
}

static enum err keep(struct import *i, struct json_object *o)
{
    const char *device;
    uint64_t records;
    struct json_object *enrolled;
    size_t len = 0;
    uint8_t *p = realloc(i->answer, i->len + OUTBOX_ANSWER_MAX);
    if (p == NULL)
        return ERR_NOMEM;
    i->answer = p;
    TRY(json_get_base64(o, "answer", p + i->len, OUTBOX_ANSWER_MAX, &len));
    TRY(json_get_text(o, "device", 64, &device));
    TRY(json_get_u64(o, "records", &records));
    if (json_object_object_get_ex(o, "enrolled", &enrolled) && json_object_get_boolean(enrolled)) {
        fprintf(stderr, "keyholt-server: import: device %s is enrolled now\n", device);
        i->enrolled = true;
    }
    i->len += len;
    i->records += records;
    i->outboxes++;
    return ERR_OK;
}

static int exit_of(enum err e)
{
    return e == ERR_FORMAT ? KH_EXIT_NO : ask_exit_refused(e); /* it is the file that is not in its form */
}

static int import_one(struct import *i, const uint8_t *p, size_t len)
{
    const char *detail = "the server's answer cannot be read";
    struct json_object *answer = NULL, *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("outbox"));
    enum err e = local_ask_with(i->root, o, p, len, &answer);
    json_object_put(o);
    if (e != ERR_OK)
        return complain(ask_exit_unreachable(e), i->file, local_why(e));
    e = local_result(answer, &detail);
    int code = e == ERR_OK ? KH_EXIT_OK : complain(exit_of(e), i->file, detail);
    if (e == ERR_OK && keep(i, answer) != ERR_OK)
        code = complain(KH_EXIT_FAILED, i->file, detail);
    json_object_put(answer);
    return code;
}

static int import_all(struct import *i, const uint8_t *p, size_t len)
{
    int code = KH_EXIT_OK;
    size_t n;
    for (size_t off = 0; code == KH_EXIT_OK && off < len; off += n) {
        enum err e = outbox_length(p + off, len - off, &n);
        if (e == ERR_OK && (n > len - off || n == 0))
            e = ERR_TRUNCATED;
        if (e != ERR_OK)
            return complain(KH_EXIT_NO, i->file, err_text(e));
        code = import_one(i, p + off, n);
    }
    return code;
}

/* What was stored is answered, even when something behind it was refused. */
static int write_answer(const struct import *i, const char *path, int code)
{
    if (i->len == 0)
        return code;
    enum err e = file_write(path, i->answer, i->len, 0600);
    if (e == ERR_OK)
        return code;
    return complain(KH_EXIT_FAILED, path,
                    "the answer cannot be written; import the file again, nothing is lost");
}

static int import_file(struct import *i, const char *answer, bool json)
{
    uint8_t *p = NULL;
    size_t len = 0;
    enum err e = file_read(i->file, FILE_MAX, &p, &len);
    if (e == ERR_OK && len == 0)
        e = ERR_TRUNCATED;
    int code = e == ERR_OK ? import_all(i, p, len) : complain(KH_EXIT_FAILED, i->file, err_text(e));
    free(p);
    code = write_answer(i, answer, code);
    free(i->answer);
    if (json && (code == KH_EXIT_OK || i->outboxes > 0))
        printf("{\"records\":%llu,\"enrolled\":%s}\n", (unsigned long long)i->records,
               i->enrolled ? "true" : "false");
    else if (!json && i->outboxes > 0)
        printf("%llu records are stored; bring %s back to the device: keyholt-agent import\n",
               (unsigned long long)i->records, answer);
    return code;
}

static int run(int argc, char *const *argv)
{
    const char *root = "/", *answer = NULL;
    char absolute[PATH_MAX], beside[PATH_MAX];
    bool json = false;
    struct option_list rest = {.n = 0};
    const struct option_def defs[] = {{"root", OPTION_TEXT, false, &root},
                                      {"answer", OPTION_TEXT, false, &answer},
                                      {"json", OPTION_FLAG, false, &json},
                                      {NULL, OPTION_REST, false, &rest}};
    if (argc < 1 || strcmp(argv[0], "outbox") != 0)
        return options_wrong_words("import", argc, argv, usage);
    if (options_parse(argc - 1, argv + 1, defs, 4, usage) != ERR_OK)
        return KH_EXIT_USAGE;
    if (rest.n != 1)
        return options_wrong_words("import", argc, argv, usage);
    if (place_absolute(root, absolute) != ERR_OK ||
        (size_t)snprintf(beside, sizeof beside, "%s.answer", rest.item[0]) >= sizeof beside)
        return complain(KH_EXIT_FAILED, root, "a path is too long");
    struct import i = {.root = absolute, .file = rest.item[0]};
    return import_file(&i, answer != NULL ? answer : beside, json);
}

const struct verb verb_import = {"import", run, usage, "take in what a device without a network exported"};
