/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk volume rebuild: audit entry first, then the package, then a copy with a new header. */
#include "crypto/host/process.h"
#include "formats/host/audit_chain.h"
#include "formats/record.h"
#include "tools/desk.h"
#include "tools/desk_input.h"
#include "tools/desk_rebuild.h"
#include "tools/desk_session.h"
#include "tools/desk_volume.h"
#include "tools/volume_out.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "IMAGE [OUT] --key-package FILE --new-passphrase-file FILE --key FILE\n"
    "           --key-passphrase-file FILE --org FILE --who NAME --reason TEXT [OPTION...]\n\n"
    "Makes the destroyed LUKS2 header of a volume anew, from the key package that its computer escrowed, in "
    "a\n"
    "copy: IMAGE is only read. The copy opens with the new passphrase and with nothing else; its data are "
    "what\n"
    "they were. OUT is IMAGE.rebuilt when it is not named. Before the package is opened, the disclosure is\n"
    "written into the desk's own audit log; if that cannot be done, nothing is opened.\n\n"
    "  --key-package FILE          the package, or the record that brought it\n"
    "  --new-passphrase-file FILE  what the new header is to be opened with ('-': standard input)\n"
    "  --key FILE                  the offline desk key (PEM, encrypted)\n"
    "  --key-passphrase-file FILE  its passphrase ('-': standard input)\n"
    "  --org FILE                  org.json of the organisation; org.json.sig and root.pub beside it are "
    "checked\n"
    "  --root-key FILE             check org.json with this root key instead of the root.pub beside it\n"
    "  --who NAME, --reason TEXT, --user NAME\n"
    "                              for the audit log: your name, why, whose disk it is\n"
    "  --force                     replace OUT when it exists\n"
    "  --json                      print one JSON object\n"
    "  --root DIR                  keep the audit log below DIR (DIR/var/lib/keyholt/desk/audit.log)\n\n"
    "Exit codes: 0 done, 1 failed (nothing is left of OUT), 2 wrong usage, 3 the answer is no (wrong key, "
    "changed\n"
    "package, other organisation, audit log not writable), 4 the audit log is in use: try again.\n";

