/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/places.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF_MAX (64u << 10)

enum value_kind {
    VALUE_UID = 1,
    VALUE_WORKERS,
    VALUE_U64,
    VALUE_MONTHS,
    VALUE_YES,
    VALUE_ENTRIES,
    VALUE_TEXT
};

static const struct setting {
    const char *name;
    enum value_kind kind;
    size_t off;
    const char *comment;
} settings[] = {
    {"listen", VALUE_TEXT, offsetof(struct conf, listen),
     "Numeric address and port for devices, as 0.0.0.0:8443 or [::]:8443. Not used where sockets are handed\n"
     "# over (keyholt-server.socket)."},
    {"metrics", VALUE_TEXT, offsetof(struct conf, metrics),
     "Where Prometheus finds /metrics, as 127.0.0.1:9464. Nobody is asked who he is, and nothing is "
     "encrypted.\n"
     "# Empty: only on the UNIX socket /run/keyholt/metrics.sock, for root."},
    {"web-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_WEB]),
     "Numeric user (and group) of each process; four different ones."},
    {"writer-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_WRITER]), NULL},
    {"vault-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_VAULT]), NULL},
    {"export-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_EXPORT]), NULL},
    {"web-workers", VALUE_WORKERS, offsetof(struct conf, web_workers), "1 to 16, or auto: one per core."},
    {"start-seconds", VALUE_U64, offsetof(struct conf, start_s),
     "The start has failed when a process is not ready and nothing moved for so long. A store that is being\n"
     "# brought to a newer form moves, however long that takes; writing it down at its end does not."},
    {"sync-every-seconds", VALUE_U64, offsetof(struct conf, sync_every_s),
     "When devices are asked to come back."},
    {"tls-sessions", VALUE_ENTRIES, offsetof(struct conf, tls_sessions),
     "How many devices can resume their TLS session, at any worker; 320 bytes each. 0: none, and no "
     "tickets,\n"
     "# each of which costs a handshake about an eighth more."},
    {"quiet-devices", VALUE_ENTRIES, offsetof(struct conf, quiet_devices),
     "Of how many devices, about, the server remembers that they need not be told anything: their heartbeats "
     "are\n"
     "# answered without the store; 48 bytes each. 0: none. Not with PostgreSQL."},
    {"enrol-approval", VALUE_YES, offsetof(struct conf, enrol_approval),
     "yes: a new device escrows at once, but belongs to no user until a person approves it\n"
     "# (keyholt-server device approve)."},
    {"loss-rotations-per-hour", VALUE_U64, offsetof(struct conf, loss_rotations),
     "After a proved loss of audit entries: how many keys that may have been disclosed in it are ordered to\n"
     "# rotate in an hour, at all servers together (keyholt-server audit losses)."},
    {"silent-days", VALUE_U64, offsetof(struct conf, silent_days),
     "A device that did not sync for so long counts as silent in /metrics."},
    {"shed-waiting", VALUE_U64, offsetof(struct conf, shed_waiting),
     "Load: when a web worker waits for so many answers of the stores, syncs without a recovery password "
     "are\n"
     "# asked to come back later. Those with one are taken up to 2048."},
    {"connections", VALUE_U64, offsetof(struct conf, connections),
     "How many connections one web worker holds at most (16 KiB of memory each, and 52 KiB whatever "
     "strangers do); when "
     "more\n"
     "# come, the one goes that said nothing for longest. Never more than the limit of open files has room "
     "for."},
    {"asks-per-second", VALUE_U64, offsetof(struct conf, asks_per_second),
     "After a loss: how many devices one web worker asks in a second for what the store lacks."},
    {"disclosures-per-hour", VALUE_U64, offsetof(struct conf, quota_per_hour),
     "By one person, at all vaults together."},
    {"vaults", VALUE_U64, offsetof(struct conf, vaults),
     "How many servers there are, each with a vault: limits are divided among them."},
    {"approval", VALUE_TEXT, offsetof(struct conf, approval),
     "Roles whose disclosures a second person must approve, as helpdesk, advanced; empty: none."},
    {"audit-file", VALUE_TEXT, offsetof(struct conf, audit_file),
     "Each audit entry is also written there as a line of JSON (the export process must be able to), and "
     "sent\n"
     "# there by syslog (RFC 5424), as tcp://192.0.2.7:601, udp://192.0.2.7:514 or /dev/log; empty: "
     "neither."},
    {"audit-syslog", VALUE_TEXT, offsetof(struct conf, audit_syslog), NULL},
    {"recovery", VALUE_TEXT, offsetof(struct conf, store[0]),
     "The two stores: empty for SQLite, or a PostgreSQL connection string without a password, as\n"
     "# postgres://keyholt@db1,db2/keyholt?sslmode=verify-full&passfile=/etc/keyholt/writer.pgpass"},
    {"compliance", VALUE_TEXT, offsetof(struct conf, store[1]), NULL},
    {"compliance-months", VALUE_MONTHS, offsetof(struct conf, compliance_months),
     "How long `keyholt-server retain` leaves compliance records; 0: for ever. Keys are never deleted."},
    {"offline-root-key", VALUE_TEXT, offsetof(struct conf, root_key),
     "Where init put the offline keys; the server refuses to run while it can read them."},
    {"offline-desk-key", VALUE_TEXT, offsetof(struct conf, desk_key), NULL},
    {"vault-passphrase-file", VALUE_TEXT, offsetof(struct conf, passphrase_file),
     "Opens the vault's escrow keys, and is the PIN of its tokens: a file that only root reads, or\n"
     "# credential:NAME (systemd). Empty: they lie unencrypted, 0600."},
};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

void conf_init(struct conf *c)
{
    *c = (struct conf){.start_s = CONF_START_S,
                       .sync_every_s = CONF_SYNC_EVERY_S,
                       .quota_per_hour = CONF_QUOTA_PER_HOUR,
                       .vaults = 1,
                       .loss_rotations = CONF_LOSS_ROTATIONS,
                       .silent_days = CONF_SILENT_DAYS,
                       .shed_waiting = CONF_SHED_WAITING,
                       .connections = CONF_CONNECTIONS,
                       .asks_per_second = CONF_ASKS,
                       .quiet_devices = CONF_QUIET};
    for (unsigned kind = PROCESS_WEB; kind < PROCESS_USERS; kind++)
        c->uid[kind] = CONF_UID_FIRST + kind - PROCESS_WEB;
}

unsigned conf_workers(const struct conf *c)
{
    long n = c->web_workers > 0 ? (long)c->web_workers : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > CONF_WORKERS_MAX ? CONF_WORKERS_MAX : (unsigned)n;
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
        v = 0;
        if (strcmp(value, "auto") != 0)
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
    case VALUE_YES:
        v = strcmp(value, "yes") == 0;
        if (v == 0 && strcmp(value, "no") != 0)
            return ERR_RANGE;
        memcpy(at, &v, sizeof v);
        return ERR_OK;
    case VALUE_ENTRIES:
        TRY(number(value, 0, CONF_ENTRIES_MAX, &v));
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

static const char *wanted(enum value_kind kind)
{
    switch (kind) {
    case VALUE_UID:
        return "a numeric user is wanted";
    case VALUE_WORKERS:
        return "1 to 16, or auto, is wanted";
    case VALUE_U64:
        return "a number from 1 to 2147483648 is wanted";
    case VALUE_MONTHS:
        return "a number from 0 to 600 is wanted";
    case VALUE_ENTRIES:
        return "a number from 0 to 1048576 is wanted";
    case VALUE_YES:
        return "yes or no is wanted";
    case VALUE_TEXT:
        return "the value is too long";
    }
    return "";
}

/* NULL, or what is wrong with the line. */
static const char *take_line(struct conf *c, char *line, bool *seen, char *ret_key, size_t cap)
{
    line = trim(line);
    ret_key[0] = '\0';
    if (line[0] == '\0' || line[0] == '#')
        return NULL;
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return "a line is KEY = VALUE, or a comment behind #";
    *equals = '\0';
    const char *name = trim(line), *value = trim(equals + 1);
    snprintf(ret_key, cap, "%s", name);
    for (unsigned i = 0; i < N_SETTINGS; i++) {
        if (strcmp(settings[i].name, name) != 0)
            continue;
        if (seen[i])
            return "it stands here a second time";
        seen[i] = true;
        return set(c, &settings[i], value) == ERR_OK ? NULL : wanted(settings[i].kind);
    }
    return "there is no such key";
}

enum err conf_read(const char *path, struct conf *ret, struct conf_mistake *ret_mistake)
{
    uint8_t *text = NULL;
    size_t len;
    bool seen[N_SETTINGS] = {false};
    struct conf_mistake m = {.line = 1};
    TRY(file_read(path, CONF_MAX, &text, &len));
    struct conf c;
    conf_init(&c);
    if (memchr(text, '\0', len) != NULL)
        m.reason = "the file has zero bytes, so it is no text";
    for (char *line = (char *)text, *next; line != NULL && m.reason == NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        m.reason = take_line(&c, line, seen, m.key, sizeof m.key);
        m.line += m.reason == NULL;
    }
    free(text);
    if (m.reason != NULL) {
        *ret_mistake = m;
        return ERR_FORMAT;
    }
    *ret = c;
    return ERR_OK;
}

enum err conf_load(const char *root, struct conf *ret)
{
    char path[PATH_MAX];
    struct conf_mistake m;
    TRY(file_join(root, PLACE_CONF, path, sizeof path));
    enum err e = conf_read(path, ret, &m);
    if (e == ERR_FORMAT)
        fprintf(stderr, "keyholt-server: %s: line %u%s%s: %s; nothing was started\n", path, m.line,
                m.key[0] != '\0' ? ": " : "", m.key, m.reason);
    return e;
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
        return workers == 0 ? fprintf(f, "%s = auto\n", s->name) : fprintf(f, "%s = %u\n", s->name, workers);
    case VALUE_U64:
    case VALUE_MONTHS:
    case VALUE_ENTRIES:
        memcpy(&v, at, sizeof v);
        return fprintf(f, "%s = %llu\n", s->name, (unsigned long long)v);
    case VALUE_YES:
        memcpy(&v, at, sizeof v);
        return fprintf(f, "%s = %s\n", s->name, v != 0 ? "yes" : "no");
    case VALUE_TEXT:
        return fprintf(f, "%s = %s\n", s->name, at);
    }
    return -1;
}

enum err conf_text(const struct conf *c, char **ret, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return ERR_NOMEM;
    fputs("# keyholt-server: configuration; read at start. `keyholt-server check-config` tries it.\n", f);
    for (unsigned i = 0; i < N_SETTINGS; i++) {
        if (settings[i].comment != NULL)
            fprintf(f, "\n# %s\n", settings[i].comment);
        print_value(f, c, &settings[i]);
    }
    if (fclose(f) != 0) {
        free(text);
        return ERR_NOMEM;
    }
    *ret = text;
    *ret_len = len;
    return ERR_OK;
}

enum err conf_save(const char *root, const struct conf *c)
{
    char path[PATH_MAX], *text = NULL;
    size_t len = 0;
    TRY(file_join(root, PLACE_CONF, path, sizeof path));
    TRY(conf_text(c, &text, &len));
    enum err e = file_write(path, text, len, 0644);
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
