#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What lies on the EFI system partition: the recovery app, org.json with its signature, the computer's name,
 * a copy of each volume's envelope; and the boot entry that starts the app. Nothing here is needed to open a
 * volume with its 48 digits, so a failure is a warning, never an obstacle. */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include "formats/guid.h"

/* Where the package puts the app, below --root. */
#define ESP_APP_SOURCE "/usr/lib/keyholt/recovery.efi"

/* Bring the app and the ways to it (esp_app.h), org.json and the computer's name up to date; each file is
 * replaced whole or not at all, and only when it differs. What a power cut left of our own half-written files
 * goes. why: on failure, what is missing and what follows from it err: UNSUPPORTED (no UEFI, or no EFI system
 * partition), NOT_FOUND (no app), AUTH (Secure Boot will not start it), FULL, DENIED, IO */
MUST_CHECK enum err esp_install(struct agent *a, struct problem *why);

/* Keep the volume's envelope beside the app, for the day its header is gone.
 * err: UNSUPPORTED (no EFI system partition), FULL, IO */
MUST_CHECK enum err esp_put_envelope(struct agent *a, const struct guid *volume, const uint8_t *envelope,
                                     size_t len, struct problem *why);

/* At start: the ESP follows the volumes (a new key, a newer app of the package, somebody who cleaned up
 * there) when one of them is protected. Each part by itself; what fails is said in the journal. */
void esp_refresh(struct agent *a);

/* Both: the envelope of the key that is in use, and the rest. */
MUST_CHECK enum err esp_publish(struct agent *a, const struct guid *volume, const struct guid *key_id,
                                struct problem *why);
