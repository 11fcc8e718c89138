/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One metadata block: read it, check its CRC-32, and make it the one that counts. */
#include "formats/bitlocker_format.h"
#include <string.h>

#define VALIDATION_LEN 8   /* length, version, CRC-32 */
#define SEAL_MAX       256 /* the sealed SHA-256 behind it is an entry of 80 bytes */

/* Offsets of problems count from the block here, from the volume for everybody else. */
static enum err wrong(struct bitlocker_block *b, enum err e, const char *what, uint64_t off)
{
    b->problem = (struct bitlocker_problem){what, b->off + off};
    return e;
}

static enum err read_at(struct bitlocker *b, unsigned i, uint32_t off, uint32_t len)
{
    struct bitlocker_block *at = &b->block[i];
    uint8_t *to = b->room->block[i] + off;
    uint64_t from = at->off + off;
    if (from < off || from > b->size || len > b->size - from)
        return wrong(at, ERR_FORMAT, "the metadata block does not lie within the volume", off);
    enum err e = b->io.read(b->io.ctx, from, to, len);
    return e == ERR_OK ? e : wrong(at, ERR_IO, "the metadata block cannot be read", off);
}

static enum err check_crc(struct bitlocker *b, unsigned i, uint32_t len, uint32_t *ret_rest)
{
    struct reader r;
    TRY(read_at(b, i, len, VALIDATION_LEN));
    reader_init(&r, b->room->block[i] + len, VALIDATION_LEN);
    uint32_t total = reader_u16(&r), version = reader_u16(&r);
    if (bitlocker_crc32(0, b->room->block[i], len) != reader_u32(&r))
        return wrong(&b->block[i], ERR_FORMAT, "the CRC-32 of the metadata block does not match", len + 4);
    *ret_rest = version < 2 || total < VALIDATION_LEN ? 0 : total - VALIDATION_LEN;
    return ERR_OK;
}

/* Behind the CRC-32 there may be the SHA-256, sealed (not with Vista). Nothing there is no failure. */
static void find_seal(struct bitlocker *b, unsigned i, uint32_t off, uint32_t rest)
{
    struct bitlocker_room *room = b->room;
    struct reader r;
    struct bitlocker_entry e;
    bool more;
    uint32_t len = rest < SEAL_MAX ? rest : SEAL_MAX;
    len = len < BITLOCKER_BLOCK_MAX - off ? len : BITLOCKER_BLOCK_MAX - off;
    struct bitlocker_problem before = b->block[i].problem;
    enum err got = read_at(b, i, off, len);
    b->block[i].problem = before;
    reader_init(&r, room->block[i] + off, got == ERR_OK ? len : 0);
    while (bitlocker_entry_next(&r, &e, &more) == ERR_OK && more)
        if (e.value == BITLOCKER_VALUE_SEALED) {
            room->seal_off[i] = off + (uint32_t)e.off + BITLOCKER_ENTRY_LEN;
            room->seal_len[i] = (uint32_t)e.len;
            return;
        }
}

static enum err read_info(struct bitlocker *b, unsigned i)
{
    struct bitlocker_info *info = &b->room->info[i];
    struct bitlocker_problem p;
    uint32_t rest;
    TRY(read_at(b, i, 0, BITLOCKER_HEADER_LEN));
    enum err e = bitlocker_info_decode(b->room->block[i], info, &p);
    if (e != ERR_OK)
        return wrong(&b->block[i], e, p.what, p.off);
    TRY(read_at(b, i, BITLOCKER_HEADER_LEN, info->len - BITLOCKER_HEADER_LEN));
    TRY(check_crc(b, i, info->len, &rest));
    find_seal(b, i, info->len + VALIDATION_LEN, rest);
    return ERR_OK;
}

/* Do the entries fit? What they say is looked at later. */
static enum err check_entries(struct bitlocker *b, unsigned i, const struct bitlocker_info *info)
{
    struct reader r;
    struct bitlocker_entry e;
    bool more = true;
    reader_init(&r, b->room->block[i] + info->data_off, info->data_len);
    while (more)
        if (bitlocker_entry_next(&r, &e, &more) != ERR_OK)
            return wrong(&b->block[i], ERR_FORMAT, "an entry of the metadata does not fit",
                         info->data_off + r.off);
    return ERR_OK;
}

enum err bitlocker_block_read(struct bitlocker *b, unsigned i)
{
    struct bitlocker_block *at = &b->block[i];
    struct bitlocker_info *info = &b->room->info[i];
    at->problem.what = NULL;
    b->room->seal_len[i] = 0;
    memset(info, 0, sizeof *info);
    if (at->off == 0)
        return wrong(at, ERR_FORMAT, "nothing says where the metadata block lies", 0);
    TRY(read_info(b, i));
    at->created = info->created;
    at->nonce_counter = info->nonce_counter;
    return check_entries(b, i, info);
}

