/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the recovery screen says, and the small text helpers below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include "efi/characters.h"
#include "efi/content.h"
#include "efi/sentence.h"
#include <stdio.h>
#include <string.h>

static const struct guid key_a = {{0xe2, 0xd9, 0x41, 0x7c, 0x36, 0x5b, 0x08, 0x4f, 1, 2, 3, 4, 5, 6, 7, 8}};
static const struct guid key_b = {{0x78, 0x56, 0x34, 0x12}};

static struct luks2 *volume(void)
{
    static struct luks2 l;
    memset(&l, 0, sizeof l);
    strcpy(l.uuid_text, "3f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0");
    strcpy(l.label, "laptop root");
    l.token[2] =
        (struct luks2_token){.used = true, .state = LUKS2_TOKEN_LIVE, .key_id = key_a, .envelope_len = 370};
    l.token[5] = (struct luks2_token){.used = true, .state = LUKS2_TOKEN_PENDING, .key_id = key_b};
    for (unsigned i = 0; i < 370; i++)
        l.token[2].envelope[i] = (uint8_t)i;
    return &l;
}

static const struct org *organisation(const char *url)
{
    static struct org o;
    memset(&o, 0, sizeof o);
    strcpy(o.name, "Example Widgets");
    strcpy(o.message, "Call 1234.");
    strcpy(o.url, url);
    return &o;
}

static const struct facts *facts(void)
{
    static const unsigned keys[] = {2, 5};
    static struct facts f;
    facts_of_luks2(volume(), keys, 2, &f);
    f.size = 512110190592;
    f.os = true;
    return &f;
}

static void show(struct content *c, const struct facts *f)
{
    const struct content_volumes v = {.at = &f, .n = 1};
    content_set_volumes(c, &v);
}

static void one_volume(void **state)
{
    struct content c;
    uint8_t envelope[ENVELOPE_MAX];
    size_t len;
    (void)state;
    content_init(&c, organisation("https://keys.example.org"), "laptop-42", KH_REASON_TPM, true);
    assert_string_equal(c.org, "Example Widgets");
    assert_string_equal(c.computer, "laptop-42");
    assert_non_null(strstr(c.reason, "TPM"));
    const struct facts *f = facts();
    show(&c, f);
    assert_string_equal(c.note, "");
    assert_true(c.has_volume);
    assert_string_equal(c.key_id, "7C41D9E2");
    assert_string_equal(c.also, "or 12345678");
    assert_string_equal(c.volume, "laptop root, 512 GB, LUKS2, system, 3f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0");
    assert_string_equal(c.count, "");
    assert_int_equal(c.n_list, 0);
    assert_int_equal(strncmp(c.qr, "HTTPS://KEYS.EXAMPLE.ORG/R/", 27), 0);
    assert_int_equal(qr_text_decode(c.qr, strlen(c.qr), envelope, sizeof envelope, &len), ERR_OK);
    assert_int_equal(len, 370);
    assert_memory_equal(envelope, f->envelope, 370);
    content_set_volumes(&c, &(struct content_volumes){.n = 0});
    assert_string_equal(c.key_id, "");
    assert_string_equal(c.qr, "");
    assert_false(c.has_volume);
    assert_string_equal(c.org, "Example Widgets");
}

static void without_an_organisation(void **state)
{
    const struct facts *at[] = {facts(), facts(), facts()};
    const struct content_volumes v = {.at = at, .n = 3, .current = 1};
    struct content c;
    (void)state;
    content_init(&c, NULL, "", 0, false);
    content_set_volumes(&c, &v);
    assert_string_equal(c.org, "");
    assert_int_equal(strlen(c.qr), BASE32_LEN(370)); /* the bare envelope */
    assert_non_null(strstr(c.note, "with a dash"));
    assert_string_equal(c.count, "Volume 2 of 3 (Tab shows the next)");
    assert_int_equal(c.n_list, 3);
    assert_int_equal(c.list_at, 1);
    assert_string_equal(c.list[2], "3. 7C41D9E2  LUKS2 system, 512 GB, laptop root");
    assert_non_null(strstr(content_keys(&c, true), "Tab"));
    assert_non_null(strstr(content_keys(&c, true), "U copy"));
    for (int several = 0; several < 2; several++) {
        c.several = several;
        assert_true(strlen(content_keys(&c, true)) <= 93);
    }
    c.may_copy = false;
    assert_null(strstr(content_keys(&c, true), "U copy"));
    assert_null(strstr(content_keys(&c, false), "U copy"));
    assert_non_null(strstr(content_step(&c, 0, true), "Call your help desk"));
}

