#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hand-off helper of the initramfs: opens a volume with the password that the recovery app left in two
 * shares, and sends a locked-out user to the recovery app. No shell ever holds a password. Hosted. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include "formats/guid.h"
#include "formats/names.h"
#include <stdbool.h>
#include <stdint.h>

struct crypt_device;

/* The command line, checked. Texts are borrowed from argv. */
struct handoff_args {
    const char *efivars; /* where efivarfs is mounted */
    const char *device, *header, *name;
    uint32_t activate; /* CRYPT_ACTIVATE_* */
    bool test;         /* try the password, set up no mapping */
    enum kh_reason reason;
    unsigned seconds;  /* how long the offer waits for an answer on a console; plymouth has no way back */
    bool before_shell; /* Debian has given up: what follows the offer is no prompt, but a shell */
};

/* The verbs. Each prints its sentences on stderr and returns an exit code:
 * open:        0 opened, 3 nothing was handed off for this volume, 1 failed
 * offer:       0 asked and agreed, the next start is the recovery app; 3 not asked or declined; 1 failed
 * to-recovery: 0 the next start is the recovery app, 3 there is no such boot entry, 1 failed
 * clean:       0 no share is left, 1 one is */
int handoff_open(const struct handoff_args *a);
int handoff_offer(const struct handoff_args *a);
int handoff_to_recovery(const struct handoff_args *a);
int handoff_clean(const struct handoff_args *a);

/* LUKS2, by libcryptsetup (handoff_volume.c). */
/* Load the header of a->device (or a->header) and its UUID.
 * ret: crypt_free() it. err: FORMAT (not LUKS2), IO */
MUST_CHECK enum err handoff_volume_load(const struct handoff_args *a, struct crypt_device **ret,
                                        struct guid *ret_uuid);
/* Does the volume carry a token of Keyholt? */
bool handoff_volume_is_ours(struct crypt_device *cd);
/* Open it with a recovery password (55 characters): first the keyslot whose token names the key ID, then
 * every other slot whose PBKDF2 count only a recovery slot has. No other slot is tried: Argon2 would cost
 * seconds and memory, and no recovery password opens it.
 * name: of the mapping, or NULL to only try
 * err:  AUTH (opens none of them), IO (the mapping could not be set up) */
MUST_CHECK enum err handoff_volume_open(struct crypt_device *cd, const struct guid *key_id, const char *name,
                                        const struct secret *passphrase, uint32_t activate);

/* The recovery app's boot entry (handoff_entry.c). */
/* err: NOT_FOUND (no entry, or no UEFI), IO */
MUST_CHECK enum err handoff_entry_find(const char *efivars, uint16_t *ret_number);
/* The GPT partition that an entry names. err: NOT_FOUND (it names none so), IO */
MUST_CHECK enum err handoff_entry_partition(const char *efivars, uint16_t number, struct guid *ret);
/* An EFI system partition as the firmware names it. Sectors are the disk's own. */
struct handoff_esp {
    uint32_t number;   /* of the partition, from 1 */
    uint64_t first, n; /* sectors */
    struct guid guid;  /* of the partition */
};
/* EFI_LOAD_OPTION "Keyholt recovery" for the app on that partition (GPT), in the firmware's short form.
 * ret: EFIVAR_MAX bytes. source: UEFI 2.10 sections 3.1.2, 3.1.3, 10.3.5.1, 10.3.5.4 */
void handoff_option_encode(const struct handoff_esp *esp, uint8_t *ret, size_t *ret_len);
/* Make this entry start it. err: FULL (no room), DENIED, IO */
MUST_CHECK enum err handoff_entry_put(const char *efivars, const struct handoff_esp *esp, uint16_t number);
/* A boot entry for it under the lowest free number. It is in no BootOrder, so only BootNext starts it; the
 * agent takes it over at its next start (boot_entry.h). err: FULL (no free number, no room), DENIED, IO */
MUST_CHECK enum err handoff_entry_add(const char *efivars, const struct handoff_esp *esp,
                                      uint16_t *ret_number);
/* The partition with the recovery app on the disk that a device lies on (GPT), where the firmware would start
 * it: for a disk that came from another computer, whose firmware had the entry (handoff_disk.c). Reads the
 * partition table, and mounts by vfat, read-only and in no place. Writes nothing.
 * err: NOT_FOUND (no such disk or partition, no app on it, or Secure Boot does not trust it), DENIED, IO */
MUST_CHECK enum err handoff_disk_find(const char *efivars, const char *device, struct handoff_esp *ret);
/* Write KeyholtReason and BootNext, or neither. err: what efivar_write() says */
MUST_CHECK enum err handoff_entry_next(const char *efivars, uint16_t number, enum kh_reason reason);
