/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each volume: is it encrypted, does the organisation have a key, is there room for the next one? */
#include "agent/command/doctor.h"
#include <string.h>

/* What header_check_room() wants for one more key that is sealed to two escrow keys: keyslot, token, reserve.
 */
#define LEAST_ROOM 3400

static bool is(struct json_object *v, const char *name, const char *value)
{
    return strcmp(doctor_text(v, name), value) == 0;
}

static const char *name_of(struct json_object *v)
{
    const char *name = doctor_text(v, "name");
    return name[0] ? name : doctor_text(v, "device");
}

static void unencrypted(struct json_object *v, struct doctor_report *r)
{
    const char *name = name_of(v), *fs = doctor_text(v, "file_system"), *mount = doctor_text(v, "mount");
    if (doctor_flag(v, "boot"))
        doctor_say(r, DOCTOR_GOOD, "%s: in clear, because the boot loader reads it", name);
    else
        doctor_say(r, doctor_flag(v, "compliant") ? DOCTOR_NOTE : DOCTOR_BAD,
                   "%s (%s, %s%s%s) is not encrypted%s. To encrypt it, save its content, then: cryptsetup "
                   "luksFormat "
                   "--type luks2 %s",
                   name, doctor_text(v, "kind"), fs, mount[0] ? ", mounted at " : "", mount,
                   doctor_flag(v, "compliant") ? ", which the policy allows" : "", name);
}

/* Nothing opens it; what can bring it back, nearest first. */
static void destroyed(struct json_object *v, bool packages, struct doctor_report *r)
{
    const char *device = doctor_text(v, "device");
    doctor_say(
        r, DOCTOR_BAD,
        "%s: its LUKS2 header is destroyed, both copies, so no passphrase and no recovery password "
        "opens it; the data are there. Write nothing to it, save it whole first (dd, ddrescue). Then, "
        "in this order: cryptsetup repair %s (where a second copy is left after all); a header backup: "
        "cryptsetup luksHeaderRestore %s --header-backup-file FILE; %s",
        name_of(v), device, device,
        packages ? "the organisation's key package, at its help desk: keyholt-desk volume rebuild"
                 : "a key package, if the organisation ever had one made (its policy says no now), at its "
                   "help desk: keyholt-desk volume rebuild");
}

static void absent(struct json_object *v, int64_t now, struct doctor_report *r)
{
    int64_t checked = doctor_number(v, "checked");
    const char *why = doctor_flag(v, "present") ? "cannot be read now" : "is not here now";
    if (checked > 0 && checked <= now)
        doctor_say(r, DOCTOR_NOTE,
                   "%s (volume %s) %s, so it was not looked at; the last time was %lld days ago", name_of(v),
                   doctor_text(v, "uuid"), why, (long long)((now - checked) / 86400));
    else
        doctor_say(r, DOCTOR_NOTE, "%s (volume %s) %s, so it was not looked at", name_of(v),
                   doctor_text(v, "uuid"), why);
}

static bool is_absent(struct json_object *v)
{
    return (doctor_object(v, "present") && !doctor_flag(v, "present")) ||
           (doctor_object(v, "looked_at") && !doctor_flag(v, "looked_at"));
}

