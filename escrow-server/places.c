/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/places.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF_MAX (64u << 10)

enum value_kind { VALUE_UID = 1, VALUE_WORKERS, VALUE_U64, VALUE_MONTHS, VALUE_TEXT };

static const struct setting {
    const char *name;
    enum value_kind kind;
    size_t off;
    const char *comment;
} settings[] = {
    {"listen", VALUE_TEXT, offsetof(struct conf, listen), "numeric address and port"},
    {"web-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_WEB]),
     "numeric user (and group) of each process"},
    {"writer-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_WRITER]), NULL},
    {"vault-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_VAULT]), NULL},
    {"export-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_EXPORT]), NULL},
    {"web-workers", VALUE_WORKERS, offsetof(struct conf, web_workers), "one per core is a good number"},
    {"sync-every-seconds", VALUE_U64, offsetof(struct conf, sync_every_s),
     "when devices are asked to come back"},
    {"disclosures-per-hour", VALUE_U64, offsetof(struct conf, quota_per_hour),
     "by one person, at all vaults together"},
    {"vaults", VALUE_U64, offsetof(struct conf, vaults),
     "how many servers there are, each with a vault: limits are divided among them"},
    {"approval", VALUE_TEXT, offsetof(struct conf, approval),
     "roles whose disclosures a second person must approve, as helpdesk, advanced; empty: none"},
    {"audit-file", VALUE_TEXT, offsetof(struct conf, audit_file),
     "each audit entry is also written there as a line of JSON (the export process must be able to), and "
     "sent\n"
     "# there by syslog (RFC 5424), as tcp://192.0.2.7:601, udp://192.0.2.7:514 or /dev/log; empty: neither"},
    {"audit-syslog", VALUE_TEXT, offsetof(struct conf, audit_syslog), NULL},
    {"recovery", VALUE_TEXT, offsetof(struct conf, store[0]),
     "the two stores: empty for SQLite, or a PostgreSQL connection string without a password, as\n"
     "# postgres://keyholt@db1,db2/keyholt?sslmode=verify-full&passfile=/etc/keyholt/writer.pgpass"},
    {"compliance", VALUE_TEXT, offsetof(struct conf, store[1]), NULL},
    {"compliance-months", VALUE_MONTHS, offsetof(struct conf, compliance_months),
     "how long `keyholt-server retain` leaves compliance records; 0: for ever. Keys are never deleted"},
    {"offline-root-key", VALUE_TEXT, offsetof(struct conf, root_key),
     "where init put the offline keys; the server refuses to run while it can read them"},
    {"offline-desk-key", VALUE_TEXT, offsetof(struct conf, desk_key), NULL},
    {"vault-passphrase-file", VALUE_TEXT, offsetof(struct conf, passphrase_file),
     "opens the vault's escrow keys, and is the PIN of its tokens: a file that only root reads, or "
     "credential:NAME\n"
     "# (systemd). Empty: they lie unencrypted, 0600"},
};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

void conf_init(struct conf *c)
{
    *c = (struct conf){.web_workers = 1,
                       .sync_every_s = CONF_SYNC_EVERY_S,
                       .quota_per_hour = CONF_QUOTA_PER_HOUR,
                       .vaults = 1};
    for (unsigned kind = PROCESS_WEB; kind <= PROCESS_EXPORT; kind++)
        c->uid[kind] = CONF_UID_FIRST + kind - PROCESS_WEB;
}

static enum err number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || v < min || v > max)
        return ERR_RANGE;
    *ret = v;
    return ERR_OK;
}

static enum err set(struct conf *c, const struct setting *s, const char *value)
{
    char *at = (char *)c + s->off;
    uint64_t v;
    switch (s->kind) {
    case VALUE_UID:
        TRY(number(value, 0, UINT32_MAX - 1, &v));
        memcpy(at, &(uid_t){(uid_t)v}, sizeof(uid_t));
        return ERR_OK;
    case VALUE_WORKERS:
        TRY(number(value, 1, CONF_WORKERS_MAX, &v));
        memcpy(at, &(unsigned){(unsigned)v}, sizeof(unsigned));
        return ERR_OK;
    case VALUE_U64:
        TRY(number(value, 1, 1u << 31, &v));
        memcpy(at, &v, sizeof v);
        return ERR_OK;
    case VALUE_MONTHS:
        TRY(number(value, 0, CONF_MONTHS_MAX, &v));
        memcpy(at, &v, sizeof v);
        return ERR_OK;
    case VALUE_TEXT:
        if (strlen(value) >= PATH_MAX)
            return ERR_RANGE;
        memcpy(at, value, strlen(value) + 1);
        return ERR_OK;
    }
    return ERR_INTERNAL;
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

static enum err take_line(struct conf *c, char *line)
{
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#')
        return ERR_OK;
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return ERR_FORMAT;
    *equals = '\0';
    const char *name = trim(line), *value = trim(equals + 1);
    for (unsigned i = 0; i < N_SETTINGS; i++)
        if (strcmp(settings[i].name, name) == 0)
            return set(c, &settings[i], value);
    return ERR_FORMAT;
}

enum err conf_load(const char *root, struct conf *ret)
{
    char path[PATH_MAX];
    uint8_t *text = NULL;
    size_t len;
    TRY(file_join(root, PLACE_CONF, path, sizeof path));
    TRY(file_read(path, CONF_MAX, &text, &len));
    struct conf c;
    conf_init(&c);
    unsigned n = 1;
    for (char *line = (char *)text, *next; line != NULL; line = next, n++) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (take_line(&c, line) != ERR_OK) {
            fprintf(stderr, "keyholt-server: %s: line %u is not understood; nothing was started\n", path, n);
            free(text);
            return ERR_FORMAT;
        }
    }
    free(text);
    *ret = c;
    return ERR_OK;
}

static int print_value(FILE *f, const struct conf *c, const struct setting *s)
{
    const char *at = (const char *)c + s->off;
    uid_t uid;
    unsigned workers;
    uint64_t v;
    switch (s->kind) {
    case VALUE_UID:
        memcpy(&uid, at, sizeof uid);
        return fprintf(f, "%s = %u\n", s->name, (unsigned)uid);
    case VALUE_WORKERS:
        memcpy(&workers, at, sizeof workers);
        return fprintf(f, "%s = %u\n", s->name, workers);
    case VALUE_U64:
    case VALUE_MONTHS:
        memcpy(&v, at, sizeof v);
        return fprintf(f, "%s = %llu\n", s->name, (unsigned long long)v);
    case VALUE_TEXT:
        return fprintf(f, "%s = %s\n", s->name, at);
    }
    return -1;
}

enum err conf_save(const char *root, const struct conf *c)
{
    char path[PATH_MAX], *text = NULL;
    size_t len = 0;
    TRY(file_join(root, PLACE_CONF, path, sizeof path));
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return ERR_NOMEM;
    fputs("# keyholt-server: configuration; read at start.\n", f);
    for (unsigned i = 0; i < N_SETTINGS; i++) {
        if (settings[i].comment != NULL)
            fprintf(f, "\n# %s\n", settings[i].comment);
        print_value(f, c, &settings[i]);
    }
    enum err e = fclose(f) == 0 ? file_write(path, text, len, 0644) : ERR_NOMEM;
    free(text);
    return e;
}

enum err place_absolute(const char *path, char ret[static PATH_MAX])
{
    char cwd[PATH_MAX];
    int n;
    if (path[0] == '/') {
        n = snprintf(ret, PATH_MAX, "%s", path);
    } else {
        if (getcwd(cwd, sizeof cwd) == NULL)
            return err_from_errno(errno);
        n = snprintf(ret, PATH_MAX, "%s/%s", cwd, path);
    }
    return n > 0 && n < PATH_MAX ? ERR_OK : ERR_RANGE;
}
