#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers and names of a volume as people read them. */

#include "tools/volume.h"
#include <stdio.h>

#define SIZE_TEXT 24

/* "100 MiB", "1.5 GiB", "700 bytes". */
void desk_text_size(uint64_t bytes, char ret[static SIZE_TEXT]);
/* With a comma between thousands: "1,048,576". */
void desk_text_number(uint64_t n, char ret[static SIZE_TEXT]);
/* "2019-10-21 14:05 UTC", "" for 0. */
void desk_text_time(uint64_t t, char ret[static SIZE_TEXT]);
/* "PBKDF2-SHA256, 1,234 iterations"; "" for none. */
void desk_text_kdf(const struct volume_kdf *kdf, char *ret, size_t cap);
/* "recovery password 3FD763F9-… (keyslot 1, made by Keyholt)": what opened a volume. */
void desk_text_protector(const struct volume_info *info, unsigned which, char *ret, size_t cap);