static const struct option options[] = {
    {"key-package", required_argument, NULL, 'P'},
    {"new-passphrase-file", required_argument, NULL, 'n'},
    DESK_SESSION_OPTIONS,
    {"force", no_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct desk_verb verb = {.name = "volume rebuild", .help = help};

struct rebuild {
    struct desk_request req;
    struct desk_session s;
    const char *image, *out, *package, *new_passphrase;
    char out_default[PATH_MAX];
    bool force;
    uint8_t *file; /* what --key-package names; owned */
    size_t file_len;
    const uint8_t *sealed; /* within it */
    size_t sealed_len;
    struct key_package p;
    struct secret passphrase;
    int fd;
    uint64_t size;
};

static const char **place_of(struct rebuild *b, int option)
{
    switch (option) {
    case 'P':
        return &b->package;
    case 'n':
        return &b->new_passphrase;
    default:
        return desk_session_place(&b->req, option);
    }
}

/* The package itself, or the device's record around it. */
static enum err find_package(struct rebuild *b)
{
    struct record r;
    b->sealed = b->file;
    b->sealed_len = b->file_len;
    if (b->file_len > 3 && memcmp(b->file, "KHR", 3) == 0) {
        TRY(record_decode(b->file, b->file_len, &r));
        if (r.kind != RECORD_KEY_PACKAGE)
            return ERR_FORMAT;
        b->sealed = r.envelope;
        b->sealed_len = r.envelope_len;
    }
    return key_package_decode(b->sealed, b->sealed_len, &b->s.envelope);
}

static int load_package(struct rebuild *b)
{
    enum err err = desk_input_file(b->package, &b->file, &b->file_len);
    if (err != ERR_OK) {
        desk_say("the key package %s cannot be read (%s); nothing was opened", b->package, err_text(err));
        return KH_EXIT_FAILED;
    }
    err = find_package(b);
    if (err != ERR_OK)
        return desk_refuse(&b->s, "%s is no key package (%s); nothing was opened", b->package, err_text(err));
    b->s.has_envelope = true;
    return desk_session_recipients(&b->s, "the key package");
}

static int load_passphrase(struct rebuild *b)
{
    enum err err = secret_from_file(b->new_passphrase, &b->passphrase);
    if (err == ERR_OK)
        return KH_EXIT_OK;
    desk_say("the new passphrase in %s cannot be used (%s); nothing was opened", b->new_passphrase,
             err_text(err));
    return KH_EXIT_FAILED;
}

static int open_image(struct rebuild *b)
{
    b->fd = open(b->image, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    off_t end = b->fd < 0 ? -1 : lseek(b->fd, 0, SEEK_END);
    if (end > 0) {
        b->size = (uint64_t)end;
        return KH_EXIT_OK;
    }
    desk_say("%s cannot be read (%s); nothing was opened", b->image,
             end == 0 ? "it is empty" : strerror(errno));
    return KH_EXIT_FAILED;
}

static int open_package(struct rebuild *b)
{
    struct audit_head head;
    int code = desk_session_disclose(&b->s, "key package, to rebuild a header", &head);
    if (code != KH_EXIT_OK)
        return code;
    enum err err = key_package_open(b->sealed, b->sealed_len, &b->s.org.id, b->s.key, &b->p);
    if (err != ERR_OK)
        return desk_refuse(
            &b->s,
            "the key package does not open: it was changed, or is not of the organisation %s; nothing "
            "was disclosed",
            b->s.org.name);
    if (b->p.offset < b->size)
        return KH_EXIT_OK;
    desk_say("%s has %llu bytes, and the volume's data begin at %llu; is it the image of the whole volume?",
             b->image, (unsigned long long)b->size, (unsigned long long)b->p.offset);
    return KH_EXIT_FAILED;
}

static enum err write_copy(struct rebuild *b, struct volume_out *out, const char **ret_what)
{
    char path[40];
    *ret_what = "the copy cannot be written";
    TRY(desk_rebuild_copy(b->fd, b->size, out));
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", out->fd); /* it has no name yet */
    TRY(desk_rebuild_header(path, &b->s.envelope.volume, &b->p, &b->passphrase, ret_what));
    *ret_what = "the copy cannot be finished";
    return volume_out_finish(out);
}

static int make_copy(struct rebuild *b)
{
    struct volume_out out;
    const char *what = "";
    enum err err = volume_out_create(b->out, b->force, b->size, &out);
    if (err != ERR_OK) {
        desk_say("%s cannot be made (%s)%s", b->out, err_text(err),
                 err == ERR_CONFLICT ? "; there is such a file: --force replaces it" : "");
        return KH_EXIT_FAILED;
    }
    err = write_copy(b, &out, &what);
    if (err == ERR_OK)
        return KH_EXIT_OK;
    volume_out_discard(&out);
    desk_say("%s (%s); nothing is left of %s", what, err_text(err), b->out);
    return KH_EXIT_FAILED;
}

static int report(const struct rebuild *b)
{
    char volume[GUID_TEXT];
    guid_encode_lower(&b->s.envelope.volume, volume);
    if (b->req.json) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "out", json_object_new_string(b->out));
        json_object_object_add(o, "volume", json_object_new_string(volume));
        json_object_object_add(o, "cipher", json_object_new_string(b->p.cipher));
        json_object_object_add(o, "keyslot", json_object_new_int(0));
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
    } else {
        printf("%s is the volume %s with a new header; the new passphrase opens it\n", b->out, volume);
    }
    desk_say("note: whoever had this package can read the volume for ever: copy the data to a new one");
    return KH_EXIT_OK;
}

static int work(struct rebuild *b)
{
    static int (*const steps[])(struct rebuild *) = {load_package, load_passphrase, open_image, open_package,
                                                     make_copy};
    int code = desk_session_log(&b->s);
    if (code == KH_EXIT_OK)
        code = desk_session_org(&b->s);
    if (code == KH_EXIT_OK)
        code = desk_session_key(&b->s);
    for (size_t i = 0; i < sizeof steps / sizeof *steps && code == KH_EXIT_OK; i++)
        code = steps[i](b);
    return code == KH_EXIT_OK ? report(b) : code;
}

static int check(struct rebuild *b)
{
    if (!b->image)
        return desk_usage(&verb, "IMAGE is missing: the file or block device that holds the volume");
    if (!b->package || !b->new_passphrase)
        return desk_usage(&verb, "%s is missing", b->package ? "--new-passphrase-file" : "--key-package");
    if (b->req.passphrase && strcmp(b->req.passphrase, "-") == 0 && strcmp(b->new_passphrase, "-") == 0)
        return desk_usage(&verb, "standard input can bring one of the passphrases, not both");
    if (!b->out && snprintf(b->out_default, sizeof b->out_default, "%s.rebuilt", b->image) >= PATH_MAX)
        return desk_usage(&verb, "the name of IMAGE is too long");
    b->out = b->out ? b->out : b->out_default;
    return desk_session_check(&verb, &b->req);
}

static int parse(struct rebuild *b, int argc, char **argv)
{
    int c;
    while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        const char **place = place_of(b, c);
        if (place)
            *place = optarg;
        else if (c == 'f')
            b->force = true;
        else if (c == 'j')
            b->req.json = true;
        else if (c != 'h')
            return desk_usage(&verb, c == ':' ? "%s needs a value" : "%s is not an option of volume rebuild",
                              argv[optind - 1]);
        else
            return desk_help(&verb) == KH_EXIT_OK ? -1 : KH_EXIT_FAILED;
    }
    b->image = optind < argc ? argv[optind++] : NULL;
    b->out = optind < argc ? argv[optind++] : NULL;
    return optind < argc ? desk_usage(&verb, "'%s' is not expected here", argv[optind]) : check(b);
}

int desk_volume_rebuild(int argc, char **argv)
{
    static struct rebuild b = {.req = {.root = ""}, .fd = -1};
    int code = parse(&b, argc, argv);
    if (code != KH_EXIT_OK)
        return code < 0 ? KH_EXIT_OK : code;
    b.s.req = &b.req;
    code = work(&b);
    desk_session_close(&b.s);
    if (b.file)
        desk_input_free(b.file, b.file_len);
    key_package_wipe(&b.p);
    secret_wipe(&b.passphrase);
    if (b.fd >= 0)
        (void)close(b.fd);
    return code;
}
