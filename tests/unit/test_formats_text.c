/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base, text and qr_text: bytes as characters. */
#include "formats/base.h"
#include "formats/qr_text.h"
#include "formats/text.h"
#include "formats_vectors.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

typedef void encode_fn(const uint8_t *, size_t, char *);
typedef enum err decode_fn(const char *, size_t, uint8_t *, size_t, size_t *);

/* RFC 4648 section 10, base32 without its padding */
static const struct encode_row {
    const char *bytes, *hex, *b32, *b64;
} encode_rows[] = {
    {"", "", "", ""},
    {"f", "66", "MY", "Zg=="},
    {"fo", "666f", "MZXQ", "Zm8="},
    {"foo", "666f6f", "MZXW6", "Zm9v"},
    {"foob", "666f6f62", "MZXW6YQ", "Zm9vYg=="},
    {"fooba", "666f6f6261", "MZXW6YTB", "Zm9vYmE="},
    {"foobar", "666f6f626172", "MZXW6YTBOI", "Zm9vYmFy"},
};

static void check_both(const char *bytes, const char *text, encode_fn *encode, decode_fn *decode)
{
    char out[32];
    uint8_t back[8];
    size_t n = 99;
    encode((const uint8_t *)bytes, strlen(bytes), out);
    assert_string_equal(out, text);
    assert_int_equal(decode(text, strlen(text), back, sizeof back, &n), ERR_OK);
    assert_int_equal(n, strlen(bytes));
    assert_memory_equal(back, bytes, n);
    if (n > 0) {
        size_t untouched = 99;
        assert_int_equal(decode(text, strlen(text), back, n - 1, &untouched), ERR_FULL);
        assert_int_equal(untouched, 99);
    }
}

static void base_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof encode_rows / sizeof *encode_rows; i++) {
        const struct encode_row *row = &encode_rows[i];
        check_both(row->bytes, row->hex, base16_encode, base16_decode);
        check_both(row->bytes, row->b32, base32_encode, base32_decode);
        check_both(row->bytes, row->b64, base64_encode, base64_decode);
        assert_int_equal(strlen(row->b32), BASE32_LEN(strlen(row->bytes)));
        assert_int_equal(strlen(row->b64), BASE64_LEN(strlen(row->bytes)));
    }
}

static const struct bad_row {
    const char *name;
    decode_fn *decode;
    const char *text;
} bad_rows[] = {
    {"hex, odd length", base16_decode, "666"},
    {"hex, other letter", base16_decode, "6g"},
    {"hex, space", base16_decode, "66 66"},
    {"base32, 1 character", base32_decode, "M"},
    {"base32, 3 characters", base32_decode, "MZX"},
    {"base32, 6 characters", base32_decode, "MZXW6Y"},
    {"base32, 9 characters", base32_decode, "MZXW6YTBO"},
    {"base32, 11 characters", base32_decode, "MZXW6YTBOIA"},
    {"base32, padding bit of 2", base32_decode, "MZ"},
    {"base32, padding bit of 4", base32_decode, "MZXR"},
    {"base32, padding bit of 5", base32_decode, "MZXW7"},
    {"base32, padding bit of 7", base32_decode, "MZXW6YR"},
    {"base32, padding characters", base32_decode, "MY======"},
    {"base32, digit 1", base32_decode, "M1"},
    {"base32, digit 0", base32_decode, "M0"},
    {"base32, digit 8", base32_decode, "M8"},
    {"base32, dash", base32_decode, "MZ-XQ"},
    {"base64, unpadded", base64_decode, "Zg"},
    {"base64, half padded", base64_decode, "Zg="},
    {"base64, one character", base64_decode, "Z==="},
    {"base64, padding alone", base64_decode, "===="},
    {"base64, padding bit of 2", base64_decode, "Zh=="},
    {"base64, padding bit of 3", base64_decode, "Zm9="},
    {"base64, padding within", base64_decode, "Zg==Zm9v"},
    {"base64, URL alphabet", base64_decode, "Zm-_"},
    {"base64, line break", base64_decode, "Zm9v\nZm9v"},
};

static void base_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        uint8_t out[16];
        size_t n = 99;
        enum err err = bad_rows[i].decode(bad_rows[i].text, strlen(bad_rows[i].text), out, sizeof out, &n);
        if (err != ERR_FORMAT || n != 99)
            fail_msg("%s: %s", bad_rows[i].name, err_name(err));
    }
}

static void base_all_bytes(void **state)
{
    (void)state;
    uint8_t bytes[256], back[256];
    char text[BASE16_LEN(256) + 1];
    static const struct {
        encode_fn *encode;
        decode_fn *decode;
    } both[] = {
        {base16_encode, base16_decode}, {base32_encode, base32_decode}, {base64_encode, base64_decode}};
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (unsigned b = 0; b < 3; b++) {
        for (size_t len = 0; len <= 256; len++) {
            size_t n = 0;
            both[b].encode(bytes, len, text);
            assert_int_equal(both[b].decode(text, strlen(text), back, sizeof back, &n), ERR_OK);
            assert_int_equal(n, len);
            assert_memory_equal(back, bytes, len);
        }
    }
}

