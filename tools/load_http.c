/* SPDX-License-Identifier: GPL-3.0-or-later */
#define ZLIB_CONST 1
#include "tools/load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* zlib: the largest window, gzip framing */
#define HEAD_MAX    512

static enum err deflate_text(const char *text, uint8_t *ret, size_t cap, size_t *ret_len)
{
    z_stream z = {0};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return ERR_NOMEM;
    z.next_in = (z_const Bytef *)text;
    z.avail_in = (uInt)strlen(text);
    z.next_out = ret;
    z.avail_out = (uInt)cap;
    int code = deflate(&z, Z_FINISH);
    *ret_len = z.total_out;
    deflateEnd(&z);
    return code == Z_STREAM_END ? ERR_OK : ERR_FULL;
}

enum err load_post(const char *path, const char *json, bool gzip, struct load_request *ret)
{
    size_t cap = HEAD_MAX + strlen(json) + 256, len = strlen(json);
    uint8_t *bytes = malloc(2 * cap);
    if (bytes == NULL)
        return ERR_NOMEM;
    uint8_t *body = bytes + cap;
    enum err e = ERR_OK;
    if (gzip)
        e = deflate_text(json, body, cap, &len);
    else
        memcpy(body, json, len);
    if (e != ERR_OK) {
        free(bytes);
        return e;
    }
    int head = snprintf(
        (char *)bytes, HEAD_MAX,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n%sContent-Length: %zu\r\n\r\n", path,
        gzip ? "Content-Encoding: gzip\r\n" : "", len);
    memmove(bytes + head, body, len);
    *ret = (struct load_request){.bytes = bytes, .len = (size_t)head + len};
    return ERR_OK;
}

enum err load_get(const char *path, struct load_request *ret)
{
    char *text = malloc(HEAD_MAX);
    if (text == NULL)
        return ERR_NOMEM;
    int n = snprintf(text, HEAD_MAX, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    *ret = (struct load_request){.bytes = (uint8_t *)text, .len = (size_t)n};
    return ERR_OK;
}

enum err load_answer(const char *p, size_t len, int *ret_status, const char **ret_body, size_t *ret_body_len)
{
    const char *end = memmem(p, len, "\r\n\r\n", 4);
    if (end == NULL)
        return ERR_NOT_FOUND;
    const char *length = strcasestr(p, "\r\nContent-Length:");
    if (strncmp(p, "HTTP/1.1 ", 9) != 0 || length == NULL || length > end)
        return ERR_FORMAT;
    size_t want = strtoul(length + 17, NULL, 10);
    if (want > LOAD_ANSWER_MAX)
        return ERR_FORMAT;
    if (len - (size_t)(end + 4 - p) < want)
        return ERR_NOT_FOUND;
    *ret_status = (int)strtol(p + 9, NULL, 10);
    *ret_body = end + 4;
    *ret_body_len = want;
    return ERR_OK;
}

enum err load_answer_body(const char *head, const char *body, size_t len, char **ret, size_t *ret_len)
{
    const char *packed = strcasestr(head, "\r\nContent-Encoding: gzip");
    char *text = calloc(1, LOAD_ANSWER_MAX + 1);
    if (text == NULL)
        return ERR_NOMEM;
    if (packed == NULL || packed > body) {
        memcpy(text, body, len);
        *ret_len = len;
        *ret = text;
        return ERR_OK;
    }
    z_stream z = {.next_in = (z_const Bytef *)body, .avail_in = (uInt)len};
    z.next_out = (Bytef *)text;
    z.avail_out = LOAD_ANSWER_MAX;
    int code = inflateInit2(&z, GZIP_WINDOW) == Z_OK ? inflate(&z, Z_FINISH) : Z_MEM_ERROR;
    *ret_len = z.total_out;
    inflateEnd(&z);
    *ret = text;
    if (code == Z_STREAM_END)
        return ERR_OK;
    free(text);
    *ret = NULL;
    return ERR_FORMAT;
}
