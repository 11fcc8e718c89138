/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/boot_entry.h"
#include "agent/boot/efivar.h"
#include "formats/names.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* HD(1,GPT,…)/File(\EFI\keyholt\recovery.efi) would be longer; any whole device path does here: a file path
 * node with "\A", and the end node. source: UEFI 2.10 section 10.3 */
static const uint8_t path_a[] = {4, 4, 10, 0, '\\', 0, 'A', 0, 0, 0, 0x7f, 0xff, 4, 0};
static const uint8_t path_b[] = {4, 4, 10, 0, '\\', 0, 'B', 0, 0, 0, 0x7f, 0xff, 4, 0};

/* EFI_LOAD_OPTION: attributes 1, path length, description, path. source: UEFI 2.10 section 3.1.3 */
static const uint8_t debian[] = {1, 0, 0,  0, 14,   0, 'd', 0, 'e', 0, 'b',  0,    0, 0,
                                 4, 4, 10, 0, '\\', 0, 'd', 0, 0,   0, 0x7f, 0xff, 4, 0};

static char dir[] = "/tmp/keyholt-entry-XXXXXX", command[128];

static int setup(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static void put(const char *name, const void *p, size_t len)
{
    assert_int_equal(efivar_write(dir, name, EFIVAR_GLOBAL, 7, p, len), ERR_OK);
}

static size_t get(const char *name, uint8_t *ret)
{
    size_t len = 0;
    enum err e = efivar_read(dir, name, EFIVAR_GLOBAL, NULL, ret, EFIVAR_MAX, &len);
    assert_true(e == ERR_OK || e == ERR_NOT_FOUND);
    return len;
}

static void appended_behind_the_os(void **state)
{
    uint8_t b[EFIVAR_MAX];
    static const uint8_t order[] = {2, 0, 0, 0}, want[] = {2, 0, 0, 0, 1, 0};
    static const uint8_t name[] = "K\0e\0y\0h\0o\0l\0t\0 \0r\0e\0c\0o\0v\0e\0r\0y\0\0";
    (void)state;
    put("Boot0000", debian, sizeof debian);
    put("Boot0002", debian, sizeof debian);
    put("BootOrder", order, sizeof order);
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_a, sizeof path_a, NULL}), ERR_OK);
    assert_int_equal(get("BootOrder", b), sizeof want);
    assert_memory_equal(b, want, sizeof want);
    size_t len = get("Boot0001", b);
    assert_int_equal(len, 6 + sizeof name + sizeof path_a);
    assert_memory_equal(b, "\1\0\0\0\16\0", 6);
    assert_memory_equal(b + 6, name, sizeof name);
    assert_memory_equal(b + 6 + sizeof name, path_a, sizeof path_a);
    assert_int_equal(get("Boot0000", b), sizeof debian);
    assert_memory_equal(b, debian, sizeof debian);
}

static void updated_not_doubled(void **state)
{
    uint8_t b[EFIVAR_MAX];
    static const uint8_t order[] = {0, 0}, ours_first[] = {1, 0, 0, 0};
    (void)state;
    put("Boot0000", debian, sizeof debian);
    put("BootOrder", order, sizeof order);
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_a, sizeof path_a, NULL}), ERR_OK);
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_a, sizeof path_a, NULL}), ERR_OK);
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_b, sizeof path_b, NULL}), ERR_OK);
    assert_int_equal(get("Boot0002", b), 0);
    assert_int_equal(get("BootOrder", b), 4);
    size_t len = get("Boot0001", b);
    assert_memory_equal(b + len - sizeof path_b, path_b, sizeof path_b);
    put("BootOrder", ours_first, sizeof ours_first); /* a person's wish */
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_b, sizeof path_b, NULL}), ERR_OK);
    assert_int_equal(get("BootOrder", b), sizeof ours_first);
    assert_memory_equal(b, ours_first, sizeof ours_first);
}

static void no_order_is_made(void **state)
{
    uint8_t b[EFIVAR_MAX];
    (void)state;
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_a, sizeof path_a, NULL}), ERR_OK);
    assert_true(get("Boot0000", b) > 0);
    assert_int_equal(get("BootOrder", b), 0);
}

static void damaged_entries_keep_their_numbers(void **state)
{
    uint8_t b[EFIVAR_MAX];
    (void)state;
    put("Boot0000", "\1\0\0\0\377\377x", 7); /* its path is longer than itself */
    put("Boot0001", "", 0);
    put("Boot00AB", debian, 6);
    put("Boot000c", debian, sizeof debian); /* no firmware writes small letters */
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_a, sizeof path_a, NULL}), ERR_OK);
    assert_true(get("Boot0002", b) > 0);
    assert_int_equal(get("Boot0000", b), 7);
}

/* What shim reads behind the path: UCS-2 with its zero. */
static void an_argument(void **state)
{
    static const uint8_t want[] = {'\\', 0, 'E', 0, 0, 0};
    uint8_t b[EFIVAR_MAX];
    const struct boot_option o = {path_a, sizeof path_a, "\\E"};
    (void)state;
    assert_int_equal(boot_entry_put(dir, &o), ERR_OK);
    size_t len = get("Boot0000", b);
    assert_memory_equal(b + len - sizeof want - sizeof path_a, path_a, sizeof path_a);
    assert_memory_equal(b + len - sizeof want, want, sizeof want);
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(boot_entry_put(dir, &(struct boot_option){path_a, sizeof path_a, longer}), ERR_RANGE);
    assert_int_equal(get("Boot0000", b), len);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(appended_behind_the_os), T(updated_not_doubled), T(no_order_is_made),
                                       T(an_argument), T(damaged_entries_keep_their_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
