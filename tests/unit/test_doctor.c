/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What doctor says: a row per trouble, each a small change to a computer on which all is well. */
#include "agent/command/doctor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define NOW 1800000000

static const char well[] =
    "{\"organisation\":\"Example\",\"org_version\":4,\"enrolment\":\"done\",\"identity\":null,\"courier\":"
    "\"connected\","
    "\"last_sync\":1799990000,\"last_problem\":null,\"queued\":0,\"queued_since\":null,"
    "\"tpm\":{\"present\":true,\"text\":\"a TPM\",\"problem\":null,\"lockout\":{\"locked\":false}},"
    "\"boot\":{\"esp\":\"/boot/"
    "efi\",\"esp_there\":true,\"esp_read_only\":false,\"esp_free\":50000000,\"app\":\"whole\","
    "\"org\":\"whole\",\"uefi\":true,\"entry\":7,\"entry_place\":2,\"menu_entry\":true,\"secure_boot\":"
    "\"trusted\",\"recoverable\":true,\"not_recoverable\":null},"
    "\"volumes\":[{\"device\":\"/dev/dm-9\",\"name\":\"/dev/mapper/x\",\"format\":\"luks2\",\"kind\":\"os\","
    "\"state\":\"protected\",\"verified\":true,\"key_id_short\":\"1A2B3C4D\",\"compliant\":true,\"present\":"
    "true,"
    "\"slots\":3,\"slots_max\":32,\"room\":9000,\"management\":\"tpm\",\"note\":null,\"converting\":false}],"
    "\"others\":[{\"name\":\"/dev/sr0\",\"reason\":\"a CD\",\"clear_swap\":false,\"no_answer\":false}]}";

/* What is set in the status (NULL: gone), and what becomes of it. path: members with dots, a number in a
 * list. */
