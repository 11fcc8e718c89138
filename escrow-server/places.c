/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/places.h"
#include "crypto/host/file.h"
#include "escrow-server/conf_table.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF_MAX (64u << 10)

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

static enum err set(struct conf *c, const struct conf_setting *s, const char *value)
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

/* NULL, or what is wrong with the line. */
static const char *take_line(struct conf *c, char *line, unsigned at, unsigned *lines, char *ret_key,
                             size_t cap)
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
    for (unsigned i = 0; i < CONF_SETTINGS; i++) {
        if (strcmp(conf_settings[i].name, name) != 0)
            continue;
        if (lines[i] != 0)
            return "it stands here a second time";
        lines[i] = at;
        return set(c, &conf_settings[i], value) == ERR_OK ? NULL : conf_values[conf_settings[i].kind].wanted;
    }
    return "there is no such key";
}

enum err conf_read(const char *path, struct conf *ret, unsigned *ret_lines, struct conf_mistake *ret_mistake)
{
    uint8_t *text = NULL;
    size_t len;
    unsigned lines[CONF_SETTINGS] = {0};
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
        m.reason = take_line(&c, line, m.line, lines, m.key, sizeof m.key);
        m.line += m.reason == NULL;
    }
    free(text);
    if (m.reason != NULL) {
        *ret_mistake = m;
        return ERR_FORMAT;
    }
    if (ret_lines != NULL)
        memcpy(ret_lines, lines, sizeof lines);
    *ret = c;
    return ERR_OK;
}

enum err conf_load(const char *root, struct conf *ret)
{
    char path[PATH_MAX];
    struct conf_mistake m;
    TRY(file_join(root, PLACE_CONF, path, sizeof path));
    enum err e = conf_read(path, ret, NULL, &m);
    if (e == ERR_FORMAT)
        fprintf(stderr, "keyholt-server: %s: line %u%s%s: %s; nothing was started\n", path, m.line,
                m.key[0] != '\0' ? ": " : "", m.key, m.reason);
    return e;
}

static int print_value(FILE *f, const struct conf *c, const struct conf_setting *s)
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
    for (unsigned i = 0; i < CONF_SETTINGS; i++) {
        if (conf_settings[i].comment != NULL)
            fprintf(f, "\n# %s\n", conf_settings[i].comment);
        print_value(f, c, &conf_settings[i]);
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
