/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "agent/command/command_token.h"
#include "agent/command/page.h"
#include "formats/host/json_strict.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROMPT "Passphrase that opens the volume now: "

struct options {
    struct command_args args;
    const char *passphrase_file, *key_file, *recovery_file, *token_text;
    int token; /* COMMAND_ANY_TOKEN: none was named */
    bool no_esp, all;
};

/* The volumes that are to be protected, and what became of each. */
struct work {
    unsigned n;
    char device[COMMAND_DEVICES][PATH_MAX];
    bool waits[COMMAND_DEVICES]; /* nothing is needed to open it */
    struct command_answer answer[COMMAND_DEVICES];
};

static const char *text(struct json_object *o, const char *name)
{
    struct json_object *v;
    return json_object_object_get_ex(o, name, &v) && v ? json_object_get_string(v) : "";
}

/* Its key is made; only a server's word for it is missing. */
static bool waits(struct json_object *v)
{
    return strcmp(text(v, "state"), "waits-for-receipt") == 0;
}

/* Built-in volumes that could be protected and are not. Removable ones may be somebody else's: those are
 * named. */
static bool is_due(struct json_object *v)
{
    return strcmp(text(v, "format"), "luks2") == 0 && strcmp(text(v, "kind"), "removable") != 0 &&
           (strcmp(text(v, "state"), "not-protected") == 0 || strcmp(text(v, "state"), "pending") == 0 ||
            waits(v));
}

/* returns: exit code of the question; 0 also when there is nothing to do */
static int find_all(const struct options *o, struct work *w)
{
    const struct msg m = {.type = MSG_STATUS};
    struct command_answer answer;
    struct json_object *volumes = NULL;
    command_ask(&o->args, &m, &answer);
    if (answer.exit_code != KH_EXIT_OK)
        return command_show(&o->args, &answer, NULL);
    size_t n = json_get_array(answer.json, "volumes", 4096, &volumes) == ERR_OK
                   ? json_object_array_length(volumes)
                   : 0;
    for (size_t i = 0; i < n && w->n < COMMAND_DEVICES; i++) {
        struct json_object *v = json_object_array_get_idx(volumes, i);
        if (!is_due(v))
            continue;
        w->waits[w->n] = waits(v);
        (void)snprintf(w->device[w->n++], PATH_MAX, "%s", text(v, "device"));
    }
    command_answer_free(&answer);
    return KH_EXIT_OK;
}

static void ask(const struct options *o, const char *device, const struct secret *unlock, uint32_t flags,
                struct command_answer *ret)
{
    const struct msg m = {.type = MSG_PROTECT,
                          .protect = {.device = msg_text(device),
                                      .passphrase = {unlock->bytes, unlock->len},
                                      .flags = flags | (o->no_esp ? MSG_PROTECT_NO_ESP : 0u) |
                                               (o->recovery_file ? MSG_PROTECT_BITLOCKER : 0u)}};
    command_ask(&o->args, &m, ret);
}

static void refused_by_key_file(const char *device, struct command_answer *ret)
{
    static const char text[] = "the key file does not open it; nothing was changed";
    ret->exit_code = KH_EXIT_NO;
    ret->text = strdup(text);
    ret->json = json_object_new_object();
    json_object_object_add(ret->json, "device", json_object_new_string(device));
    json_object_object_add(ret->json, "message", json_object_new_string(text));
}

/* What opens the volume now may be a key file, or a token of its own: one that was named, or one that needs
 * nobody, so that a computer can be set up without a person. */
static enum err by_token(const struct options *o, const char *device, struct command_answer *ret)
{
    SECRET(unlock);
    uint32_t flags = 0;
    TRY(o->key_file ? command_key_file(device, o->key_file, &unlock, &flags)
                    : command_token(device, o->token, o->passphrase_file, &unlock, &flags));
    ask(o, device, &unlock, flags, ret);
    return ERR_OK;
}

/* One volume. The passphrase that was given first serves all; a volume with another one is asked for by name
 * where somebody sits at a terminal. */