static void luks2(struct json_object *v, struct doctor_report *r)
{
    const char *name = name_of(v), *note = doctor_text(v, "note"), *problem = doctor_text(v, "problem");
    if (problem[0])
        doctor_say(r, DOCTOR_BAD, "%s: %s. If it still opens, save its content first", name, problem);
    else if (is(v, "state", "copy"))
        doctor_say(r, DOCTOR_NOTE, "%s: %s", name, note);
    else if (doctor_flag(v, "converting") && !doctor_flag(v, "verified"))
        doctor_say(
            r, DOCTOR_BAD,
            "%s is being re-encrypted, and no recovery password opens it until that is done. Finish it: "
            "cryptsetup reencrypt --resume-only %s; then: keyholt-agent protect %s",
            name, name, doctor_text(v, "device"));
    else if (is(v, "state", "not-protected") || is(v, "state", "pending"))
        doctor_say(
            r, doctor_flag(v, "compliant") ? DOCTOR_NOTE : DOCTOR_BAD,
            "%s is encrypted, but the organisation has no recovery password for it. Make one: keyholt-agent "
            "protect %s",
            name, doctor_text(v, "device"));
    else if (is(v, "state", "waits-for-receipt"))
        doctor_say(
            r, DOCTOR_NOTE,
            "%s: its recovery key is made and opens it; as the policy wants (escrow: receipt), it counts as "
            "protected when a server has confirmed the key. That comes by itself; at once: keyholt-agent "
            "sync",
            name);
    else if (is(v, "state", "needs-unlock-secret") && is(v, "management", "away"))
        doctor_say(
            r, DOCTOR_BAD,
            "%s: its recovery password is to be replaced, which waits for the TPM (%s). Nothing is lost; "
            "it is done by itself when the TPM is back, or at once: keyholt-agent rotate %s "
            "--passphrase-file FILE",
            name, note[0] ? note : "no reason is known", doctor_text(v, "device"));
    else if (is(v, "state", "needs-unlock-secret"))
        doctor_say(r, DOCTOR_BAD,
                   "%s: its recovery password is to be replaced (%s), and nothing here opens the volume "
                   "for that. Give a passphrase: keyholt-agent rotate %s --passphrase-file FILE",
                   name, note[0] ? note : "no reason is known", doctor_text(v, "device"));
    else if (!doctor_flag(v, "verified"))
        doctor_say(r, DOCTOR_BAD,
                   "%s: its recovery key is not any more what was proved to open it%s%s. Replace it: "
                   "keyholt-agent rotate %s",
                   name, note[0] ? ": " : "", note, doctor_text(v, "device"));
    else
        doctor_say(r, DOCTOR_GOOD,
                   "%s is protected; key ID %s was proved to open it, and nothing has changed since", name,
                   doctor_text(v, "key_id_short"));
}

static void bitlocker(struct json_object *v, struct doctor_report *r)
{
    const char *name = name_of(v), *problem = doctor_text(v, "problem");
    if (problem[0])
        doctor_say(r, DOCTOR_BAD, "%s: %s", name, problem);
    else if (is(v, "state", "needs-unlock-secret"))
        doctor_say(r, DOCTOR_BAD, "%s: %s", name, doctor_text(v, "note"));
    else if (is(v, "state", "escrowed"))
        doctor_say(r, DOCTOR_GOOD, "%s: its BitLocker recovery password is escrowed, key ID %s", name,
                   doctor_text(v, "key_id_short"));
    else
        doctor_say(
            r, doctor_flag(v, "compliant") ? DOCTOR_NOTE : DOCTOR_BAD,
            "%s: its BitLocker recovery password is not escrowed%s. Whoever has the 48 digits: keyholt-agent "
            "protect %s --recovery-password-file FILE",
            name, doctor_flag(v, "unlocked") ? ", and it is in use" : "", doctor_text(v, "device"));
    if (doctor_flag(v, "suspended"))
        doctor_say(r, DOCTOR_BAD,
                   "%s: BitLocker's protection is suspended, so whoever has the disk has the data. Resume "
                   "it in Windows: manage-bde -protectors -enable DRIVE:",
                   name);
}

static void states(const struct doctor_facts *f, struct doctor_report *r)
{
    unsigned n = doctor_count(f->status, "volumes");
    for (unsigned i = 0; i < n; i++) {
        struct json_object *v = doctor_item(f->status, "volumes", i);
        const char *format = doctor_text(v, "format");
        if (strcmp(format, "unencrypted") == 0)
            unencrypted(v, r);
        else if (strcmp(format, "bitlocker") == 0)
            bitlocker(v, r);
        else if (strcmp(format, "luks1") == 0)
            doctor_say(r, doctor_flag(v, "compliant") ? DOCTOR_NOTE : DOCTOR_BAD,
                       "%s is LUKS1, which has no place for a sealed password. Save its header (cryptsetup "
                       "luksHeaderBackup), close it and convert it: cryptsetup convert %s --type luks2; then "
                       "protect it",
                       name_of(v), name_of(v));
        else if (strcmp(format, "other") == 0)
            doctor_say(r, doctor_flag(v, "compliant") ? DOCTOR_NOTE : DOCTOR_BAD,
                       "%s is encrypted in a way that has no recovery password: %s", name_of(v),
                       doctor_text(v, "note"));
        else if (is(v, "state", "header-destroyed"))
            destroyed(v, doctor_flag(doctor_object(f->status, "policy"), "key_package"), r);
        else if (is_absent(v))
            absent(v, (int64_t)f->now, r);
        else
            luks2(v, r);
    }
    if (n == 0)
        doctor_say(r, DOCTOR_NOTE, "no volume was found");
}

