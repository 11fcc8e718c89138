/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which identity a computer has, whatever its TPM does (a fake). */
#include "agent/tpm/device_key.h"
#include "crypto/host/file.h"
#include "tests/unit/fake_tpm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static char dir[] = "/tmp/keyholt-device-key-XXXXXX", path[64];
static struct tpm tpm;

static void use_tpm(const char *tcti)
{
    assert_int_equal(tpm_init(&tpm, &fake_tpm_edge, tcti), ERR_OK);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/device.key", dir);
    fake_tpm_reset(1);
    use_tpm("fake");
    return 0;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    assert_int_equal(fake_tpm.open + fake_tpm.loaded, 0);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static struct device_key load(void)
{
    struct device_key k = {.key = NULL};
    assert_int_equal(device_key_load(path, &tpm, &k), ERR_OK);
    return k;
}

/* It signs, and what it signs verifies under the key that the ID is made of. */
static void expect(struct device_key *k, enum device_key_place place, enum err trouble)
{
    uint8_t sig[CR_P256_SIG], id[CR_KEY_ID];
    struct cr_p256_pub pub;
    struct stat s;
    assert_int_equal(k->place, place);
    assert_int_equal(k->trouble, trouble);
    assert_int_equal(cr_p256_from_spki(k->spki, sizeof k->spki, &pub), ERR_OK);
    assert_int_equal(cr_p256_id(&pub, id), ERR_OK);
    assert_memory_equal(id, k->id, sizeof id);
    assert_int_equal(device_key_sign(k, "message", 7, sig), ERR_OK);
    assert_int_equal(cr_p256_verify(&pub, "message", 7, sig), ERR_OK);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
}

static bool same(const struct device_key *a, const struct device_key *b)
{
    return memcmp(a->id, b->id, sizeof a->id) == 0;
}

static void a_new_computer(void **state)
{
    (void)state;
    static const struct {
        const char *tcti;
        enum device_key_place place;
    } rows[] = {{"fake", DEVICE_KEY_TPM}, {"none", DEVICE_KEY_FILE}, {"device:/dev/none", DEVICE_KEY_FILE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)unlink(path);
        use_tpm(rows[i].tcti);
        struct device_key k = load(), again = load();
        expect(&k, rows[i].place, ERR_OK);
        expect(&again, rows[i].place, ERR_OK);
        assert_true(same(&k, &again));
        device_key_close(&k);
        device_key_close(&again);
    }
}

/* The TPM is there, but no key can be made in it: whatever the reason, the computer gets an identity. */
static void a_tpm_that_makes_none(void **state)
{
    (void)state;
    static const enum err errs[] = {ERR_IO,     ERR_OFFLINE,     ERR_BUSY,  ERR_AUTH,
                                    ERR_DENIED, ERR_UNSUPPORTED, ERR_FORMAT};
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++)
        for (unsigned after = 0; after < 5; after++) {
            (void)unlink(path);
            fake_tpm_reset(1);
            fake_tpm.fail = errs[i];
            fake_tpm.fail_after = after;
            fake_tpm.fails = 1000;
            struct device_key k = load();
            expect(&k, DEVICE_KEY_FILE, errs[i]);
            fake_tpm_reset(1);
            struct device_key later = load(); /* it stays where it is */
            expect(&later, DEVICE_KEY_FILE, ERR_OK);
            assert_true(same(&k, &later));
            device_key_close(&k);
            device_key_close(&later);
        }
}

/* Away for now: the identity is as it was; it says why it cannot sign, and signs when the TPM is back. */
static void a_tpm_that_comes_back(void **state)
{
    (void)state;
    static const enum err errs[] = {ERR_IO,     ERR_OFFLINE, ERR_BUSY,       ERR_AUTH,
                                    ERR_DENIED, ERR_NOMEM,   ERR_UNSUPPORTED};
    struct device_key k = load();
    uint8_t sig[CR_P256_SIG] = {7};
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++) {
        fake_tpm.fail = errs[i];
        fake_tpm.fails = 1000;
        struct device_key away = load();
        assert_true(same(&k, &away));
        assert_int_equal(away.trouble, errs[i]);
        assert_int_equal(device_key_sign(&away, "x", 1, sig), errs[i]);
        assert_int_equal(sig[0], 7);
        fake_tpm.fails = 0;
        expect(&away, DEVICE_KEY_TPM, errs[i]);
    }
    use_tpm("none");
    struct device_key away = load();
    assert_true(same(&k, &away));
    assert_int_equal(away.trouble, ERR_OFFLINE);
    assert_int_equal(device_key_sign(&away, "x", 1, sig), ERR_OFFLINE);
}

