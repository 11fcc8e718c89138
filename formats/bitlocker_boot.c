/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The first sector: is it BitLocker, in which layout, and where are the metadata? */
#include "formats/bitlocker_format.h"
#include <string.h>

/* Either GUID is followed by the offsets of the three blocks, that of encrypt-on-write by two more.
 * 4967D63B-2E29-4AD8-8399-F6A339E3D001, 92A84D3B-DD80-4D0E-9E4E-B1E3284EAED8 */
static const struct guid usual = {
    {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01}};
static const struct guid on_write = {
    {0x3b, 0x4d, 0xa8, 0x92, 0x80, 0xdd, 0x0e, 0x4d, 0x9e, 0x4e, 0xb1, 0xe3, 0x28, 0x4e, 0xae, 0xd8}};

#define GUID_SEVEN 160
#define GUID_TO_GO 424

static bool guid_at(struct reader *r, size_t off, bool *ret_on_write)
{
    struct guid g;
    reader_seek(r, off);
    reader_bytes(r, g.bytes, sizeof g.bytes);
    *ret_on_write = guid_equal(&g, &on_write);
    return *ret_on_write || guid_equal(&g, &usual);
}

static bool has_signature(struct reader *r, const char *text)
{
    uint8_t oem[8];
    reader_seek(r, 3);
    reader_bytes(r, oem, sizeof oem);
    return memcmp(oem, text, sizeof oem) == 0;
}

/* The BIOS parameter block; around exFAT it is empty, and the metadata may know better than 512. */
static enum err sector_size(struct reader *r, struct bitlocker_boot *boot)
{
    reader_seek(r, 11);
    uint32_t size = reader_u16(r), per_cluster = reader_u8(r);
    boot->sector_unknown = size == 0;
    if (size == 0)
        size = 512;
    if (size < CR_SECTOR_MIN || size > CR_SECTOR_MAX || (size & (size - 1)) != 0)
        return ERR_UNSUPPORTED;
    /* NTFS: above 128 it is a power of two, negative */
    if (per_cluster > 128)
        per_cluster = 256 - per_cluster <= 16 ? 1u << (256 - per_cluster) : 1;
    boot->sector_size = size;
    boot->cluster_size = size * (per_cluster == 0 ? 1 : per_cluster);
    return ERR_OK;
}

static void offsets(struct reader *r, struct bitlocker_boot *boot)
{
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++)
        boot->block_off[i] = reader_u64(r);
    for (unsigned i = 0; boot->encrypt_on_write && i < 2; i++)
        boot->eow_off[i] = reader_u64(r);
}

/* Vista has no GUID: where NTFS names the cluster of the MFT mirror, it names that of a block. */
static enum err vista(struct reader *r, struct bitlocker_boot *boot)
{
    reader_seek(r, 56);
    uint64_t cluster = reader_u64(r);
    if (cluster == 0 || __builtin_mul_overflow(cluster, (uint64_t)boot->cluster_size, &boot->block_off[0]))
        return ERR_NOT_FOUND;
    boot->layout = BITLOCKER_VISTA;
    return ERR_OK;
}

enum err bitlocker_boot_decode(const uint8_t p[static BITLOCKER_BOOT_LEN], struct bitlocker_boot *ret)
{
    struct reader r;
    struct bitlocker_boot boot = {.layout = BITLOCKER_SEVEN};
    reader_init(&r, p, BITLOCKER_BOOT_LEN);
    bool fve = has_signature(&r, "-FVE-FS-"), fat = has_signature(&r, "MSWIN4.1");
    if (!fve && !fat)
        return ERR_NOT_FOUND;
    enum err e = sector_size(&r, &boot);
    if (fve && guid_at(&r, GUID_SEVEN, &boot.encrypt_on_write)) {
        offsets(&r, &boot);
    } else if (guid_at(&r, GUID_TO_GO, &boot.encrypt_on_write)) {
        offsets(&r, &boot);
        boot.layout = BITLOCKER_TO_GO;
    } else if (!fve) {
        return ERR_NOT_FOUND; /* an ordinary FAT volume */
    } else {
        TRY(e);
        TRY(vista(&r, &boot));
    }
    TRY(e);
    *ret = boot;
    return r.err;
}

enum err bitlocker_probe(const struct volume_io *io, bool *ret)
{
    uint8_t p[BITLOCKER_BOOT_LEN];
    struct bitlocker_boot boot;
    enum err e = io->read(io->ctx, 0, p, sizeof p);
    if (e != ERR_OK && e != ERR_TRUNCATED)
        return ERR_IO;
    if (e == ERR_OK)
        e = bitlocker_boot_decode(p, &boot);
    *ret = e == ERR_OK || e == ERR_UNSUPPORTED;
    return ERR_OK;
}
