/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is known of volumes before and after opening, and of what can be started: the recovery app's pure
 * readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include "efi/bls.h"
#include "efi/facts.h"
#include "efi/file_system.h"
#include <string.h>

static const struct guid id_a = {{1, 2, 3}}, id_b = {{4, 5, 6}};

static void of_luks2(void **state)
{
    static struct luks2 l;
    static const unsigned keys[] = {3};
    struct facts f;
    (void)state;
    memset(&l, 0, sizeof l);
    strcpy(l.label, "root");
    strcpy(l.uuid_text, "3f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0");
    l.uuid = id_b;
    l.token[3] =
        (struct luks2_token){.there = true, .used = true, .state = LUKS2_TOKEN_RETIRED, .key_id = id_a};
    facts_of_luks2(&l, keys, 1, &f);
    assert_string_equal(f.label, "root");
    assert_true(f.retired && guid_equal(&f.id, &id_b) && facts_have_key(&f, &id_a) &&
                !facts_have_key(&f, &id_b));
    assert_null(f.envelope);
    assert_false(f.chip || f.mended);
    assert_int_equal(facts_rank(&f), 3);
    l.token[3].state = LUKS2_TOKEN_LIVE;
    l.token[5].there = true;
    strcpy(l.token[5].type, "systemd-tpm2");
    l.from_secondary = true;
    facts_of_luks2(&l, keys, 1, &f);
    assert_true(f.chip && f.mended && !f.retired);
    assert_int_equal(facts_rank(&f), 1);
    f.os = true;
    assert_int_equal(facts_rank(&f), 0);
    facts_of_luks2(&l, keys, 0, &f);
    assert_int_equal(facts_rank(&f), 2);
    assert_string_equal(facts_format_name(&f), "LUKS2");
}

static void of_bitlocker(void **state)
{
    struct bitlocker_protector p[2 + FACTS_KEYS] = {{.kind = BITLOCKER_TPM, .key_id = id_b},
                                                    {.kind = BITLOCKER_STARTUP_KEY, .key_id = id_b}};
    struct bitlocker b = {.n_protectors = 2, .protector = p, .volume_id = id_a};
    struct facts f;
    (void)state;
    strcpy(b.description, "PC-7 C: 01/02/2026");
    b.block[0].problem.what = "the CRC-32 of the metadata does not match";
    facts_of_bitlocker(&b, &f);
    assert_true(f.chip && f.mended && f.n_keys == 0 && facts_have_startup_key(&f, &id_b));
    assert_false(facts_have_key(&f, &id_b) || facts_have_startup_key(&f, &id_a));
    assert_string_equal(f.label, "PC-7 C: 01/02/2026");
    assert_string_equal(facts_format_name(&f), "BitLocker");
    for (unsigned i = 0; i < 2 + FACTS_KEYS; i++)
        p[i] = (struct bitlocker_protector){.kind = BITLOCKER_RECOVERY, .key_id = {{(uint8_t)i}}};
    b.n_protectors = 2 + FACTS_KEYS;
    facts_of_bitlocker(&b, &f);
    assert_int_equal(f.n_keys, FACTS_KEYS); /* more are tried, but not shown */
    assert_false(f.chip);
}

static void file_systems(void **state)
{
    static const struct {
        size_t off;
        const char *text, *name;
    } row[] = {{3, "NTFS    ", "NTFS"}, {3, "EXFAT   ", "exFAT"},   {82, "FAT32   ", "FAT"},
               {54, "FAT16   ", "FAT"}, {1080, "\x53\xef", "ext4"}, {512, "LABELONE", "LVM"}};
    uint8_t head[FILE_SYSTEM_HEAD];
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        memset(head, 0, sizeof head);
        memcpy(head + row[i].off, row[i].text, strlen(row[i].text));
        assert_string_equal(file_system_name(file_system_of(head, sizeof head)), row[i].name);
        assert_int_equal(file_system_of(head, row[i].off + 1), FILE_SYSTEM_UNKNOWN); /* cut short */
    }
    memset(head, 0, sizeof head);
    assert_null(file_system_name(file_system_of(head, sizeof head)));
    assert_int_equal(file_system_of(head, 0), FILE_SYSTEM_UNKNOWN);
}