static void protect_one(const struct options *o, struct work *w, unsigned i, const struct secret *unlock)
{
    char prompt[PATH_MAX + 64];
    SECRET(other);
    if (w->n > 1)
        (void)fprintf(stderr, "volume %u of %u: %s\n", i + 1, w->n, w->device[i]);
    ask(o, w->device[i], unlock, 0, &w->answer[i]);
    if (w->n == 1 || w->answer[i].exit_code != KH_EXIT_NO || o->passphrase_file || o->recovery_file)
        return;
    (void)snprintf(prompt, sizeof prompt, "%s has another passphrase (empty: leave it out): ", w->device[i]);
    if (command_secret(NULL, prompt, &other) != ERR_OK)
        return;
    command_answer_free(&w->answer[i]);
    ask(o, w->device[i], &other, 0, &w->answer[i]);
}

/* The worst: failed, refused, not now, done. */
static int worst(const struct work *w)
{
    static const int order[] = {KH_EXIT_FAILED, KH_EXIT_NO, KH_EXIT_QUEUED};
    for (size_t k = 0; k < sizeof order / sizeof order[0]; k++)
        for (unsigned i = 0; i < w->n; i++)
            if (w->answer[i].exit_code == order[k])
                return order[k];
    return KH_EXIT_OK;
}

static void print_table(const struct work *w)
{
    static const char *const head[] = {"VOLUME", "RESULT", "KEY ID", "DETAILS"};
    struct page p;
    struct page_table t;
    page_open(&p, stdout);
    page_table_init(&t, head, 4, 1);
    for (unsigned i = 0; i < w->n; i++) {
        const struct command_answer *a = &w->answer[i];
        bool good = a->exit_code == KH_EXIT_OK;
        const char *cells[] = {w->device[i],
                               text(a->json, "state")[0]        ? text(a->json, "state")
                               : a->exit_code == KH_EXIT_QUEUED ? "not now"
                               : a->exit_code == KH_EXIT_NO     ? "refused"
                                                                : "failed",
                               text(a->json, "key_id_short"), good ? text(a->json, "warning") : a->text};
        page_table_add(&t, good ? TONE_GOOD : TONE_BAD, cells);
    }
    page_table_print(&p, &t);
    page_table_free(&t);
}

static void print_json(const struct work *w)
{
    struct json_object *all = json_object_new_object(), *list = json_object_new_array();
    for (unsigned i = 0; i < w->n; i++) {
        struct json_object *o = json_object_get(w->answer[i].json);
        if (w->answer[i].exit_code != KH_EXIT_OK)
            json_object_object_add(o, "device", json_object_new_string(w->device[i]));
        json_object_object_add(o, "exit_code", json_object_new_int(w->answer[i].exit_code));
        json_object_array_add(list, o);
    }
    json_object_object_add(all, "volumes", list);
    command_print_json(all);
    json_object_put(all);
}

static int show(const struct options *o, struct work *w)
{
    int code = worst(w);
    if (w->n == 1 && !o->all)
        return command_show(&o->args, &w->answer[0], NULL);
    if (o->args.json)
        print_json(w);
    else if (w->n)
        print_table(w);
    else
        puts("every built-in LUKS2 volume is protected already");
    for (unsigned i = 0; i < w->n; i++)
        command_answer_free(&w->answer[i]);
    return code;
}

static int protect(const struct options *o, struct work *w)
{
    SECRET(unlock);
    const char *file = o->recovery_file ? o->recovery_file : o->passphrase_file;
    bool done[COMMAND_DEVICES] = {false};
    unsigned left = 0;
    for (unsigned i = 0; i < w->n; i++) {
        if (w->waits[i])
            ask(o, w->device[i], &unlock, 0, &w->answer[i]);
        done[i] =
            w->waits[i] || ((o->token_text || !file) && by_token(o, w->device[i], &w->answer[i]) == ERR_OK);
        if (!done[i] && o->key_file) {
            refused_by_key_file(w->device[i], &w->answer[i]);
            done[i] = true;
        }
        left += !done[i];
    }
    if (left && o->token_text)
        return KH_EXIT_NO; /* said */
    if (left && command_secret(file, PROMPT, &unlock) != ERR_OK)
        return KH_EXIT_FAILED;
    for (unsigned i = 0; i < w->n; i++)
        if (!done[i])
            protect_one(o, w, i, &unlock);
    return show(o, w);
}

