#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the bytes of a volume come from: the one way that the readers of LUKS2 and BitLocker do I/O. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

struct volume_io {
    /* Read exactly len bytes at byte offset off. err: TRUNCATED (beyond the end), IO */
    enum err (*read)(void *ctx, uint64_t off, void *buf, size_t len);
    void *ctx; /* borrowed */
};
