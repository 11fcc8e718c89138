#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The EFI variables that pass between this program and the operating system. Contents: formats/handoff.h */

#include "efi/firmware.h"
#include "formats/handoff.h"
#include <stdbool.h>

/* Read the reason for recovery and delete it; delete a share that nobody took.
 * ret: KH_REASON_UNKNOWN when there is none */
void variables_start(struct handoff_reason *ret);

/* Leave the password for the operating system in two shares, with a fresh pad.
 * err: UNSUPPORTED (no trustworthy randomness), and what the firmware says; then neither share is left */
MUST_CHECK enum err variables_hand_off(const struct guid *volume, const struct guid *key_id,
                                       const uint8_t password[static RP_BYTES]);

/* Is a password left there? */
bool variables_handed_off(void);
/* Take it back. err: IO (the firmware still has a share) */
MUST_CHECK enum err variables_withdraw(void);

/* Leave word of what happened here. There is room for one event: that a volume was opened, and its password
 * used, is never replaced by failed attempts while no agent has read it; then this does nothing. */
MUST_CHECK enum err variables_event(const struct boot_event *e);

/* Say which build runs here, until the power goes: SHA-256 of its file. */
void variables_tell_app(const uint8_t hash[static 32]);

/* Can a restart lead into the firmware's settings? */
bool variables_can_setup(void);
/* Ask for that at the next restart. err: what the firmware says */
MUST_CHECK enum err variables_ask_setup(void);

/* A variable of the firmware's own (BootOrder, Boot0001, …) in pool memory that the caller frees; NULL when
 * it does not exist. */
void *variables_firmware(const CHAR16 *name, UINTN *ret_len);
