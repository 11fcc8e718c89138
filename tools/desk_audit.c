/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk audit: read and check an audit log; nothing is written. */
#include "formats/base.h"
#include "tools/desk.h"
#include "tools/desk_erase.h"
#include "tools/desk_log.h"
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "(show | verify) [--json] [--root DIR | --log FILE]\n"
    "       keyholt-desk audit erase --entries N,N-N --who NAME [--root DIR]\n\n"
    "  show          print every entry, then whether the chain is whole\n"
    "  verify        only say whether the chain is whole: each entry names the hash of the one before\n"
    "  erase         overwrite the names, reasons and texts of entries; the chain verifies as before, and "
    "who\n"
    "                had it done is on record. Import the log into a server first if it is to have them\n\n"
    "  --json        print one JSON object\n"
    "  --root DIR    read DIR/var/lib/keyholt/desk/audit.log\n"
    "  --log FILE    read this log, also a copy from elsewhere\n\n"
    "Exit codes: 0 whole, 1 cannot be read, 2 wrong usage, 3 broken.\n";

struct show {
    bool show, json;
    bool first;
};

static void print_row(const struct audit_entry *e)
{
    struct tm tm;
    time_t t = (time_t)e->time;
    char when[32] = "?";
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%SZ", &tm);
    printf("%llu  %s  %-8s  %s (%s)", (unsigned long long)e->n, when, e->action,
           e->erased ? "[erased]" : e->who, e->role);
    if (e->key_id[0])
        printf("  key %s", e->key_id);
    if (e->reason[0])
        printf("  reason: %s", e->reason);
    if (e->note[0])
        printf("  [%s]", e->note);
    if (e->detail[0])
        printf("  [%s]", e->detail);
    putchar('\n');
}

static enum err visit(void *ctx, const struct audit_entry *e, const char *line, size_t len)
{
    struct show *s = ctx;
    if (!s->show)
        return ERR_OK;
    if (s->json) {
        char object[AUDIT_LINE_MAX];
        size_t n;
        TRY(audit_line_join(line, len, object, &n));
        printf("%s%.*s", s->first ? "" : ",", (int)n, object);
    } else
        print_row(e);
    s->first = false;
    return ferror(stdout) ? ERR_IO : ERR_OK;
}

static void print_end(const struct show *s, const struct audit_head *head, bool whole)
{
    char hash[65];
    base16_encode(head->hash, sizeof head->hash, hash);
    if (s->json)
        printf("%s\"whole\":%s,\"n\":%llu,\"chain\":\"%s\",\"hash\":\"%s\"}\n", s->show ? "]," : "",
               whole ? "true" : "false", (unsigned long long)head->n, head->chain, hash);
    else if (whole)
        printf("whole: %llu entries, chain %s, head %s\n", (unsigned long long)head->n, head->chain, hash);
}

static int audit(const char *path, struct show *s)
{
    struct audit_head head = {0};
    size_t torn = 0;
    if (s->json)
        fputs(s->show ? "{\"entries\":[" : "{", stdout);
    enum err err = audit_verify(path, visit, s, &head, &torn);
    bool whole = err == ERR_OK;
    print_end(s, &head, whole);
    if (fflush(stdout) != 0)
        err = ERR_IO;
    if (err == ERR_AUTH || err == ERR_FORMAT || err == ERR_RANGE) {
        desk_say("%s is broken behind entry %llu: what follows was changed, or something is missing; keep "
                 "the file and "
                 "find out who could write it",
                 path, (unsigned long long)head.n);
        return KH_EXIT_NO;
    }
    if (err != ERR_OK) {
        desk_say("%s cannot be read (%s)", path, err_text(err));
        return KH_EXIT_FAILED;
    }
    if (torn)
        desk_say("note: %zu bytes behind the last entry are what a crash left; the next opening cuts them "
                 "off and says so",
                 torn);
    return KH_EXIT_OK;
}

static const struct option options[] = {
    {"json", no_argument, NULL, 'j'},
    {"root", required_argument, NULL, 'd'},
    {"log", required_argument, NULL, 'l'},
    {"entries", required_argument, NULL, 'e'},
    {"who", required_argument, NULL, 'w'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int run(int argc, char **argv)
{
    struct show s = {.first = true};
    const char *root = "", *log = NULL, *what = "", *entries = NULL, *who = NULL;
    char path[PATH_MAX];
    int c;
    while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (c == 'j')
            s.json = true;
        else if (c == 'd')
            root = optarg;
        else if (c == 'l')
            log = optarg;
        else if (c == 'e')
            entries = optarg;
        else if (c == 'w')
            who = optarg;
        else if (c == 'h')
            return desk_help(&desk_audit_verb);
        else
            return desk_usage(&desk_audit_verb,
                              c == ':' ? "%s needs a value" : "%s is not an option of audit",
                              argv[optind - 1]);
    }
    if (optind < argc)
        what = argv[optind++];
    if (optind == argc && strcmp(what, "erase") == 0 && log == NULL && entries != NULL && who != NULL &&
        who[0] != '\0')
        return desk_erase(root, entries, who);
    if (optind < argc || entries != NULL || who != NULL ||
        (strcmp(what, "show") != 0 && strcmp(what, "verify") != 0))
        return desk_usage(&desk_audit_verb, "say 'show', 'verify', or 'erase' with --entries and --who");
    s.show = strcmp(what, "show") == 0;
    if (!log && desk_log_path(root, path) != ERR_OK)
        return desk_usage(&desk_audit_verb, "--root is too long");
    return audit(log ? log : path, &s);
}

const struct desk_verb desk_audit_verb = {"audit", run, "show or verify the desk's own audit log", help};