/* An address that a QR of this mode cannot hold is shown, but the code holds the envelope alone. */
static void an_address_outside_the_alphabet(void **state)
{
    struct content c;
    (void)state;
    content_init(&c, organisation("https://keys.example.org/?a=1"), "", KH_REASON_USER, true);
    show(&c, facts());
    assert_int_equal(strlen(c.qr), BASE32_LEN(370));
    assert_string_equal(c.url, "https://keys.example.org/?a=1");
}

/* The one sentence that a person has to know before typing. */
static void what_to_know_before(void **state)
{
    static const struct {
        const char *name;
        struct facts f;
        const char *want; /* part of it, "" none */
    } row[] = {
        {"a system that is handed the password", {.format = FACTS_LUKS2, .os = true, .n_keys = 1}, ""},
        {"Windows asks again", {.format = FACTS_BITLOCKER, .os = true, .n_keys = 1}, "Windows will ask"},
        {"data", {.format = FACTS_LUKS2, .n_keys = 1}, "read only"},
        {"data that a chip opens", {.format = FACTS_LUKS2, .n_keys = 1, .chip = true}, "restarted"},
        {"suspended",
         {.format = FACTS_BITLOCKER, .os = true, .n_keys = 1, .suspended = true},
         "without any digits"},
        {"BitLocker data", {.format = FACTS_BITLOCKER, .n_keys = 1}, "read only"},
        {"open already", {.format = FACTS_LUKS2, .open = true}, "is open"},
        {"no digits open it", {.format = FACTS_BITLOCKER, .os = true}, "startup key"},
        {"no key of ours", {.format = FACTS_LUKS2, .os = true}, "48 digits may open it"},
        {"so perhaps nobody takes the password",
         {.format = FACTS_LUKS2, .os = true},
         "with a dash between the groups."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct content c;
        content_init(&c, NULL, "", KH_REASON_USER, true);
        show(&c, &row[i].f);
        if (row[i].want[0] ? !strstr(c.note, row[i].want) : c.note[0] != '\0')
            fail_msg("%s: \"%s\"", row[i].name, c.note);
        if (strlen(c.note) >= CONTENT_LINE - 1)
            fail_msg("%s: cut", row[i].name);
    }
}

/* The list follows the current volume; key lines fit 93 columns. */
static void many_volumes(void **state)
{
    const struct facts *at[32];
    struct content c;
    (void)state;
    for (unsigned i = 0; i < 32; i++)
        at[i] = facts();
    content_init(&c, NULL, "", KH_REASON_USER, true);
    for (unsigned i = 0; i < 32; i++) {
        char number[8];
        const struct content_volumes v = {.at = at, .n = 32, .current = i};
        content_set_volumes(&c, &v);
        assert_int_equal(c.n_list, CONTENT_VOLUMES);
        snprintf(number, sizeof number, "%u. ", i + 1);
        assert_int_equal(strncmp(c.list[c.list_at], number, strlen(number)), 0);
    }
    assert_true(strlen(content_keys(&c, true)) <= 93);
}

static void every_reason_has_a_sentence(void **state)
{
    (void)state;
    for (unsigned r = 0; r < 256; r++) {
        struct content c;
        content_init(&c, NULL, "", (uint8_t)r, true);
        size_t len = strlen(c.reason);
        assert_true(len > 20 && len < CONTENT_LINE - 1 && c.reason[len - 1] == '.');
    }
}

static void sizes(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } row[] = {{0, "0 bytes"},
               {1, "1 byte"},
               {999, "999 bytes"},
               {1000, "1.0 KB"},
               {9900, "9.9 KB"},
               {10000, "10 KB"},
               {999999, "999 KB"},
               {1000000, "1.0 MB"},
               {25165824, "25 MB"},
               {512110190592, "512 GB"},
               {1000204886016, "1.0 TB"},
               {UINT64_MAX, "18 EB"}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[16];
        struct sentence s;
        sentence_init(&s, text, sizeof text);
        sentence_add_size(&s, row[i].bytes);
        if (strcmp(text, row[i].text) != 0)
            fail_msg("%llu bytes: %s, not %s", (unsigned long long)row[i].bytes, text, row[i].text);
    }
}

