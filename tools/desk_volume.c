/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk volume: the table of its sub-verbs and their command line. */
#include "tools/desk_volume.h"
#include "formats/luks2.h"
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_HELP                                                                                             \
    "  --recovery-password-file FILE  48 digits; spaces, dashes of any kind or nothing between\n"            \
    "  --passphrase-file FILE         a passphrase; one newline at its end is left out\n"                    \
    "  --key-file FILE                a key file of a LUKS2 volume: its bytes as they are, at most 8 MiB\n"  \
    "  --startup-key FILE             the .BEK file of a BitLocker volume\n"                                 \
    "  --clear-key                    nothing: for a BitLocker volume whose protection is suspended\n"       \
    "                                 ('-': standard input)\n"                                               \
    "  --keyslot NUMBER               try this keyslot of a LUKS2 volume and no other\n"
#define HEADER_HELP "  --header FILE                  the detached header of a LUKS2 volume\n"
#define JSON_HELP   "  --json                         print one JSON object\n"
#define IMAGE_HELP  "IMAGE is a file or a block device; it is only ever read.\n"

static const char help[] =
    "(show | test | decrypt | rebuild) IMAGE [OPTION...]\n\n"
    "Encrypted volumes, LUKS2 and BitLocker.\n\n"
    "  show IMAGE         what it is, and what opens it\n"
    "  test IMAGE         does a recovery password, passphrase, startup key or clear key open it?\n"
    "  decrypt IMAGE OUT  write the decrypted volume into a file\n"
    "  rebuild IMAGE      make a destroyed LUKS2 header anew, in a copy, from an escrowed key "
    "package\n\n" IMAGE_HELP "'keyholt-desk volume show --help' and the like explain each.\n";

static const char show_help[] =
    "IMAGE [--header FILE] [--json]\n\n"
    "Shows what an encrypted volume is and what opens it: format, cipher, state, and each keyslot or key\n"
    "protector with its key ID. No secret is needed.\n" IMAGE_HELP "\n" HEADER_HELP JSON_HELP
    "\nExit codes: 0 shown, 1 failed (not a LUKS2 or BitLocker volume, damaged), 2 wrong usage.\n";

static const char test_help[] =
    "IMAGE (--recovery-password-file FILE | --passphrase-file FILE |\n"
    "           --key-file FILE | --startup-key FILE | --clear-key) [--keyslot NUMBER]\n"
    "           [--header FILE] [--json]\n\n"
    "Says whether that opens the volume. A recovery password that does not is told apart: which group has a\n"
    "typing error, or which key IDs this volume's recovery passwords have.\n" IMAGE_HELP
    "\n" KEY_HELP HEADER_HELP JSON_HELP
    "\nExit codes: 0 opens, 1 failed (damaged volume, file missing), 2 wrong usage, 3 does not open.\n";

static const char decrypt_help[] =
    "IMAGE OUT (--recovery-password-file FILE | --passphrase-file FILE |\n"
    "           --key-file FILE | --startup-key FILE | --clear-key) [--keyslot NUMBER]\n"
    "           [--header FILE] [--force] [--cut-short] [--json]\n\n"
    "Writes the decrypted volume into the file OUT, sparse where it is zero, readable by its owner only.\n"
    "OUT has that name only once it is complete and on disk.\n" IMAGE_HELP "\n" KEY_HELP HEADER_HELP
    "  --force                        replace OUT when it exists\n"
    "  --cut-short                    decrypt what is there of a volume whose end is missing\n" JSON_HELP
    "\nExit codes: 0 done, 1 failed (nothing is left of OUT, or it says otherwise), 2 wrong usage,\n"
    "3 does not open.\n";

static const struct sub_verb {
    struct desk_verb verb;
    int (*run)(const struct desk_volume_request *req);
    bool has_out, has_key;
} sub_verbs[] = {
    {{.name = "volume show", .help = show_help}, desk_volume_show, false, false},
    {{.name = "volume test", .help = test_help}, desk_volume_test, false, true},
    {{.name = "volume decrypt", .help = decrypt_help}, desk_volume_decrypt, true, true},
};
#define N_SUB_VERBS (sizeof sub_verbs / sizeof *sub_verbs)