static void set_state(struct bitlocker *b)
{
    b->paused = b->state_now == 3 || b->state_now == 5;
    if (b->state_now == 1 && b->state_next != 4)
        b->state = BITLOCKER_DECRYPTED;
    else if (b->state_now == 1 || b->state_now == 2 || b->paused)
        b->state = b->state_next == 1 ? BITLOCKER_DECRYPTING : BITLOCKER_ENCRYPTING;
    else
        b->state = BITLOCKER_ENCRYPTED;
}

/* Where encryption ends. Zero was never set by Vista, or by whoever was done; on the way it is a number like
 * any other. A volume that was made smaller keeps the old number. */
static void set_encrypted_size(struct bitlocker *b, const struct bitlocker_info *info)
{
    uint64_t n = info->encrypted_size;
    if (n == 0 && b->state_now != 1 && (b->version == 1 || b->state == BITLOCKER_ENCRYPTED))
        n = b->size;
    n -= n % b->sector_size;
    b->encrypted_size = n < b->size ? n : b->size;
    b->log_len = info->state_now == 2 && info->encrypted_size != 0 ? info->log_len : 0;
}

static enum err see_protector(struct bitlocker *b, const struct bitlocker_entry *e, uint32_t off)
{
    struct bitlocker_protector *row = &b->room->protector[b->n_protectors];
    if (b->n_protectors == BITLOCKER_PROTECTORS || e->value != BITLOCKER_VALUE_VMK)
        return ERR_OK;
    if (bitlocker_protector_decode(e->data, e->len, off + BITLOCKER_ENTRY_LEN, row) != ERR_OK)
        return ERR_OK; /* too short to say what it is */
    b->suspended = b->suspended || row->kind == BITLOCKER_CLEAR_KEY;
    b->n_protectors++;
    return ERR_OK;
}

struct walk {
    struct bitlocker *b;
    uint32_t data_off;
};

static enum err see(void *ctx, const struct bitlocker_entry *e)
{
    struct walk *w = ctx;
    struct reader r;
    reader_init(&r, e->data, e->len);
    if (e->type == BITLOCKER_TYPE_DESCRIPTION && e->value == BITLOCKER_VALUE_TEXT &&
        w->b->description[0] == 0) {
        bitlocker_text(e->data, e->len, w->b->description, sizeof w->b->description);
    } else if (e->type == BITLOCKER_TYPE_HEADER && e->value == BITLOCKER_VALUE_HEADER && e->len >= 16) {
        w->b->header_off = reader_u64(&r);
        w->b->header_len = reader_u64(&r);
    } else if (e->type == BITLOCKER_TYPE_VMK) {
        return see_protector(w->b, e, w->data_off + (uint32_t)e->off);
    }
    return ERR_OK;
}

/* Where the boot sector does not say it: the entry counts the moved sectors in bytes, the header in sectors.
 */
static void learn_sector_size(struct bitlocker *b, const struct bitlocker_info *info)
{
    if (!b->sector_unknown)
        return;
    b->sector_size = CR_SECTOR_MIN; /* not what another block said, that was used before */
    b->size = b->disk_size - b->disk_size % b->sector_size;
    if (info->header_sectors == 0 || b->header_len / info->header_sectors != CR_SECTOR_MAX)
        return;
    b->sector_size = CR_SECTOR_MAX;
    b->size -= b->size % b->sector_size;
}

/* The header entry is gone from late Windows 10; the block header has the same numbers. */
static enum err set_header(struct bitlocker *b, const struct bitlocker_info *info, unsigned i)
{
    if (b->version == 1) {
        b->mirror = info->header_off;
        b->header_off = b->header_len = 0;
        return ERR_OK;
    }
    if (b->header_len == 0) {
        b->header_off = info->header_off;
        b->header_len = (uint64_t)(info->header_sectors == 0 ? 1 : info->header_sectors) * b->sector_size;
    }
    uint64_t end;
    if (__builtin_add_overflow(b->header_off, b->header_len, &end) || end > b->size)
        return wrong(&b->block[i], ERR_FORMAT, "the first sectors were moved to beyond the volume's end", 56);
    if (b->header_off % b->sector_size != 0 || b->header_len % b->sector_size != 0)
        return wrong(&b->block[i], ERR_FORMAT, "the place of the first sectors is no whole sector", 56);
    return ERR_OK;
}

enum err bitlocker_block_use(struct bitlocker *b, unsigned i)
{
    const struct bitlocker_info *info = &b->room->info[i];
    struct walk w = {.b = b, .data_off = info->data_off};
    b->version = info->version;
    b->method = info->method;
    b->key_bits = bitlocker_key_bits(info->method);
    b->state_now = info->state_now;
    b->state_next = info->state_next;
    b->volume_id = info->volume_id;
    b->created = info->created;
    memcpy(b->block_off, info->block_off, sizeof b->block_off);
    b->description[0] = 0;
    b->n_protectors = 0;
    b->protector = b->room->protector;
    b->suspended = false;
    b->header_off = b->header_len = 0;
    TRY(bitlocker_entries(b->room->block[i] + info->data_off, info->data_len, see, &w));
    learn_sector_size(b, info);
    set_state(b);
    set_encrypted_size(b, info);
    TRY(set_header(b, info, i));
    b->used = i;
    return ERR_OK;
}
