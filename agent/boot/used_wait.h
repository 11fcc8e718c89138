#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recovery passwords that were used at this boot: each authorises its own replacement, at once. One that
 * could not be replaced (the disk is full) stays in the keeper's locked memory for some minutes, and is tried
 * again. */

#include "agent/boot/privileged.h"
#include "agent/state/agent.h"
#include "formats/guid.h"
#include <stdbool.h>
#include <stdint.h>

/* Replace each; copy those that have to wait, because what went wrong may pass. Call it once. */
void used_wait_start(struct agent *a, const struct used_passwords *used);
/* Try those that wait again, at_once or when it is time.
 * returns: milliseconds until it wants to be called again; -1: no password waits */
int64_t used_wait_retry(struct agent *a, bool at_once);
/* Why this volume's used password is not replaced yet; NULL when none waits. Holds also when the cache could
 * not take the note. Borrowed until the next call. */
const char *used_wait_why(const struct guid *volume);
/* It was replaced in another way. */
void used_wait_forget(const struct guid *volume);
