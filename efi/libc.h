#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the C library that mbedTLS, qrcodegen and compilers expect, for a program without one.
 * The string functions are declared by <string.h>, abs and labs by <stdlib.h>. */

#include <stddef.h>

/* Zeroed pool memory, NULL when there is none or n × size overflows. free takes NULL. */
void *calloc(size_t n, size_t size);
void free(void *p);
