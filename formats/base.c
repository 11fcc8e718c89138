/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The three alphabets are one code with 4, 5 or 6 bits per character: bits go through an accumulator,
 * most significant first. */
static size_t encode(const char *digits, unsigned width, const uint8_t *p, size_t len, char *ret)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        acc = acc << 8 | p[i];
        for (bits += 8; bits >= width; bits -= width)
            ret[n++] = digits[acc >> (bits - width) & ((1u << width) - 1)];
    }
    if (bits)
        ret[n++] = digits[acc << (width - bits) & ((1u << width) - 1)];
    ret[n] = 0;
    return n;
}

struct decoder {
    unsigned width; /* bits per character */
    uint8_t *out;   /* borrowed */
    size_t cap, n;
    uint32_t acc;
    unsigned bits;
};

static enum err decoder_put(struct decoder *d, int value)
{
    if (value < 0)
        return ERR_FORMAT;
    d->acc = (d->acc << d->width | (uint32_t)value) & 0xffff;
    d->bits += d->width;
    if (d->bits < 8)
        return ERR_OK;
    if (d->n == d->cap)
        return ERR_FULL;
    d->bits -= 8;
    d->out[d->n++] = (uint8_t)(d->acc >> d->bits);
    return ERR_OK;
}

/* A whole character left over, or one of its bits set: no encoder writes that. */
static enum err decoder_end(const struct decoder *d, size_t *ret_len)
{
    if (d->bits >= d->width || (d->acc & ((1u << d->bits) - 1)) != 0)
        return ERR_FORMAT;
    *ret_len = d->n;
    return ERR_OK;
}

static int in_range(char c, char first, char last, int value)
{
    return c >= first && c <= last ? c - first + value : -1;
}

static int first_of(int a, int b)
{
    return a >= 0 ? a : b;
}

static int value16(char c)
{
    return first_of(in_range(c, '0', '9', 0), first_of(in_range(c, 'a', 'f', 10), in_range(c, 'A', 'F', 10)));
}

static int value32(char c)
{
    return first_of(in_range(c, 'A', 'Z', 0), first_of(in_range(c, 'a', 'z', 0), in_range(c, '2', '7', 26)));
}

static int value64(char c)
{
    int letter = first_of(in_range(c, 'A', 'Z', 0), in_range(c, 'a', 'z', 26));
    return first_of(letter, first_of(in_range(c, '0', '9', 52), c == '+' ? 62 : c == '/' ? 63 : -1));
}

void base16_encode(const uint8_t *p, size_t len, char *ret)
{
    (void)encode(hex_digits, 4, p, len, ret);
}
void base32_encode(const uint8_t *p, size_t len, char *ret)
{
    (void)encode(base32_digits, 5, p, len, ret);
}

void base64_encode(const uint8_t *p, size_t len, char *ret)
{
    size_t n = encode(base64_digits, 6, p, len, ret);
    while (n < BASE64_LEN(len))
        ret[n++] = '=';
    ret[n] = 0;
}

enum err base16_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len)
{
    struct decoder d = {.width = 4, .out = ret, .cap = cap};
    for (size_t i = 0; i < len; i++)
        TRY(decoder_put(&d, value16(text[i])));
    return decoder_end(&d, ret_len);
}

enum err base32_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len)
{
    struct decoder d = {.width = 5, .out = ret, .cap = cap};
    for (size_t i = 0; i < len; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
            TRY(decoder_put(&d, value32(text[i])));
    return decoder_end(&d, ret_len);
}

enum err base64_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len)
{
    struct decoder d = {.width = 6, .out = ret, .cap = cap};
    size_t n_pad = 0;
    if (len % 4 != 0)
        return ERR_FORMAT;
    while (n_pad < 2 && n_pad < len && text[len - 1 - n_pad] == '=')
        n_pad++;
    for (size_t i = 0; i < len - n_pad; i++)
        TRY(decoder_put(&d, value64(text[i])));
    return decoder_end(&d, ret_len);
}