static const struct {
    const char *path, *value; /* JSON */
    const char *check;
    enum doctor_level level;
    const char *text; /* a part of it */
} rows[] = {
    {"courier", "\"not running\"", "courier", DOCTOR_BAD, "systemctl start keyholt-courier"},
    {"organisation", "null", "organisation", DOCTOR_BAD, "enroll --bundle"},
    {"enrolment", "\"queued\"", "enrolment", DOCTOR_NOTE, "protected meanwhile"},
    {"enrolment", "\"none\"", "enrolment", DOCTOR_BAD, "new bundle"},
    {"identity", "\"this computer became another\"", "enrolment", DOCTOR_BAD, "became another"},
    {"clock_off_s", "7200", "clock", DOCTOR_BAD, "2 hours behind"},
    {"clock_off_s", "-90000", "clock", DOCTOR_BAD, "25 hours ahead of"},
    {"last_sync", "1800200000", "clock", DOCTOR_BAD, "in the future"},
    {"last_problem", "\"https://a:1: it is away\"", "servers", DOCTOR_NOTE, "it is away"},
    {"last_sync", "1799000000", "servers", DOCTOR_NOTE, "for 11 days"},
    {"last_sync", "1790000000", "servers", DOCTOR_BAD, "for 115 days"},
    {"last_sync", "null", "servers", DOCTOR_NOTE, "no sync has succeeded"},
    {"queued", "3", "outbox", DOCTOR_NOTE, "3 records wait"},
    {"tpm.problem", "\"it is switched off\"", "tpm", DOCTOR_BAD, "switched off"},
    {"tpm.lockout.locked", "true", "tpm", DOCTOR_BAD, "a TPM"},
    {"tpm", "{\"present\":false,\"text\":\"there is none\"}", "tpm", DOCTOR_NOTE, "there is none"},
    {"boot.esp_there", "false", "EFI partition", DOCTOR_BAD, "/etc/fstab"},
    {"boot.esp_read_only", "true", "EFI partition", DOCTOR_BAD, "read-only"},
    {"boot.esp_free", "4096", "EFI partition", DOCTOR_BAD, "only 4 KiB"},
    {"boot.app", "\"differs\"", "recovery app", DOCTOR_BAD, "is not the installed one"},
    {"boot.app", "\"missing\"", "recovery app", DOCTOR_BAD, "is missing"},
    {"boot.app", "\"not-installed\"", "recovery app", DOCTOR_BAD, "Install the package again"},
    {"boot.org", "\"differs\"", "recovery app", DOCTOR_BAD, "org.json) is old"},
    {"boot.entry", "null", "boot entry", DOCTOR_BAD, "no boot entry"},
    {"boot.entry_place", "1", "boot entry", DOCTOR_BAD, "comes first"},
    {"boot.entry_place", "0", "boot entry", DOCTOR_NOTE, "Boot0007"},
    {"boot.menu_entry", "false", "boot menu", DOCTOR_BAD, "systemctl restart keyholt-keeper"},
    {"boot.secure_boot", "\"off\"", "Secure Boot", DOCTOR_NOTE, "is off"},
    {"boot.secure_boot", "\"unsigned\"", "Secure Boot", DOCTOR_BAD, "Debian's own prompt"},
    {"boot.uefi", "false", "boot entry", DOCTOR_NOTE, "did not start by UEFI"},
    {"volumes.0.state", "\"not-protected\"", "volumes", DOCTOR_NOTE, "protect /dev/dm-9"},
    {"volumes.0.state", "\"needs-unlock-secret\"", "volumes", DOCTOR_BAD,
     "rotate /dev/dm-9 --passphrase-file"},
    {"volumes.0.verified", "false", "volumes", DOCTOR_BAD, "not any more what was proved"},
    {"volumes.0.problem", "\"its LUKS2 header: broken\"", "volumes", DOCTOR_BAD, "save its content"},
    {"volumes.0.state", "\"copy\"", "volumes", DOCTOR_NOTE, "/dev/mapper/x"},
    {"volumes.0.present", "false", "volumes", DOCTOR_NOTE, "is not here now"},
    {"volumes.0",
     "{\"name\":\"/dev/sdb\",\"device\":\"/dev/"
     "sdb\",\"format\":\"luks2\",\"state\":\"pending\",\"converting\":true,"
     "\"verified\":false}",
     "volumes", DOCTOR_BAD, "reencrypt --resume-only /dev/sdb; then: keyholt-agent protect /dev/sdb"},
    {"volumes.0.looked_at", "false", "volumes", DOCTOR_NOTE, "was not looked at"},
    {"volumes.0",
     "{\"name\":\"/dev/sdb\",\"uuid\":\"x\",\"state\":\"protected\",\"present\":false,\"verified\":null,"
     "\"checked\":1799000000}",
     "volumes", DOCTOR_NOTE, "not looked at; the last time was 11 days ago"},
    {"volumes.0.state", "\"header-destroyed\"", "volumes", DOCTOR_BAD, "luksHeaderRestore /dev/dm-9"},
    {"volumes.0.state", "\"header-destroyed\"", "volumes", DOCTOR_BAD, "its policy says no now"},
    {"volumes.0.format", "\"luks1\"", "volumes", DOCTOR_NOTE,
     "cryptsetup convert /dev/mapper/x --type luks2"},
    {"volumes.0", "{\"name\":\"/dev/sdb\",\"format\":\"luks1\",\"compliant\":false}", "volumes", DOCTOR_BAD,
     "LUKS1"},
    {"volumes.0",
     "{\"name\":\"/dev/"
     "sdb\",\"format\":\"unencrypted\",\"kind\":\"fixed\",\"file_system\":\"ext4\",\"mount\":\"/srv\","
     "\"compliant\":false}",
     "volumes", DOCTOR_BAD, "/dev/sdb (fixed, ext4, mounted at /srv) is not encrypted"},
    {"volumes.0", "{\"name\":\"/dev/sdb\",\"format\":\"unencrypted\",\"compliant\":true}", "volumes",
     DOCTOR_NOTE, "which the policy allows"},
    {"volumes.0", "{\"name\":\"/dev/sda1\",\"format\":\"unencrypted\",\"boot\":true,\"compliant\":true}",
     "volumes", DOCTOR_GOOD, "boot loader"},
    {"volumes.0", "{\"name\":\"/dev/sdc\",\"format\":\"other\",\"note\":\"plain\",\"compliant\":false}",
     "volumes", DOCTOR_BAD, "plain"},
    {"volumes.0",
     "{\"name\":\"/dev/sdd\",\"device\":\"/dev/sdd\",\"format\":\"bitlocker\",\"state\":\"not-escrowed\","
     "\"unlocked\":true,\"compliant\":true}",
     "volumes", DOCTOR_NOTE,
     "in use. Whoever has the 48 digits: keyholt-agent protect /dev/sdd --recovery-password"},
    {"volumes.0",
     "{\"name\":\"/dev/sdd\",\"format\":\"bitlocker\",\"state\":\"escrowed\",\"key_id_short\":\"AABBCCDD\"}",
     "volumes", DOCTOR_GOOD, "AABBCCDD"},
    {"volumes.0",
     "{\"name\":\"/dev/sdd\",\"format\":\"bitlocker\",\"state\":\"escrowed\",\"suspended\":true}", "volumes",
     DOCTOR_BAD, "suspended"},
    {"volumes", "[]", "volumes", DOCTOR_NOTE, "no volume"},
    {"volumes.0.slots", "32", "headers", DOCTOR_BAD, "all 32 keyslots"},
    {"volumes.0.room", "3000", "headers", DOCTOR_BAD, "only 3000 bytes"},
    {"volumes.0.converting", "true", "headers", DOCTOR_NOTE, "re-encryption is pending"},
    {"volumes.0.damaged", "true", "headers", DOCTOR_BAD, "one copy of its metadata is damaged"},
    {"volumes.0.re_encryption", "\"recommended\"", "headers", DOCTOR_NOTE,
     "cryptsetup reencrypt /dev/mapper/x --key-slot NUMBER. Until that is done no recovery password opens"},
    {"volumes.0.re_encryption", "\"recommended\"", "headers", DOCTOR_NOTE,
     "then: keyholt-agent protect /dev/dm-9"},
    {"volumes.0.state", "\"waits-for-receipt\"", "volumes", DOCTOR_NOTE,
     "when a server has confirmed the key"},
    {"unsigned", "3", "outbox", DOCTOR_NOTE, "3 records wait for the TPM"},
    {"volumes.0.management", "\"away\"", "unattended", DOCTOR_NOTE, "when it is back, all goes on"},
    {"volumes.0.management", "\"lost\"", "unattended", DOCTOR_NOTE, "has lost its management key"},
    {"volumes.0.management", "\"no-place\"", "unattended", DOCTOR_NOTE, "not encrypted"},
    {"others.0.clear_swap", "true", "other devices", DOCTOR_BAD, "swap space"},
    {"others.0.no_answer", "true", "other devices", DOCTOR_BAD, "/dev/sr0: a CD"},
};