static const struct text_row {
    const char *name, *text;
    bool utf8, printable;
    const char *clean; /* in 8 bytes of room */
} text_rows[] = {
    {"empty", "", true, true, ""},
    {"ASCII", "laptop", true, true, "laptop"},
    {"two bytes", "gr\xc3\xb6\xc3\x9f", true, true, "gr\xc3\xb6\xc3\x9f"},
    {"cut on a character", "abcdef\xc3\xb6", true, true, "abcdef"},
    {"four bytes", "\xf0\x9f\x94\x91", true, true, "\xf0\x9f\x94\x91"},
    {"newline", "a\nb", true, false, "a?b"},
    {"escape", "\x1b[2J", true, false, "?[2J"},
    {"DEL", "\x7f", true, false, "?"},
    {"C1 control", "\xc2\x9b", true, false, "?"},
    {"no-break space", "\xc2\xa0", true, true, "\xc2\xa0"},
    {"lone continuation", "\x80", false, false, "?"},
    {"overlong slash", "\xc0\xaf", false, false, "??"},
    {"overlong of three", "\xe0\x80\xaf", false, false, "???"},
    {"surrogate", "\xed\xa0\x80", false, false, "???"},
    {"beyond the end", "\xf4\x90\x80\x80", false, false, "????"},
    {"cut short", "a\xe2\x82", false, false, "a??"},
};

static void texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof text_rows / sizeof *text_rows; i++) {
        const struct text_row *row = &text_rows[i];
        size_t len = strlen(row->text);
        char clean[8], *exact = malloc(len + 1); /* of exact size for the sanitizer; no zero byte */
        assert_non_null(exact);
        memcpy(exact, row->text, len);
        text_clean(exact, len, clean, sizeof clean);
        if (text_is_utf8(exact, len) != row->utf8 || text_is_printable(exact, len) != row->printable ||
            strcmp(clean, row->clean) != 0)
            fail_msg("%s: cleaned to \"%s\"", row->name, clean);
        free(exact);
    }
}

static void qr_known_answer(void **state)
{
    (void)state;
    char text[QR_TEXT_MAX + 1];
    assert_int_equal(qr_text_encode("https://keys.example.org/", (const uint8_t *)"foobar", 6, text), ERR_OK);
    assert_string_equal(text, "HTTPS://KEYS.EXAMPLE.ORG/R/MZXW6YTBOI");
    assert_int_equal(qr_text_encode("https://keys.example.org:8443/k", (const uint8_t *)"f", 1, text),
                     ERR_OK);
    assert_string_equal(text, "HTTPS://KEYS.EXAMPLE.ORG:8443/K/R/MY");
}

static void qr_urls(void **state)
{
    (void)state;
    char longest[QR_URL_MAX + 2];
    memset(longest, 'A', sizeof longest);
    longest[QR_URL_MAX] = 0;
    assert_int_equal(qr_text_check_url(longest), ERR_OK);
    longest[QR_URL_MAX] = 'A';
    longest[QR_URL_MAX + 1] = 0;
    assert_int_equal(qr_text_check_url(longest), ERR_RANGE);
    static const char *const bad[] = {
        "",          "https://keys example", "https://k?x", "https://k/#", "https://k_e",
        "k\xc3\xb6", "https://k/~me"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (qr_text_check_url(bad[i]) != ERR_FORMAT)
            fail_msg("\"%s\"", bad[i]);
}

/* What people make of the text on its way: each of these must still yield the envelope. */
static void spell(unsigned how, const char *qr, char *ret)
{
    const char *from = how & 1 ? strrchr(qr, '/') + 1 : qr;
    for (size_t i = 0; from[i]; i++) {
        if (how & 2 && i % 7 == 0)
            *ret++ = " \n\t\r"[i / 7 % 4];
        *ret++ = how & 4 ? (char)tolower((unsigned char)from[i]) : from[i];
    }
    strcpy(ret, how & 8 ? "\r\n" : "");
}

static void qr_spellings(void **state)
{
    (void)state;
    char qr[QR_TEXT_MAX + 1], text[2 * QR_TEXT_MAX];
    assert_int_equal(qr_text_encode("https://r.example/r", vector_envelope, sizeof vector_envelope, qr),
                     ERR_OK);
    for (unsigned how = 0; how < 16; how++) {
        uint8_t back[ENVELOPE_MAX];
        size_t n = 0;
        spell(how, qr, text);
        enum err err = qr_text_decode(text, strlen(text), back, sizeof back, &n);
        if (err != ERR_OK || n != sizeof vector_envelope || memcmp(back, vector_envelope, n) != 0)
            fail_msg("spelling %u: %s", how, err_name(err));
    }
}

static void qr_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "\n",         "HTTPS://K.EXAMPLE/R/", "HTTPS://K.EXAMPLE/S/MZXQ", "R/MZXQ",
        "/MZXQ",  "/XR/MZXQ",   "HTTPS://K/R/MZXQ/",    "HTTPS://K/R/MZXQ?",        "HTTPS://K/R/MZ",
        "MZXQ X", "HTTPS://K/R"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t out[16];
        size_t n = 99;
        if (qr_text_decode(bad[i], strlen(bad[i]), out, sizeof out, &n) != ERR_FORMAT || n != 99)
            fail_msg("\"%s\"", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_known_answers), cmocka_unit_test(base_bad),
        cmocka_unit_test(base_all_bytes),     cmocka_unit_test(texts),
        cmocka_unit_test(qr_known_answer),    cmocka_unit_test(qr_urls),
        cmocka_unit_test(qr_spellings),       cmocka_unit_test(qr_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
