#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OpenSSL's random bytes from the kernel, whose generator is as good as one that it seeds: 256 of them at a
 * time, each wiped when it is given. For a process that does not fork. 32 bytes cost 0.13 us; of the kernel
 * 0.37, of OpenSSL 3.0's own generator 0.67, two system calls to see whether it was forked among it. source:
 * getrandom(2); RAND_set_rand_method(3) */

#include "crypto/err.h"

/* For the process, all library contexts. err: UNSUPPORTED (the kernel gives none) */
MUST_CHECK enum err tls_random_begin(void);
