/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Header of a metadata block. */
#include "formats/bitlocker_format.h"

/* Block header, the first 64 bytes. */
static void decode_block(struct reader *r, struct bitlocker_info *info)
{
    reader_seek(r, 8);
    uint32_t len = reader_u16(r);
    info->version = reader_u16(r);
    info->len = info->version == 1 ? len : len * 16;
    info->state_now = reader_u16(r);
    info->state_next = reader_u16(r);
    info->encrypted_size = reader_u64(r);
    info->log_len = reader_u32(r);
    info->header_sectors = reader_u32(r);
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++)
        info->block_off[i] = reader_u64(r);
    info->header_off = reader_u64(r);
}

/* Dataset header, 48 bytes; the entries follow at its own offset within it. */
static void decode_dataset(struct reader *r, struct bitlocker_info *info, uint32_t *ret_start,
                           uint32_t *ret_len)
{
    *ret_len = reader_u32(r);
    reader_skip(r, 4);
    *ret_start = reader_u32(r);
    reader_skip(r, 4);
    reader_bytes(r, info->volume_id.bytes, sizeof info->volume_id.bytes);
    info->nonce_counter = reader_u32(r);
    info->method = reader_u16(r);
    reader_skip(r, 2);
    info->created = bitlocker_time(reader_u64(r));
}

static enum err wrong(struct bitlocker_problem *ret, enum err e, const char *what, uint64_t off)
{
    *ret = (struct bitlocker_problem){what, off};
    return e;
}

enum err bitlocker_info_decode(const uint8_t p[static BITLOCKER_HEADER_LEN], struct bitlocker_info *ret,
                               struct bitlocker_problem *ret_problem)
{
    struct reader r;
    struct bitlocker_info info = {0};
    uint32_t start, len;
    reader_init(&r, p, BITLOCKER_HEADER_LEN);
    reader_expect(&r, "-FVE-FS-", 8);
    if (r.err != ERR_OK)
        return wrong(ret_problem, ERR_FORMAT, "there is no signature of a metadata block", 0);
    decode_block(&r, &info);
    decode_dataset(&r, &info, &start, &len);
    if (info.version < 1 || info.version > 2)
        return wrong(ret_problem, ERR_VERSION, "the metadata are of an unknown version", 10);
    if (info.len < BITLOCKER_HEADER_LEN || info.len > BITLOCKER_BLOCK_MAX - 8)
        return wrong(ret_problem, ERR_FORMAT, "the length of the metadata block cannot be", 8);
    if (len > info.len - BITLOCKER_DATASET_OFF || len < BITLOCKER_DATASET_LEN)
        return wrong(ret_problem, ERR_FORMAT, "the entries do not fit into the metadata block", 64);
    if (start < BITLOCKER_DATASET_LEN || start > len)
        return wrong(ret_problem, ERR_FORMAT, "the start of the entries cannot be", 72);
    info.data_off = BITLOCKER_DATASET_OFF + start;
    info.data_len = len - start;
    *ret = info;
    return r.err;
}