static void sentences_are_cut(void **state)
{
    char text[8];
    struct sentence s;
    (void)state;
    sentence_init(&s, text, sizeof text);
    sentence_add(&s, "abcd");
    sentence_add_u64(&s, UINT64_MAX);
    sentence_add(&s, "more");
    assert_string_equal(text, "abcd184");
}

static void utf8(void **state)
{
    static const struct {
        const char *name, *text;
        uint16_t want[4];
    } row[] = {{"ASCII", "ab", {'a', 'b'}},
               {"umlaut", "\xc3\xa4", {0xe4}},
               {"euro", "\xe2\x82\xac", {0x20ac}},
               {"beyond the plane", "\xf0\x9f\x98\x80z", {'?', 'z'}},
               {"lone continuation", "\x80z", {'?', 'z'}},
               {"overlong", "\xc0\xafz", {'?', 'z'}},
               {"overlong of three", "\xe0\x80\xafz", {'?', 'z'}},
               {"surrogate", "\xed\xa0\x80z", {'?', 'z'}},
               {"cut", "\xe2\x82", {'?'}},
               {"cut before ASCII", "\xc3z", {'?', 'z'}}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const char *p = row[i].text;
        for (unsigned k = 0; k < 4; k++) {
            uint16_t c = characters_next(&p);
            if (c != row[i].want[k])
                fail_msg("%s: character %u is %x", row[i].name, k, c);
        }
        if (*p)
            fail_msg("%s: not read to its end", row[i].name);
    }
    assert_int_equal(characters_plain(0x2019), '\'');
    assert_int_equal(characters_plain(0x2013), '-');
    assert_int_equal(characters_plain(0xe4), 0xe4);
    assert_int_equal(characters_plain(0x1b), ' ');
    assert_int_equal(characters_plain(0x9b), ' '); /* a terminal would take it for an escape sequence */
}

static void volumes_that_are_not_shown(void **state)
{
    static const struct {
        const char *name;
        unsigned count, damaged;
        bool more, cut_short;
        const char *want;
    } row[] = {
        {"all of one", 1, 0, false, false, ""},
        {"too many", 16, 0, true, false,
         "Volume 1 of 16 (Tab shows the next). There are more: unplug some disks to see the others."},
        {"time was over", 1, 0, false, true, "Looking took too long: not every disk was looked at."},
        {"one damaged, none good", 0, 1, false, false,
         "1 volume has a damaged header and cannot be opened. "},
        {"two damaged", 2, 2, false, false,
         "Volume 1 of 2 (Tab shows the next). 2 volumes have damaged headers and cannot be opened. "},
    };
    const struct facts *at[16];
    struct content c;
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        at[i] = facts();
    content_init(&c, NULL, "", KH_REASON_USER, true);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const struct content_volumes v = {.at = at,
                                          .n = row[i].count,
                                          .n_damaged = row[i].damaged,
                                          .more = row[i].more,
                                          .cut_short = row[i].cut_short};
        content_set_volumes(&c, &v);
        if (strcmp(c.count, row[i].want) != 0)
            fail_msg("%s: \"%s\"", row[i].name, c.count);
        if ((strstr(content_keys(&c, true), "Tab") != NULL) != (row[i].count > 1))
            fail_msg("%s: Tab", row[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_to_know_before),
        cmocka_unit_test(many_volumes),
        cmocka_unit_test(volumes_that_are_not_shown),
        cmocka_unit_test(one_volume),
        cmocka_unit_test(without_an_organisation),
        cmocka_unit_test(sizes),
        cmocka_unit_test(an_address_outside_the_alphabet),
        cmocka_unit_test(utf8),
        cmocka_unit_test(every_reason_has_a_sentence),
        cmocka_unit_test(sentences_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