static int check(struct options *o)
{
    const struct command *c = &command_protect;
    if (o->all ? o->args.n_devices != 0 : o->args.n_devices == 0)
        return command_usage(c, "name the devices, or say --all");
    if (o->key_file && (o->passphrase_file || o->recovery_file || o->token_text))
        return command_usage(c, "a key file, or something else that opens the volume");
    if (o->passphrase_file && o->recovery_file)
        return command_usage(c, "--passphrase-file is for LUKS2, --recovery-password-file for BitLocker");
    if (o->recovery_file && (o->all || o->args.n_devices != 1))
        return command_usage(c,
                             "a BitLocker volume has a recovery password of its own: one device at a time");
    if (o->token_text && (o->recovery_file || o->all || o->args.n_devices != 1))
        return command_usage(c, "--existing-token is for one LUKS2 device");
    if (o->token_text && !command_token_number(o->token_text, &o->token))
        return command_usage(c, "a token is a number from 0 to 31 (cryptsetup luksDump shows them)");
    return KH_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct options o = {.token = COMMAND_ANY_TOKEN};
    const struct command_option own[] = {{"passphrase-file", &o.passphrase_file, NULL},
                                         {"key-file", &o.key_file, NULL},
                                         {"existing-token", &o.token_text, NULL},
                                         {"recovery-password-file", &o.recovery_file, NULL},
                                         {"no-esp", NULL, &o.no_esp},
                                         {"all", NULL, &o.all},
                                         {NULL, NULL, NULL}};
    int code;
    if (!command_parse(&command_protect, argc, argv, own, &o.args, &code))
        return code;
    code = check(&o);
    struct work *w = calloc(1, sizeof *w);
    if (code == KH_EXIT_OK && !w)
        code = KH_EXIT_FAILED;
    if (code == KH_EXIT_OK && o.all)
        code = find_all(&o, w);
    for (unsigned i = 0; code == KH_EXIT_OK && i < o.args.n_devices; i++)
        command_device(o.args.device[i], w->device[w->n++]);
    if (code == KH_EXIT_OK)
        code = protect(&o, w);
    free(w);
    return code;
}

const struct command command_protect = {
    "protect", run, "make and escrow recovery passwords for volumes",
    "[--passphrase-file FILE | --key-file FILE] [--no-esp] [--json]\n"
    "                             DEVICE... | --all\n"
    "       keyholt-agent protect --existing-token N [--passphrase-file FILE]\n"
    "                             [--no-esp] [--json] DEVICE\n"
    "       keyholt-agent protect --recovery-password-file FILE [--json] DEVICE\n\n"
    "LUKS2: a new recovery password. A passphrase that opens the volumes is asked\n"
    "for, or read from FILE (\"-\" is standard input); a volume with another one is\n"
    "asked for by name. Without FILE, a token of the volume that needs nobody\n"
    "(systemd-tpm2 without a PIN, clevis) is asked first. One volume that fails does\n"
    "not stop the others.\n\n"
    "  --key-file FILE     all bytes of FILE open it, as for cryptsetup\n"
    "  --all               every built-in LUKS2 volume that is not protected yet;\n"
    "                      removable ones are named\n"
    "  --existing-token N  this token opens it; FILE holds its PIN, where it has one.\n"
    "                      Tokens and their keyslots stay as they are\n"
    "  --no-esp            leave the EFI system partition and the boot entries alone\n"
    "                      this time\n\n"
    "BitLocker: the volume's own recovery password, 48 digits out of FILE, is proved\n"
    "to open it and escrowed under its key ID. Nothing is written to the volume.\n\n"
    "Exit codes: 0 all done; 1 one failed; 2 wrong use; 3 one is not opened by what\n"
    "was given; 4 not now (a volume is being re-encrypted, somebody else is at its\n"
    "header), or queued: its key is made, and the policy (escrow: receipt) waits for\n"
    "a server to confirm it. With several volumes: the worst of them.\n"};
