/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/conf.h"
#include "crypto/host/file.h"
#include "crypto/secret.h"
#include "formats/names.h"
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CONF_FILE KH_ETC "/agent.conf"

/* What libcurl understands and we have tried; "host:port" alone would be guessed at. */
static bool is_proxy(const char *value)
{
    return strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0;
}

static bool is_any(const char *value)
{
    (void)value;
    return true;
}

/* Every key that there is. */
static const struct setting {
    const char *name;
    size_t off; /* of its text in struct conf */
    bool (*good)(const char *value);
} settings[] = {{"proxy", offsetof(struct conf, proxy), is_proxy},
                {"no_proxy", offsetof(struct conf, no_proxy), is_any}};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

struct part {
    const char *p;
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct part trim(struct part s)
{
    while (s.len && is_blank(s.p[0]))
        s.p++, s.len--;
    while (s.len && is_blank(s.p[s.len - 1]))
        s.len--;
    return s;
}

static enum err assign(struct conf *c, const struct setting *s, struct part value)
{
    char *to = (char *)c + s->off;
    if (value.len > CONF_VALUE_MAX)
        return ERR_RANGE;
    if (to[0] || value.len == 0)
        return ERR_FORMAT;
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
            return ERR_FORMAT;
    memcpy(to, value.p, value.len);
    return s->good(to) ? ERR_OK : ERR_FORMAT;
}

static enum err take_line(struct conf *c, struct part line)
{
    line = trim(line);
    if (line.len == 0 || line.p[0] == '#')
        return ERR_OK;
    const char *equals = memchr(line.p, '=', line.len);
    if (!equals)
        return ERR_FORMAT;
    struct part name = trim((struct part){line.p, (size_t)(equals - line.p)});
    struct part value = trim((struct part){equals + 1, line.len - (size_t)(equals + 1 - line.p)});
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (strlen(settings[i].name) == name.len && memcmp(settings[i].name, name.p, name.len) == 0)
            return assign(c, &settings[i], value);
    return ERR_FORMAT;
}

enum err conf_decode(const char *text, size_t len, struct conf *ret, unsigned *ret_line)
{
    struct conf c = {0};
    enum err e = ERR_OK;
    unsigned line = 0;
    while (len && e == ERR_OK) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        e = take_line(&c, (struct part){text, n});
        line++;
        n += end ? 1 : 0;
        text += n;
        len -= n;
    }
    if (e == ERR_OK)
        *ret = c;
    else
        *ret_line = line;
    cr_wipe(&c, sizeof c); /* a proxy's password */
    return e;
}

enum err conf_load(const char *root, struct conf *ret, struct problem *why)
{
    char path[PATH_MAX];
    uint8_t *text = NULL;
    size_t len = 0;
    unsigned line = 0;
    TRY(file_join(root, CONF_FILE, path, sizeof path));
    enum err e = file_read(path, CONF_FILE_MAX, &text, &len);
    if (e == ERR_NOT_FOUND) {
        memset(ret, 0, sizeof *ret);
        return ERR_OK;
    }
    if (e != ERR_OK)
        return problem_set(why, e, "%s cannot be read: %s; no proxy is used", path, err_text(e));
    e = conf_decode((const char *)text, len, ret, &line);
    if (e != ERR_OK)
        e = problem_set(why, e, "%s: line %u is not understood; no proxy is used until it is mended", path,
                        line);
    cr_wipe(text, len);
    free(text);
    return e;
}
