#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Boot#### variables. source: UEFI 2.10, 3.1.3, EFI_LOAD_OPTION */

#include "efi/device_path.h"

struct load_option {
    const uint8_t *description; /* UTF-16LE with a zero, any alignment */
    const EFI_DEVICE_PATH *path;
    const uint8_t *data; /* handed to the program: a kernel's command line, a loader's own settings */
    size_t data_len;
    enum device_path_kind kind;
    bool wanted; /* active, of the category of booting, not ourselves, not by network */
};

/* Read Boot#### of this number. ret borrows ret_memory, pool memory that the caller frees.
 * err: NOT_FOUND, FORMAT */
MUST_CHECK enum err load_option_read(uint16_t number, void **ret_memory, struct load_option *ret);
/* The description as ASCII, other characters as '?', cut. cap counts the zero byte */
void load_option_name(const struct load_option *o, char *ret, size_t cap);
/* BootOrder: pool memory that the caller frees, NULL without. */
uint8_t *load_option_order(size_t *ret_n);
/* Number i of it. */
uint16_t load_option_number(const uint8_t *order, size_t i);
