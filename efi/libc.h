#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the C library that mbedTLS, Argon2, qrcodegen and compilers expect, for a program without one.
 * The string functions are declared by <string.h>, abs and labs by <stdlib.h>. */

#include <stddef.h>

/* Zeroed pool memory, NULL when there is none or n × size overflows. free takes NULL. */
void *calloc(size_t n, size_t size);
/* As it is found: clearing the gigabyte that an Argon2 slot may ask for would touch it once more than needed.
 * One request, answered by the firmware at once when it has no such block; nothing is searched by trial
 * (each gigabyte allocated and freed costs 1 to 2 s there). */
void *malloc(size_t len);
void free(void *p);