static struct json_object *status_with(const char *path, const char *value)
{
    struct json_object *status = json_tokener_parse(well), *o = status;
    char text[80], *save = NULL;
    strcpy(text, path);
    char *member = strtok_r(text, ".", &save);
    for (char *next; (next = strtok_r(NULL, ".", &save)); member = next)
        o = json_object_is_type(o, json_type_array) ? json_object_array_get_idx(o, (size_t)atoi(member))
                                                    : json_object_object_get(o, member);
    struct json_object *v = strcmp(value, "null") == 0 ? NULL : json_tokener_parse(value);
    if (json_object_is_type(o, json_type_array))
        json_object_array_put_idx(o, (size_t)atoi(member), v);
    else
        json_object_object_add(o, member, v);
    return status;
}

static struct doctor_facts good_facts(struct json_object *status)
{
    return (struct doctor_facts){.status = status,
                                 .now = NOW,
                                 .certificate_end = NOW + 86400 * 20,
                                 .state_free = 1u << 30,
                                 .initrd = INITRD_GOOD,
                                 .kernel = "6.1.0"};
}

static bool says(const struct doctor_report *r, const char *check, enum doctor_level level, const char *text)
{
    for (unsigned i = 0; i < r->n; i++)
        if (strcmp(r->finding[i].check, check) == 0 && r->finding[i].level == level &&
            strstr(r->finding[i].text, text))
            return true;
    return false;
}

static void all_well(void **state)
{
    (void)state;
    static struct doctor_report r;
    struct json_object *status = json_tokener_parse(well);
    struct doctor_facts f = good_facts(status);
    assert_non_null(status);
    doctor_run(&f, &r);
    for (unsigned i = 0; i < r.n; i++)
        if (r.finding[i].level != DOCTOR_GOOD)
            fail_msg("%s: %s", r.finding[i].check, r.finding[i].text);
    assert_int_equal(r.n_bad, 0);
    assert_int_equal(r.n, 20); /* each check has its word */
    json_object_put(status);
}

