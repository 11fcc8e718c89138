/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way in for somebody who is locked out: recovery app, boot entry, initramfs. */
#include "agent/command/doctor.h"
#include <string.h>

#define LEAST_FREE (1u << 20) /* the app and its successor beside it */

/* What still works where there is no app. */
#define PROMPT "until then Debian's own prompt takes the 48 digits, with their dashes, as a passphrase"

static void esp(const struct doctor_facts *f, struct doctor_report *r)
{
    struct json_object *b = doctor_object(f->status, "boot");
    const char *path = doctor_text(b, "esp");
    if (!doctor_flag(b, "esp_there"))
        doctor_say(r, doctor_flag(b, "uefi") ? DOCTOR_BAD : DOCTOR_NOTE,
                   "no EFI system partition is mounted at %s, so the recovery app cannot be installed or "
                   "looked after%s; " PROMPT,
                   path,
                   doctor_flag(b, "uefi") ? ". Mount it, and enter it in /etc/fstab"
                                          : " (this computer did not start by UEFI)");
    else if (doctor_flag(b, "esp_read_only"))
        doctor_say(r, DOCTOR_BAD,
                   "the EFI system partition at %s is read-only: app and envelopes there grow old. "
                   "Remount it: mount -o remount,rw %s; if that fails, check it: fsck.vfat",
                   path, path);
    else if (doctor_number(b, "esp_free") < LEAST_FREE)
        doctor_say(r, DOCTOR_BAD,
                   "only %lld KiB are free on the EFI system partition at %s: a newer recovery app does "
                   "not fit. Old kernels or firmware updates there can usually go",
                   (long long)doctor_number(b, "esp_free") / 1024, path);
    else
        doctor_say(r, DOCTOR_GOOD, "the EFI system partition at %s can be written", path);
}

static void app(const struct doctor_facts *f, struct doctor_report *r)
{
    struct json_object *b = doctor_object(f->status, "boot");
    const char *app_is = doctor_text(b, "app"), *org = doctor_text(b, "org");
    if (strcmp(app_is, "whole") == 0 && strcmp(org, "whole") == 0)
        doctor_say(r, DOCTOR_GOOD,
                   "the recovery app on the EFI system partition is the installed one, byte for byte");
    else if (strcmp(app_is, "not-installed") == 0)
        doctor_say(r, DOCTOR_BAD,
                   "the package's recovery app is not there (/usr/lib/keyholt/recovery.efi). Install the "
                   "package again");
    else if (!doctor_flag(b, "esp_there"))
        doctor_say(r, DOCTOR_NOTE, "the recovery app cannot be looked at without an EFI system partition");
    else if (strcmp(app_is, "whole") == 0)
        doctor_say(r, strcmp(org, "not-installed") == 0 ? DOCTOR_NOTE : DOCTOR_BAD,
                   "the recovery app is there, but what it shows of the organisation (org.json) is %s. "
                   "Restart the keeper: "
                   "systemctl restart keyholt-keeper",
                   strcmp(org, "not-installed") == 0 ? "not known yet"
                   : strcmp(org, "missing") == 0     ? "missing"
                                                     : "old");
    else
        doctor_say(r, DOCTOR_BAD,
                   "the recovery app on the EFI system partition %s. It is put there when a volume is "
                   "protected and when the keeper starts: systemctl restart keyholt-keeper; " PROMPT,
                   strcmp(app_is, "missing") == 0 ? "is missing" : "is not the installed one");
}

static void entry(const struct doctor_facts *f, struct doctor_report *r)
{
    struct json_object *b = doctor_object(f->status, "boot");
    bool there = doctor_object(b, "entry") != NULL;
    long long place = (long long)doctor_number(b, "entry_place"),
              number = (long long)doctor_number(b, "entry");
    if (!doctor_flag(b, "uefi"))
        doctor_say(r, DOCTOR_NOTE, "this computer did not start by UEFI: there are no boot entries; " PROMPT);
    else if (!there)
        doctor_say(r, DOCTOR_BAD,
                   "the firmware has no boot entry for the recovery app; some firmware drops entries it "
                   "does not like. The keeper makes it anew when it starts: systemctl restart "
                   "keyholt-keeper");
    else if (place == 1)
        doctor_say(r, DOCTOR_BAD,
                   "the recovery app (Boot%04llX) comes first in the firmware's order, so every start "
                   "meets it. Put it behind the system: efibootmgr -o",
                   number);
    else if (place == 0)
        doctor_say(r, DOCTOR_NOTE,
                   "the boot entry of the recovery app (Boot%04llX) is not in the firmware's order; it "
                   "can be started by the offer in the initramfs, not from every firmware's menu",
                   number);
    else
        doctor_say(r, DOCTOR_GOOD, "the recovery app has the boot entry Boot%04llX, behind the system",
                   number);
}

