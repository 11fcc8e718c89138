#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery app on the EFI system partition, and the ways to it: the firmware's boot entry, systemd-boot's
 * menu, and the program that firmware starts when it has forgotten every entry. */

#include "agent/state/agent.h"
#include "crypto/err.h"

/* Bring them up to date with the package. The app that a new one replaces is kept beside it, with an entry of
 * its own in systemd-boot's menu, until the new one has started once on this computer (it says so in a
 * volatile variable with its digest). Each way is made even where another one fails. why: on failure, what is
 * missing and what follows from it err: NOT_FOUND (no app), AUTH (Secure Boot will not start it), UNSUPPORTED
 * (no UEFI), FULL, DENIED, IO */
MUST_CHECK enum err esp_app_install(struct agent *a, struct problem *why);
