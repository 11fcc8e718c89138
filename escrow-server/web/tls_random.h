#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OpenSSL's random bytes from the kernel, whose generator is as good as one that it seeds, and is not copied
 * by a fork. A call of OpenSSL 3.0's own costs 1.2 us, two system calls to see whether it was among it; this
 * one 0.45. source: getrandom(2); RAND_set_rand_method(3) */

#include "crypto/err.h"

/* For the process, all library contexts. err: UNSUPPORTED (the kernel gives none) */
MUST_CHECK enum err tls_random_begin(void);
