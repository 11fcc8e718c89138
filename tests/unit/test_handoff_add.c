/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The boot entry that the initramfs makes for a disk from another computer; libefivar is what knows better.
 */
#include "agent/boot/efivar.h"
#include "agent/boot/handoff.h"
#include <efivar/efiboot.h>
#include <efivar/efivar.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static const struct handoff_esp esp = {.number = 1,
                                       .first = 2048,
                                       .n = 0x123456789a,
                                       .guid = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}};

static char dir[] = "/tmp/keyholt-add-XXXXXX", command[128];

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

static void the_same_as_libefivar(void **state)
{
    uint8_t got[EFIVAR_MAX], want[EFIVAR_MAX], path[EFIVAR_MAX], description[] = KH_BOOT_ENTRY;
    uint8_t guid[16];
    char app[] = KH_ESP_APP;
    size_t len = 0;
    (void)state;
    memcpy(guid, esp.guid.bytes, sizeof guid);
    ssize_t n = efidp_make_hd(path, sizeof path, esp.number, esp.first, esp.n, guid, 2, 2);
    assert_true(n > 0);
    ssize_t file = efidp_make_file(path + n, (ssize_t)sizeof path - n, app);
    assert_true(file > 0);
    n += file;
    ssize_t end = efidp_make_end_entire(path + n, (ssize_t)sizeof path - n);
    assert_true(end > 0);
    n += end;
    ssize_t want_len = efi_loadopt_create(want, sizeof want, 1, (efidp)(void *)path, n, description, NULL, 0);
    assert_true(want_len > 0);
    handoff_option_encode(&esp, got, &len);
    assert_int_equal(len, want_len);
    assert_memory_equal(got, want, len);
}

static void put(const char *name, const void *p, size_t len)
{
    assert_int_equal(efivar_write(dir, name, EFIVAR_GLOBAL, 7, p, len), ERR_OK);
}

static void found_under_the_lowest_free_number(void **state)
{
    static const uint8_t other[] = {1, 0, 0, 0, 4, 0, 'x', 0, 0, 0, 0x7f, 0xff, 4, 0}, order[] = {2, 0};
    uint8_t b[EFIVAR_MAX];
    uint16_t number = 7, found = 7;
    struct handoff_esp moved = esp;
    struct guid guid;
    size_t len;
    (void)state;
    put("Boot0000", other, sizeof other);
    put("Boot0002", other, sizeof other);
    put("BootOrder", order, sizeof order);
    assert_int_equal(handoff_entry_find(dir, &found), ERR_NOT_FOUND);
    assert_int_equal(handoff_entry_add(dir, &esp, &number), ERR_OK);
    assert_int_equal(number, 1);
    assert_int_equal(handoff_entry_find(dir, &found), ERR_OK);
    assert_int_equal(found, 1);
    assert_int_equal(efivar_read(dir, "BootOrder", EFIVAR_GLOBAL, NULL, b, sizeof b, &len), ERR_OK);
    assert_int_equal(len, sizeof order); /* nothing starts it but BootNext */
    assert_memory_equal(b, order, sizeof order);
    assert_int_equal(handoff_entry_partition(dir, 1, &guid), ERR_OK);
    assert_true(guid_equal(&guid, &esp.guid));
    assert_int_equal(handoff_entry_partition(dir, 0, &guid), ERR_NOT_FOUND); /* it names none */
    assert_int_equal(handoff_entry_partition(dir, 5, &guid), ERR_NOT_FOUND);
    moved.guid.bytes[0]++;
    assert_int_equal(handoff_entry_put(dir, &moved, 1), ERR_OK); /* the disk that is here now */
    assert_int_equal(handoff_entry_partition(dir, 1, &guid), ERR_OK);
    assert_true(guid_equal(&guid, &moved.guid));
}

/* Whatever another program left there: every beginning of an entry, which is read to its end and no further.
 */
static void half_an_entry(void **state)
{
    uint8_t option[EFIVAR_MAX];
    struct guid guid;
    uint16_t found;
    size_t len;
    (void)state;
    handoff_option_encode(&esp, option, &len);
    for (size_t i = 1; i < len; i++) {
        put("Boot0000", option, i);
        assert_int_equal(handoff_entry_find(dir, &found), ERR_NOT_FOUND);
        assert_int_equal(handoff_entry_partition(dir, 0, &guid), ERR_NOT_FOUND);
    }
}

static void a_firmware_that_takes_nothing(void **state)
{
    uint16_t number = 7;
    (void)state;
    assert_int_not_equal(handoff_entry_add("/nonexistent", &esp, &number), ERR_OK);
    assert_int_equal(number, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_as_libefivar),
        cmocka_unit_test_setup_teardown(found_under_the_lowest_free_number, setup, teardown),
        cmocka_unit_test_setup_teardown(half_an_entry, setup, teardown),
        cmocka_unit_test(a_firmware_that_takes_nothing),
    };
    return cmocka_run_group_tests_name("handoff_add", tests, NULL, NULL);
}