static void a_tpm_that_was_cleared(void **state)
{
    (void)state;
    struct device_key k = load();
    uint8_t sig[CR_P256_SIG];
    fake_tpm.seed = 2;
    assert_int_equal(device_key_sign(&k, "x", 1, sig), ERR_CONFLICT);
    struct device_key fresh = load(), again = load();
    assert_false(same(&k, &fresh));
    assert_true(same(&fresh, &again));
    assert_true(fresh.is_new && !again.is_new && !k.is_new);
    expect(&fresh, DEVICE_KEY_TPM, ERR_OK);
    /* and cleared again, with a TPM that then makes none */
    fake_tpm.seed = 3;
    fake_tpm.fail = ERR_DENIED;
    fake_tpm.fail_after = fake_tpm.operations + 2; /* the trial is answered */
    fake_tpm.fails = 1000;
    struct device_key in_file = load();
    assert_false(same(&fresh, &in_file));
    expect(&in_file, DEVICE_KEY_FILE, ERR_DENIED);
    device_key_close(&in_file);
}

static void a_file_stays_until_it_is_renewed(void **state)
{
    (void)state;
    use_tpm("none");
    struct device_key k = load();
    use_tpm("fake");
    struct device_key kept = load();
    assert_true(same(&k, &kept));
    expect(&kept, DEVICE_KEY_FILE, ERR_OK);
    assert_int_equal(device_key_renew(path, DEVICE_KEY_TPM, &kept), ERR_OK);
    assert_false(same(&k, &kept));
    expect(&kept, DEVICE_KEY_TPM, ERR_OK);
    struct device_key again = load();
    assert_true(same(&kept, &again));
    use_tpm("none"); /* and back, because somebody took the TPM out */
    struct device_key before = again;
    assert_int_equal(device_key_renew(path, DEVICE_KEY_TPM, &again), ERR_NOT_FOUND);
    assert_memory_equal(&again, &before, sizeof again);
    assert_int_equal(device_key_renew(path, DEVICE_KEY_FILE, &again), ERR_OK);
    expect(&again, DEVICE_KEY_FILE, ERR_OK);
    device_key_close(&again);
    device_key_close(&k);
}

static void nothing_changes_when_nothing_can_be_written(void **state)
{
    (void)state;
    struct device_key k = load(), before = k;
    assert_int_equal(device_key_renew("/proc/no/such/place", DEVICE_KEY_TPM, &k), ERR_NOT_FOUND);
    assert_int_equal(device_key_renew("/proc/no/such/place", DEVICE_KEY_FILE, &k), ERR_NOT_FOUND);
    assert_memory_equal(&k, &before, sizeof k);
    struct device_key none = {.place = 9};
    assert_int_equal(device_key_load("/proc/no/such/place", &tpm, &none), ERR_NOT_FOUND);
    assert_int_equal(none.place, 9);
}

static void files_that_are_no_identity(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        mode_t mode;
        enum err want;
    } rows[] = {{"empty", "", 0600, ERR_FORMAT},
                {"text", "hello", 0600, ERR_FORMAT},
                {"half a blob", "KHT\1", 0600, ERR_FORMAT},
                {"a later version", "KHT\2", 0600, ERR_VERSION},
                {"open to others", "hello", 0640, ERR_DENIED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct device_key k = {.place = 9};
        assert_int_equal(file_write(path, rows[i].text, strlen(rows[i].text), rows[i].mode), ERR_OK);
        enum err e = device_key_load(path, &tpm, &k);
        e = e == ERR_TRUNCATED ? ERR_FORMAT : e;
        if (e != rows[i].want || k.place != 9)
            fail_msg("%s: %s", rows[i].name, err_name(e));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_new_computer),
        T(a_tpm_that_makes_none),
        T(a_tpm_that_comes_back),
        T(a_tpm_that_was_cleared),
        T(a_file_stays_until_it_is_renewed),
        T(nothing_changes_when_nothing_can_be_written),
        T(files_that_are_no_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
