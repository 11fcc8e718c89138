/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/no_passphrase.h"

int cr_no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}
