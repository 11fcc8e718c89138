/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/qr_text.h"
#include <stdbool.h>
#include <string.h>

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Alphanumeric mode, without its space, which no address holds. source: ISO/IEC 18004 table 5 */
static bool is_alphanumeric(char c)
{
    c = upper(c);
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '$' || c == '%' || c == '*' || c == '+' ||
           c == '-' || c == '.' || c == '/' || c == ':';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum err qr_text_check_url(const char *url)
{
    size_t len = strlen(url);
    if (len > QR_URL_MAX)
        return ERR_RANGE;
    for (size_t i = 0; i < len; i++)
        if (!is_alphanumeric(url[i]))
            return ERR_FORMAT;
    return len ? ERR_OK : ERR_FORMAT;
}

enum err qr_text_encode(const char *url, const uint8_t *envelope, size_t len,
                        char ret[static QR_TEXT_MAX + 1])
{
    TRY(qr_text_check_url(url));
    if (len > ENVELOPE_MAX)
        return ERR_RANGE;
    size_t n = strlen(url);
    if (url[n - 1] == '/')
        n--;
    for (size_t i = 0; i < n; i++)
        ret[i] = upper(url[i]);
    memcpy(ret + n, "/R/", 3);
    base32_encode(envelope, len, ret + n + 3);
    return ERR_OK;
}

/* The last character before end that is no white space, or 0; *end moves onto it. */
static char char_before(const char *text, size_t *end)
{
    while (*end > 0)
        if (!is_space(text[--*end]))
            return upper(text[*end]);
    return 0;
}

enum err qr_text_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len)
{
    size_t start = len;
    while (start > 0 && text[start - 1] != '/')
        start--;
    if (start > 0) { /* behind the last slash, which must be that of /R/ */
        size_t end = start - 1;
        if (char_before(text, &end) != 'R' || char_before(text, &end) != '/')
            return ERR_FORMAT;
    }
    size_t n = 0;
    TRY(base32_decode(text + start, len - start, ret, cap, &n));
    if (n == 0)
        return ERR_FORMAT;
    *ret_len = n;
    return ERR_OK;
}
