#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What doctor finds out by itself, without the keeper. */

#include "agent/command/doctor.h"

/* Fill all but status and no_status. root: --root. cost: listing an initramfs takes seconds */
void doctor_facts(const char *root, struct doctor_facts *ret);