struct entry {
    const char *name, *text;
    enum err e;
    const char *title, *program, *options;
};

static const struct entry entries[] = {
    {"as systemd writes it",
     "# Boot Loader Specification type#1 entry\ntitle      Debian GNU/Linux 12 (bookworm)\nversion    "
     "6.1.0-9-amd64\n"
     "machine-id 0123\noptions    root=UUID=12 ro quiet\nlinux      /0123/6.1.0-9-amd64/linux\n"
     "initrd     /0123/6.1.0-9-amd64/initrd.img\n",
     ERR_OK, "Debian GNU/Linux 12 (bookworm) 6.1.0-9-amd64", "\\0123\\6.1.0-9-amd64\\linux",
     "root=UUID=12 ro quiet initrd=\\0123\\6.1.0-9-amd64\\initrd.img"},
    {"an EFI program, DOS line ends, no last line end", "title\tShell\r\nefi\t/EFI/shell.efi", ERR_OK,
     "Shell", "\\EFI\\shell.efi", ""},
    {"two initrds", "linux /v\ninitrd /a\ninitrd /b\n", ERR_OK, "", "\\v", "initrd=\\a initrd=\\b"},
    {"no program", "title nothing\n", ERR_FORMAT, "", "", ""},
    {"a relative path", "linux v\n", ERR_FORMAT, "", "", ""},
    {"two programs", "linux /a\nefi /b\n", ERR_FORMAT, "", "", ""},
    {"nothing", "", ERR_FORMAT, "", "", ""},
    {"blanks", " \n\t\n\n  linux   /a  \n", ERR_OK, "", "\\a", ""},
};

static void boot_entries(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        const struct entry *t = &entries[i];
        struct bls b;
        enum err e = bls_decode(t->text, strlen(t->text), &b);
        if (e != t->e)
            fail_msg("%s: %d", t->name, e);
        if (e == ERR_OK &&
            (strcmp(b.title, t->title) || strcmp(b.program, t->program) || strcmp(b.options, t->options)))
            fail_msg("%s: \"%s\" \"%s\" \"%s\"", t->name, b.title, b.program, b.options);
        for (size_t n = 0; n < strlen(t->text); n++) { /* cut anywhere: no crash, and never half a path */
            char *cut = test_malloc(n + 1);
            memcpy(cut, t->text, n);
            if (bls_decode(cut, n, &b) == ERR_OK)
                assert_true(b.program[0] == '\\');
            test_free(cut);
        }
    }
}

static void too_long_boot_entries(void **state)
{
    static char text[BLS_MAX];
    struct bls b;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "linux /", 7);
    assert_int_equal(bls_decode(text, sizeof text, &b), ERR_FULL);
    memcpy(text, "linux /a\noptions ", 17);
    assert_int_equal(bls_decode(text, sizeof text, &b), ERR_FULL);
    memcpy(text, "linux /a\ntitle   ", 17); /* a name may be cut */
    assert_int_equal(bls_decode(text, sizeof text, &b), ERR_OK);
    assert_int_equal(strlen(b.title), BLS_TITLE - 1);
}

/* Only what a system that was started through this program would miss. */
static void what_a_chip_will_not_open(void **state)
{
    static const struct facts own = {.chip = true, .os = true}, data = {.n_keys = 1},
                              bound = {.chip = true, .format = FACTS_BITLOCKER},
                              retired = {.chip = true, .retired = true};
    static const struct facts *const at[] = {&own, &data, &retired, &bound, &bound};
    (void)state;
    assert_null(facts_left_to_chip(at, 0));
    assert_null(facts_left_to_chip(at, 3));
    assert_ptr_equal(facts_left_to_chip(at, 5), &bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_luks2),
        cmocka_unit_test(of_bitlocker),
        cmocka_unit_test(what_a_chip_will_not_open),
        cmocka_unit_test(file_systems),
        cmocka_unit_test(boot_entries),
        cmocka_unit_test(too_long_boot_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
