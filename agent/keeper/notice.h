#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person at this computer can do: /run/keyholt/notice, which the next log-in shows (pam_motd). It asks
 * for nothing that anybody waits for, and is never in the way; no file where nothing is to be done. */

#include "agent/state/agent.h"

/* Bring it in line with what the cache says now. */
void notice_update(struct agent *a);
