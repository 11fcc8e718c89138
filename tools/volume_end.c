/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume_end.h"
#include "crypto/cursor.h"
#include <string.h>

/* A number of units of some bytes; size is their product. */
struct claim {
    uint64_t units, bytes;
};

static uint64_t at(const uint8_t *head, size_t off, unsigned len)
{
    struct reader r;
    reader_init(&r, head, VOLUME_END_HEAD);
    reader_seek(&r, off);
    return len == 1 ? reader_u8(&r) : len == 2 ? reader_u16(&r) : len == 4 ? reader_u32(&r) : reader_u64(&r);
}

static uint64_t at_be(const uint8_t *head, size_t off, unsigned len)
{
    struct reader r;
    reader_init(&r, head, VOLUME_END_HEAD);
    reader_seek(&r, off);
    return len == 4 ? reader_u32be(&r) : reader_u64be(&r);
}

/* Behind the sectors that it counts lies the copy of the first. */
static struct claim ntfs(const uint8_t *head)
{
    uint64_t n = at(head, 40, 8);
    return (struct claim){n == UINT64_MAX ? 0 : n + 1, at(head, 11, 2)};
}

static struct claim exfat(const uint8_t *head)
{
    uint64_t shift = at(head, 108, 1);
    return (struct claim){at(head, 72, 8), shift < 32 ? UINT64_C(1) << shift : 0};
}

static struct claim fat(const uint8_t *head)
{
    uint64_t small = at(head, 19, 2);
    return (struct claim){small ? small : at(head, 32, 4), at(head, 11, 2)};
}

static struct claim ext(const uint8_t *head)
{
    uint64_t shift = at(head, 1024 + 24, 4),
             high = at(head, 1024 + 96, 4) & 0x80 ? at(head, 1024 + 0x150, 4) : 0;
    return (struct claim){high << 32 | at(head, 1024 + 4, 4), shift < 32 ? UINT64_C(1024) << shift : 0};
}

static struct claim xfs(const uint8_t *head)
{
    return (struct claim){at_be(head, 8, 8), at_be(head, 4, 4)};
}

static const struct {
    const char *name;
    size_t off;
    const char *magic;
    struct claim (*claim)(const uint8_t *head);
} known[] = {
    {"NTFS", 3, "NTFS    ", ntfs}, {"exFAT", 3, "EXFAT   ", exfat}, {"FAT", 82, "FAT32   ", fat},
    {"FAT", 54, "FAT16   ", fat},  {"FAT", 54, "FAT12   ", fat},    {"ext", 1024 + 56, "\x53\xef", ext},
    {"XFS", 0, "XFSB", xfs},
};

enum err volume_end_claimed(const uint8_t *head, size_t len, const char **ret_name, uint64_t *ret_size)
{
    if (len != VOLUME_END_HEAD)
        return ERR_FORMAT;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint64_t size;
        if (memcmp(head + known[i].off, known[i].magic, strlen(known[i].magic)) != 0)
            continue;
        struct claim c = known[i].claim(head);
        if (c.units == 0 || c.bytes == 0 || __builtin_mul_overflow(c.units, c.bytes, &size))
            return ERR_FORMAT;
        *ret_name = known[i].name;
        *ret_size = size;
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}
