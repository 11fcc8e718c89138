#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TPM that was away and is back: what waited for it goes on. */

#include "agent/state/agent.h"

/* Look again at the volumes whose management key is in a TPM that was away, if it answers now; a rotation
 * that waits is wanted then. Asked whenever the keeper works anyhow (status, a sync, a device that appears),
 * so nothing wakes up for it. Costs one query of the cache where none waits. */
void tpm_back_look(struct agent *a);