/* Findings about some volumes; nothing said is well. */
static void headers(const struct doctor_facts *f, struct doctor_report *r)
{
    unsigned before = r->n;
    for (unsigned i = 0; i < doctor_count(f->status, "volumes"); i++) {
        struct json_object *v = doctor_item(f->status, "volumes", i);
        bool is_luks2 = is(v, "format", "luks2") && !is(v, "state", "copy") &&
                        !is(v, "state", "header-destroyed") && !doctor_text(v, "problem")[0];
        long long slots = (long long)doctor_number(v, "slots"), room = (long long)doctor_number(v, "room");
        if (is_luks2 && slots >= doctor_number(v, "slots_max"))
            doctor_say(r, DOCTOR_BAD,
                       "%s: all %lld keyslots are used, so its recovery password cannot be replaced. Remove "
                       "one that nobody needs: cryptsetup luksKillSlot %s NUMBER",
                       name_of(v), slots, name_of(v));
        if (is_luks2 && room < LEAST_ROOM)
            doctor_say(r, DOCTOR_BAD,
                       "%s: only %lld bytes are free in its LUKS2 metadata area, too little for another key. "
                       "Remove tokens that nobody needs (cryptsetup luksDump, cryptsetup token remove)",
                       name_of(v), room);
        if (doctor_flag(v, "converting"))
            doctor_say(r, DOCTOR_NOTE,
                       "%s: a re-encryption is pending; keys are left alone until it is done%s", name_of(v),
                       is_luks2 ? ": cryptsetup reencrypt --resume-only" : "");
        if (doctor_flag(v, "damaged"))
            doctor_say(r, DOCTOR_BAD,
                       "%s: one copy of its metadata is damaged; it opens by another. Save the header and "
                       "look at the disk: cryptsetup luksHeaderBackup, smartctl",
                       name_of(v));
        if (is(v, "re_encryption", "recommended"))
            doctor_say(r, DOCTOR_NOTE,
                       "%s: a password that was removed may still open a copy of its header. Only a "
                       "re-encryption ends that, and it keeps one keyslot, your own: find its number "
                       "(cryptsetup luksDump %s: one that no token names), then cryptsetup reencrypt %s "
                       "--key-slot NUMBER. Until that is done no recovery password opens the volume, so "
                       "save its content first; then: keyholt-agent protect %s",
                       name_of(v), name_of(v), name_of(v), doctor_text(v, "device"));
    }
    if (r->n == before)
        doctor_say(r, DOCTOR_GOOD, "the volumes' headers are whole and have room");
}

/* Can passwords be replaced without anybody there? */
static void unattended(const struct doctor_facts *f, struct doctor_report *r)
{
    static const struct {
        const char *state, *why;
    } rows[] = {
        {"none", "has no management keyslot"},
        {"lost", "has lost its management key"},
        {"away",
         "has its management key in the TPM, which cannot be asked now (when it is back, all goes on)"},
        {"no-place", "has no place for a management key (the root of this computer is not encrypted)"}};
    unsigned before = r->n;
    for (unsigned i = 0; i < doctor_count(f->status, "volumes"); i++)
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
            struct json_object *v = doctor_item(f->status, "volumes", i);
            if (is(v, "management", rows[k].state) && is(v, "state", "protected"))
                doctor_say(r, DOCTOR_NOTE,
                           "%s %s, so its recovery password is replaced only when somebody gives a "
                           "passphrase: keyholt-agent rotate %s --passphrase-file FILE",
                           name_of(v), rows[k].why, doctor_text(v, "device"));
        }
    if (r->n == before)
        doctor_say(r, DOCTOR_GOOD,
                   "protected volumes can have their passwords replaced without anybody there");
}

static void others(const struct doctor_facts *f, struct doctor_report *r)
{
    unsigned before = r->n;
    for (unsigned i = 0; i < doctor_count(f->status, "others"); i++) {
        struct json_object *v = doctor_item(f->status, "others", i);
        if (doctor_flag(v, "clear_swap"))
            doctor_say(r, DOCTOR_BAD,
                       "%s is swap space that is not encrypted: what is in memory, passwords included, can "
                       "be written there. Encrypt it (crypttab: swap, /dev/urandom) or do without",
                       name_of(v));
        if (doctor_flag(v, "no_answer"))
            doctor_say(r, DOCTOR_BAD, "%s: %s, so nobody knows what is on it. See dmesg", name_of(v),
                       doctor_text(v, "reason"));
    }
    if (r->n == before)
        doctor_say(r, DOCTOR_GOOD, "every other device could be looked at");
}

const struct doctor_check doctor_volume_checks[] = {
    {"volumes", states, false},       {"headers", headers, false}, {"unattended", unattended, false},
    {"other devices", others, false}, {NULL, NULL, false},
};
