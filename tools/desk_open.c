/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk open: audit entry first, then the envelope. */
#include "tools/desk.h"
#include "tools/desk_disclose.h"
#include <getopt.h>
#include <string.h>

static const char help[] =
    "(--qr FILE | --envelope FILE) --key FILE --key-passphrase-file FILE\n"
    "           --org FILE --who NAME --reason TEXT [OPTION...]\n\n"
    "Opens one envelope with the offline desk key and prints the 48 digits to read to the user.\n"
    "Before that, the disclosure is written into the desk's own audit log; if that cannot be done,\n"
    "nothing is opened.\n\n"
    "  --qr FILE                   the text of the recovery screen's QR code ('-': standard input);\n"
    "                              with or without the address, any case, spaces and line breaks\n"
    "  --envelope FILE             or the envelope itself, as bytes\n"
    "  --key FILE                  the offline desk key (PEM, encrypted)\n"
    "  --key-passphrase-file FILE  its passphrase ('-': standard input)\n"
    "  --org FILE                  org.json of the organisation; org.json.sig and root.pub beside it are "
    "checked\n"
    "  --root-key FILE             check org.json with this root key instead of the root.pub beside it\n"
    "  --who NAME                  your name, for the audit log\n"
    "  --reason TEXT               why the password is needed, for the audit log\n"
    "  --user NAME                 who is locked out, for the audit log\n"
    "  --json                      print one JSON object\n"
    "  --root DIR                  keep the audit log below DIR (DIR/var/lib/keyholt/desk/audit.log)\n\n"
    "Exit codes: 0 done, 1 failed (a file is missing), 2 wrong usage, 3 the answer is no (wrong key, "
    "changed\n"
    "envelope, other organisation, audit log not writable), 4 the audit log is in use: try again.\n";

static const struct option options[] = {
    {"qr", required_argument, NULL, 'q'}, {"envelope", required_argument, NULL, 'e'}, DESK_SESSION_OPTIONS,
    {"json", no_argument, NULL, 'j'},     {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

static const char **option_place(struct desk_request *r, int option)
{
    switch (option) {
    case 'q':
        return &r->qr;
    case 'e':
        return &r->envelope;
    default:
        return desk_session_place(r, option);
    }
}

static int check_request(const struct desk_request *r)
{
    const char *input = r->qr ? r->qr : r->envelope;
    if (!r->qr == !r->envelope)
        return desk_usage(&desk_open_verb, "give either --qr FILE or --envelope FILE");
    int code = desk_session_check(&desk_open_verb, r);
    if (code != KH_EXIT_OK)
        return code;
    if (strcmp(input, "-") == 0 && strcmp(r->passphrase, "-") == 0)
        return desk_usage(&desk_open_verb,
                          "standard input can bring the envelope or the passphrase, not both");
    return KH_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct desk_request req = {.root = ""};
    int c;
    while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        const char **place = option_place(&req, c);
        if (place)
            *place = optarg;
        else if (c == 'j')
            req.json = true;
        else if (c == 'h')
            return desk_help(&desk_open_verb);
        else
            return desk_usage(&desk_open_verb, c == ':' ? "%s needs a value" : "%s is not an option of open",
                              argv[optind - 1]);
    }
    if (optind < argc)
        return desk_usage(&desk_open_verb, "'%s' is not expected here", argv[optind]);
    int code = check_request(&req);
    return code == KH_EXIT_OK ? desk_disclose(&req) : code;
}

const struct desk_verb desk_open_verb = {"open", run,
                                         "open an envelope (QR text or file) and print the 48 digits", help};