static const struct option options[] = {
    {"recovery-password-file", required_argument, NULL, 'r'},
    {"passphrase-file", required_argument, NULL, 'p'},
    {"key-file", required_argument, NULL, 'k'},
    {"keyslot", required_argument, NULL, 'S'},
    {"startup-key", required_argument, NULL, 's'},
    {"clear-key", no_argument, NULL, 'c'},
    {"header", required_argument, NULL, 'H'},
    {"force", no_argument, NULL, 'f'},
    {"cut-short", no_argument, NULL, 'C'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Which of the ways an option is, 0 none. */
static enum volume_way way_of(int option)
{
    switch (option) {
    case 'r':
        return VOLUME_RECOVERY_PASSWORD;
    case 'p':
        return VOLUME_PASSPHRASE;
    case 'k':
        return VOLUME_KEY_FILE;
    case 's':
        return VOLUME_STARTUP_KEY;
    case 'c':
        return VOLUME_CLEAR_KEY;
    default:
        return 0;
    }
}

#define NO_NUMBER (-2)

static int keyslot_of(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == 0 && n < LUKS2_SLOTS ? (int)n : NO_NUMBER;
}

static int check(const struct sub_verb *sub, const struct desk_volume_request *req, unsigned n_ways)
{
    const struct desk_verb *verb = &sub->verb;
    if (!req->image)
        return desk_usage(verb, "IMAGE is missing: the file or block device that holds the volume");
    if (sub->has_out && !req->out)
        return desk_usage(verb, "OUT is missing: the file to write the decrypted volume into");
    if (sub->has_key && n_ways != 1)
        return desk_usage(
            verb, n_ways ? "give only one of %s" : "say what it is to be opened with: one of %s",
            "--recovery-password-file, --passphrase-file, --key-file, --startup-key, --clear-key");
    if (req->keyslot == NO_NUMBER)
        return desk_usage(verb, "--keyslot wants a number from 0 to 31");
    if (req->keyslot >= 0 &&
        (!sub->has_key || req->way == VOLUME_STARTUP_KEY || req->way == VOLUME_CLEAR_KEY))
        return desk_usage(verb, "--keyslot goes with %s", "a recovery password, a passphrase or a key file");
    if (!sub->has_key && n_ways)
        return desk_usage(verb, "%s needs nothing to open the volume with", verb->name);
    if ((req->force || req->cut_short) && !sub->has_out)
        return desk_usage(verb, "%s is not an option of %s", req->force ? "--force" : "--cut-short",
                          verb->name);
    return KH_EXIT_OK;
}

static int run_sub(const struct sub_verb *sub, int argc, char **argv)
{
    struct desk_volume_request req = {.keyslot = -1};
    unsigned n_ways = 0;
    int c;
    while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (way_of(c)) {
            req.way = way_of(c);
            req.key = optarg;
            n_ways++;
        } else if (c == 'S')
            req.keyslot = keyslot_of(optarg);
        else if (c == 'H')
            req.header = optarg;
        else if (c == 'f')
            req.force = true;
        else if (c == 'C')
            req.cut_short = true;
        else if (c == 'j')
            req.json = true;
        else if (c == 'h')
            return desk_help(&sub->verb);
        else
            return desk_usage(&sub->verb, c == ':' ? "%s needs a value" : "%s is not an option of %s",
                              argv[optind - 1], sub->verb.name);
    }
    if (optind < argc)
        req.image = argv[optind++];
    if (optind < argc && sub->has_out)
        req.out = argv[optind++];
    if (optind < argc)
        return desk_usage(&sub->verb, "'%s' is not expected here", argv[optind]);
    int code = check(sub, &req, n_ways);
    return code == KH_EXIT_OK ? sub->run(&req) : code;
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return desk_help(&desk_volume_verb);
    if (strcmp(name, "rebuild") == 0)
        return desk_volume_rebuild(argc - 1, argv + 1);
    for (size_t i = 0; i < N_SUB_VERBS; i++)
        if (strcmp(name, sub_verbs[i].verb.name + strlen("volume ")) == 0)
            return run_sub(&sub_verbs[i], argc - 1, argv + 1);
    return desk_usage(&desk_volume_verb,
                      name[0] ? "there is no 'volume %s'; say show, test, decrypt or rebuild"
                              : "say show, test, decrypt or rebuild%s",
                      name);
}

const struct desk_verb desk_volume_verb = {
    "volume", run, "show, test, decrypt or rebuild a LUKS2 or BitLocker volume", help};
