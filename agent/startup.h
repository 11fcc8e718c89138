#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the keeper does before it listens: resume, hand-off, boot event, rotation, ESP, then drop privileges.
 */

#include "agent/agent.h"
#include "crypto/err.h"
#include "formats/guid.h"
#include <stdbool.h>
#include <stdint.h>

/* A volume that cannot be brought in order does not stop the keeper; each failure is one line on stderr.
 * err: what makes the keeper unable to work at all */
MUST_CHECK enum err startup(struct agent *a);

/* Resume every volume that is remembered or found with a token of ours, and bring the cache in line. */
void startup_volumes(struct agent *a);

/* A used recovery password that could not be replaced at start (the disk is full) stays in locked memory for
 * some minutes: try again, at_once or when it is time. returns: milliseconds until it wants to be called
 * again; -1: no password waits */
int64_t startup_retry(struct agent *a, bool at_once);
/* Why this volume's used password is not replaced yet; NULL when none waits. Holds also when the cache could
 * not take the note. Borrowed until the next call. */
const char *startup_waits(const struct guid *volume);
/* It was replaced in another way. */
void startup_forget(const struct guid *volume);
