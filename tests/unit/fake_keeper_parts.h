#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside tests/unit/fake_keeper*.c only. */

#include "crypto/p256.h"
#include "formats/guid.h"

extern struct cr_p256_key *fake_escrow; /* the desk's private key */
extern struct guid fake_org;
