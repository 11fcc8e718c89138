#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files on the EFI system partition, by the names that the firmware has for them (with backslashes). */

#include "agent/state/agent.h"
#include "crypto/err.h"

#define ESP_FILE_MAX (4u << 20)

/* Path on the mounted partition. ret: PATH_MAX bytes. err: RANGE */
MUST_CHECK enum err esp_path(const struct agent *a, const char *name, char *ret);
/* ret: malloc'ed. err: NOT_FOUND, DENIED, IO, RANGE (longer than ESP_FILE_MAX), NOMEM */
MUST_CHECK enum err esp_read(const struct agent *a, const char *name, uint8_t **ret, size_t *ret_len);
/* Are exactly these bytes there? */
bool esp_holds(const struct agent *a, const char *name, const uint8_t *p, size_t len);
/* Replaced whole or not at all, and only when it differs; folders are made. err: FULL, DENIED, IO */
MUST_CHECK enum err esp_put(struct agent *a, const char *name, const uint8_t *p, size_t len,
                            struct problem *why);
/* One that is not there is gone already. err: DENIED, IO */
MUST_CHECK enum err esp_remove(struct agent *a, const char *name, struct problem *why);
