#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Has recovery a way in: is the EFI system partition there and writable, the app on it whole, its boot entry
 * in the firmware's list? Looks only. For status and doctor. */

#include "agent/state/agent.h"
#include <json-c/json.h>

/* {"esp": path, "esp_there", "esp_read_only", "esp_free": bytes, "app": "whole" | "differs" | "missing" |
 * "not-installed" (the package has none), "org": likewise for org.json, "uefi", "entry": number or null,
 * "entry_place": its place in BootOrder from 1, 0 not in it, "menu_entry": is it in systemd-boot's menu, null
 * where there is none, "secure_boot": secure_boot_text(), "recoverable": would somebody who is locked out get
 * to the app, "not_recoverable": why not, or null}. returns: the caller's */
struct json_object *boot_check_json(const struct agent *a);