/* Whether the firmware would start the app is the keeper's finding; its sentence says what to do. */
static void secure_boot(const struct doctor_facts *f, struct doctor_report *r)
{
    struct json_object *b = doctor_object(f->status, "boot");
    const char *is = doctor_text(b, "secure_boot"), *trouble = doctor_text(b, "not_recoverable");
    if (strcmp(is, "off") == 0)
        doctor_say(r, DOCTOR_NOTE,
                   "Secure Boot is off: who holds this computer can start a changed recovery app");
    else if (strcmp(is, "trusted") == 0)
        doctor_say(r, DOCTOR_GOOD, "Secure Boot is on, and the firmware trusts who signed the recovery app");
    else if (strcmp(is, "trusted-by-shim") == 0)
        doctor_say(
            r, DOCTOR_GOOD,
            "Secure Boot is on, and a machine owner's key (MOK) trusts who signed the recovery app; shim "
            "starts it");
    else
        doctor_say(r, DOCTOR_BAD, "%s; " PROMPT, trouble);
}

/* systemd-boot's; GRUB's menu is made by its own commands. */
static void menu(const struct doctor_facts *f, struct doctor_report *r)
{
    struct json_object *b = doctor_object(f->status, "boot"), *there;
    if (!json_object_object_get_ex(b, "menu_entry", &there) || !there)
        doctor_say(r, DOCTOR_GOOD, "there is no systemd-boot that wants an entry");
    else if (json_object_get_boolean(there))
        doctor_say(r, DOCTOR_GOOD, "the recovery app is in systemd-boot's menu, behind the systems");
    else
        doctor_say(r, DOCTOR_BAD,
                   "the recovery app is not in systemd-boot's menu, which firmware cannot forget. The keeper "
                   "puts it "
                   "there when it starts: systemctl restart keyholt-keeper");
}

static void initramfs(const struct doctor_facts *f, struct doctor_report *r)
{
    switch (f->initrd) {
    case INITRD_GOOD:
        doctor_say(r, DOCTOR_GOOD,
                   "the initramfs of the running kernel (%s) takes what the recovery app hands over",
                   f->kernel);
        break;
    case INITRD_NO_HOOK:
        doctor_say(r, DOCTOR_BAD, "the package's hook for the initramfs is gone. Install the package again");
        break;
    case INITRD_MISSING:
        doctor_say(r, DOCTOR_NOTE,
                   "there is no initramfs of the running kernel (%s) in /boot, so it cannot be looked at",
                   f->kernel);
        break;
    case INITRD_WITHOUT:
        doctor_say(r, DOCTOR_BAD,
                   "the initramfs of the running kernel (%s) was made without the hand-off: after a "
                   "recovery the system would ask once more. Make it again: update-initramfs -u",
                   f->kernel);
        break;
    case INITRD_UNREADABLE:
        doctor_say(r, DOCTOR_NOTE, "the initramfs of the running kernel (%s) cannot be listed", f->kernel);
        break;
    default:
        doctor_say(r, DOCTOR_NOTE,
                   "no initramfs-tools here: after a recovery the system's own prompt asks for the 48 "
                   "digits once more");
    }
}

const struct doctor_check doctor_boot_checks[] = {
    {"EFI partition", esp, false}, {"recovery app", app, false},        {"boot entry", entry, false},
    {"boot menu", menu, false},    {"Secure Boot", secure_boot, false}, {"initramfs", initramfs, true},
    {NULL, NULL, false},
};