static void troubles(void **state)
{
    (void)state;
    static struct doctor_report r;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json_object *status = status_with(rows[i].path, rows[i].value);
        struct doctor_facts f = good_facts(status);
        doctor_run(&f, &r);
        if (!says(&r, rows[i].check, rows[i].level, rows[i].text)) {
            for (unsigned k = 0; k < r.n; k++)
                if (r.finding[k].level != DOCTOR_GOOD)
                    print_message("%s: %s\n", r.finding[k].check, r.finding[k].text);
            fail_msg("%s = %s: not said: %s: %s", rows[i].path, rows[i].value, rows[i].check, rows[i].text);
        }
        assert_int_equal(r.n_bad > 0, rows[i].level == DOCTOR_BAD);
        json_object_put(status);
    }
}

/* What doctor finds out by itself. */
static void own_facts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t certificate_end;
        uint64_t free;
        bool read_only;
        uint8_t initrd;
        const char *check;
        enum doctor_level level;
        const char *text;
    } own[] = {
        {"no certificate", 0, 1 << 30, false, INITRD_GOOD, "certificate", DOCTOR_BAD, "is gone"},
        {"expired", NOW - 86400 * 3, 1 << 30, false, INITRD_GOOD, "certificate", DOCTOR_NOTE,
         "expired 3 days ago"},
        {"disk full", NOW + 1, 4096, false, INITRD_GOOD, "disk space", DOCTOR_BAD, "only 4 KiB"},
        {"read-only", NOW + 1, 1 << 30, true, INITRD_GOOD, "disk space", DOCTOR_BAD, "read-only"},
        {"no hook", NOW + 1, 1 << 30, false, INITRD_NO_HOOK, "initramfs", DOCTOR_BAD, "Install the package"},
        {"no helper", NOW + 1, 1 << 30, false, INITRD_WITHOUT, "initramfs", DOCTOR_BAD,
         "update-initramfs -u"},
        {"no initrd", NOW + 1, 1 << 30, false, INITRD_MISSING, "initramfs", DOCTOR_NOTE, "6.1.0"},
        {"not listed", NOW + 1, 1 << 30, false, INITRD_UNREADABLE, "initramfs", DOCTOR_NOTE,
         "cannot be listed"},
        {"no tools", NOW + 1, 1 << 30, false, INITRD_NOT_USED, "initramfs", DOCTOR_NOTE, "once more"},
    };
    static struct doctor_report r;
    struct json_object *status = json_tokener_parse(well);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        struct doctor_facts f = good_facts(status);
        f.certificate_end = own[i].certificate_end;
        f.state_free = own[i].free;
        f.state_read_only = own[i].read_only;
        f.initrd = own[i].initrd;
        doctor_run(&f, &r);
        if (!says(&r, own[i].check, own[i].level, own[i].text))
            fail_msg("%s: not said: %s", own[i].name, own[i].text);
        assert_int_equal(r.n_bad, own[i].level == DOCTOR_BAD);
    }
    json_object_put(status);
}

static void no_keeper(void **state)
{
    (void)state;
    static struct doctor_report r;
    struct doctor_facts f = good_facts(NULL);
    f.no_status = "the keeper does not answer at /run/x";
    doctor_run(&f, &r);
    assert_true(says(&r, "keeper", DOCTOR_BAD, "at /run/x"));
    assert_int_equal(r.n_bad, 1);
    assert_int_equal(r.n, 3); /* keeper, disk space, initramfs */
}

/* More than there is room for, and texts that are none. */
static void bounds(void **state)
{
    (void)state;
    static struct doctor_report r;
    struct json_object *status = json_tokener_parse(well), *list = json_object_new_array();
    for (int i = 0; i < DOCTOR_MAX + 50; i++)
        json_object_array_add(list,
                              json_tokener_parse("{\"name\":\"/dev/a\\u001b[0m\",\"clear_swap\":true}"));
    json_object_object_add(status, "others", list);
    struct doctor_facts f = good_facts(status);
    doctor_run(&f, &r);
    assert_int_equal(r.n, DOCTOR_MAX);
    assert_int_equal(r.n_bad, DOCTOR_MAX + 50);
    assert_null(strchr(r.finding[DOCTOR_MAX - 1].text, '\033'));
    json_object_put(status);
    status = json_tokener_parse("{}");
    f = good_facts(status);
    doctor_run(&f, &r); /* a keeper of another version */
    assert_true(r.n >= 18);
    json_object_put(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_well), cmocka_unit_test(troubles),
                                       cmocka_unit_test(own_facts), cmocka_unit_test(no_keeper),
                                       cmocka_unit_test(bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
