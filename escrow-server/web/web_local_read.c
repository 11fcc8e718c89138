/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request on the local socket, as it comes, and the fields that several of them have. */
#include "escrow-server/web/web_local.h"
#include "formats/host/json_strict.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Line two, when line one says that there is a secret. err: BUSY (more to come) */
static enum err take_secret(struct local *l, const char *line)
{
    size_t left = l->len - (size_t)(line - l->in);
    const char *last = memchr(line, '\n', left);
    if (last == NULL)
        return l->len < sizeof l->in ? ERR_BUSY : ERR_RANGE;
    if ((size_t)(last - line) > SECRET_MAX)
        return ERR_RANGE;
    l->secret.len = (size_t)(last - line);
    memcpy(l->secret.bytes, line, l->secret.len);
    return ERR_OK;
}

/* What of the bytes came along with line one; the rest is read to its place. err: BUSY (more to come) */
static enum err begin_bytes(struct local *l, const char *from)
{
    uint64_t want = 0;
    enum err e = json_get_u64(l->request, "bytes", &want);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    size_t have = l->len - (size_t)(from - l->in);
    if (!l->privileged)
        return ERR_DENIED;
    if (want > LOCAL_BYTES_MAX || have > want)
        return ERR_RANGE;
    l->bytes = malloc(want + 1);
    if (l->bytes == NULL)
        return ERR_NOMEM;
    memcpy(l->bytes, from, have);
    l->n_bytes = have;
    l->want_bytes = want;
    return have < want ? ERR_BUSY : ERR_OK;
}

/* The whole request? Line one is JSON. err: BUSY (more to come) */
static enum err take_request(struct local *l)
{
    char *end = memchr(l->in, '\n', l->len);
    if (end == NULL)
        return l->len < sizeof l->in ? ERR_BUSY : ERR_RANGE;
    if (l->request == NULL)
        TRY(json_strict_parse(l->in, (size_t)(end - l->in), &l->request));
    struct json_object *has;
    if (json_object_object_get_ex(l->request, "secret", &has) && json_object_get_boolean(has))
        return take_secret(l, end + 1);
    return begin_bytes(l, end + 1);
}

void *local_room(struct local *l, size_t *ret_len)
{
    bool into_bytes = l->bytes != NULL;
    *ret_len = into_bytes ? l->want_bytes - l->n_bytes : sizeof l->in - l->len;
    return into_bytes ? l->bytes + l->n_bytes : (uint8_t *)l->in + l->len;
}

enum err local_came(struct local *l, size_t n)
{
    if (l->bytes != NULL) {
        l->n_bytes += n;
        return l->n_bytes < l->want_bytes ? ERR_BUSY : ERR_OK;
    }
    l->len += n;
    return take_request(l);
}

enum err local_key(struct json_object *request, char ret[static GUID_TEXT])
{
    const char *text;
    size_t n = 0, digits = 0;
    TRY(json_get_text(request, "key", GUID_TEXT + 2, &text));
    for (; *text != '\0'; text++) {
        if (*text == '{' || *text == '}' || *text == '-' || *text == ' ')
            continue;
        if (!isxdigit((unsigned char)*text) || digits == 32)
            return ERR_FORMAT;
        if (digits == 8 || digits == 12 || digits == 16 || digits == 20)
            ret[n++] = '-';
        ret[n++] = (char)toupper((unsigned char)*text);
        digits++;
    }
    ret[n] = '\0';
    return ERR_OK;
}

enum err local_code(struct json_object *request, char ret[static MSG_CODE + 1])
{
    const char *text = "";
    enum err e = json_get_text(request, "code", MSG_CODE, &text);
    if (e != ERR_NOT_FOUND)
        TRY(e);
    snprintf(ret, MSG_CODE + 1, "%s", text);
    return ERR_OK;
}
