/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/bls.h"
#include "efi/sentence.h"
#include <string.h>

/* One line: a key, blanks, a value; both within the text. */
struct line {
    const char *key, *value;
    size_t key_len, value_len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Moves *p behind the line. */
static struct line next_line(const char **p, const char *end)
{
    const char *at = *p, *stop = memchr(at, '\n', (size_t)(end - at));
    struct line l;
    stop = stop ? stop : end;
    *p = stop < end ? stop + 1 : end;
    while (at < stop && is_blank(*at))
        at++;
    l.key = at;
    while (at < stop && !is_blank(*at))
        at++;
    l.key_len = (size_t)(at - l.key);
    while (at < stop && is_blank(*at))
        at++;
    l.value = at;
    while (stop > at && is_blank(stop[-1]))
        stop--;
    l.value_len = (size_t)(stop - l.value);
    return l;
}

static bool is_key(const struct line *l, const char *name)
{
    return l->key_len == strlen(name) && memcmp(l->key, name, l->key_len) == 0;
}

/* Control characters become blanks; what does not fit is FULL. */
static enum err append(struct sentence *s, const struct line *l, bool path)
{
    char c[2] = "";
    for (size_t i = 0; i < l->value_len; i++) {
        c[0] = path && l->value[i] == '/' ? '\\' : l->value[i];
        if ((unsigned char)c[0] < 0x20)
            c[0] = ' ';
        if (s->len + 1 >= s->cap)
            return ERR_FULL;
        sentence_add(s, c);
    }
    return ERR_OK;
}

static enum err add_option(struct sentence *s, const char *before, const struct line *l, bool path)
{
    sentence_add(s, s->len ? " " : "");
    sentence_add(s, before);
    return append(s, l, path);
}

static enum err take_line(const struct line *l, struct sentence *title, struct sentence *program,
                          struct sentence *options)
{
    if (is_key(l, "title") || is_key(l, "version")) {
        sentence_add(title, title->len ? " " : "");
        (void)append(title, l, false); /* a long name may be cut */
        return ERR_OK;
    }
    if (is_key(l, "linux") || is_key(l, "efi"))
        return program->len ? ERR_FORMAT : append(program, l, true);
    if (is_key(l, "initrd"))
        return add_option(options, "initrd=", l, true);
    return is_key(l, "options") ? add_option(options, "", l, false) : ERR_OK;
}

enum err bls_decode(const char *text, size_t len, struct bls *ret)
{
    struct bls b;
    struct sentence title, program, options;
    const char *p = text, *end = text + len;
    sentence_init(&title, b.title, sizeof b.title);
    sentence_init(&program, b.program, sizeof b.program);
    sentence_init(&options, b.options, sizeof b.options);
    while (p < end) {
        const struct line l = next_line(&p, end);
        TRY(take_line(&l, &title, &program, &options));
    }
    if (b.program[0] != '\\')
        return ERR_FORMAT;
    *ret = b;
    return ERR_OK;
}
