/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a volume to what its metadata say: all three blocks, the newest that verifies. */
#include "formats/bitlocker_format.h"
#include <string.h>

_Static_assert(sizeof(struct bitlocker_room) + _Alignof(struct bitlocker_room) <= BITLOCKER_MEMORY,
               "BITLOCKER_MEMORY does not suffice");

static enum err boot_problem(struct bitlocker_problem *ret, enum err e, const char *what, uint64_t off)
{
    *ret = (struct bitlocker_problem){what, off};
    return e;
}

static enum err read_boot(struct bitlocker *b, struct bitlocker_boot *boot,
                          struct bitlocker_problem *ret_problem)
{
    uint8_t p[BITLOCKER_BOOT_LEN];
    enum err e = b->size < sizeof p ? ERR_TRUNCATED : b->io.read(b->io.ctx, 0, p, sizeof p);
    if (e == ERR_TRUNCATED)
        return ERR_NOT_FOUND;
    if (e != ERR_OK)
        return ERR_IO;
    e = bitlocker_boot_decode(p, boot);
    if (e == ERR_UNSUPPORTED)
        return boot_problem(ret_problem, e, "the sector size is not one of 512, 1024, 2048 and 4096", 11);
    return e;
}

static void use_boot(struct bitlocker *b, const struct bitlocker_boot *boot)
{
    b->sector_size = boot->sector_size;
    b->sector_unknown = boot->sector_unknown;
    b->cluster_size = boot->cluster_size;
    b->layout = boot->layout;
    b->encrypt_on_write = boot->encrypt_on_write;
    b->size -= b->size % b->sector_size;
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++)
        b->block[i].off = boot->block_off[i];
    memcpy(b->eow_off, boot->eow_off, sizeof b->eow_off);
}

/* Each block knows where all three lie: what the boot sector does not say (Vista names one only) is taken
 * from the first that was read. */
static void learn_offsets(struct bitlocker *b, unsigned i)
{
    for (unsigned k = 0; k < BITLOCKER_BLOCKS; k++)
        if (b->block[k].off == 0)
            b->block[k].off = b->room->info[i].block_off[k];
}

bool bitlocker_block_newer(const struct bitlocker_block *a, const struct bitlocker_block *b)
{
    return a->created != b->created ? a->created > b->created : a->nonce_counter > b->nonce_counter;
}

/* What to tell when no block verifies: a later version before damage, damage before reading errors. */
static int weight(enum err e)
{
    return e == ERR_VERSION ? 3 : e == ERR_FORMAT ? 2 : 1;
}

static enum err read_blocks(struct bitlocker *b, int *ret_best, struct bitlocker_problem *ret_problem)
{
    enum err worst = ERR_IO;
    *ret_best = -1;
    *ret_problem = (struct bitlocker_problem){"the metadata blocks cannot be read", 0};
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++) {
        enum err e = bitlocker_block_read(b, i);
        learn_offsets(b, i);
        if (e == ERR_OK && (*ret_best < 0 || bitlocker_block_newer(&b->block[i], &b->block[*ret_best])))
            *ret_best = (int)i;
        if (e != ERR_OK && weight(e) > weight(worst)) {
            worst = e;
            *ret_problem = b->block[i].problem;
        }
    }
    return *ret_best >= 0 ? ERR_OK : worst;
}

/* The newest block may still say what cannot be; then the next newest counts. */
static enum err choose(struct bitlocker *b, int best, struct bitlocker_problem *ret_problem)
{
    for (;;) {
        if (bitlocker_block_use(b, (unsigned)best) == ERR_OK)
            return ERR_OK;
        *ret_problem = b->block[best].problem;
        best = -1;
        for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++)
            if (b->block[i].problem.what == NULL &&
                (best < 0 || bitlocker_block_newer(&b->block[i], &b->block[best])))
                best = (int)i;
        if (best < 0)
            return ERR_FORMAT;
    }
}

enum err bitlocker_load(const struct volume_io *io, uint64_t size, void *memory, size_t memory_len,
                        struct bitlocker *ret, struct bitlocker_problem *ret_problem)
{
    struct bitlocker b = {.io = *io, .size = size, .disk_size = size};
    struct bitlocker_boot boot;
    int best;
    size_t skip = -(uintptr_t)memory % _Alignof(struct bitlocker_room);
    if (memory_len < sizeof *b.room + skip)
        return ERR_FULL;
    b.room = (void *)((uint8_t *)memory + skip);
    TRY(read_boot(&b, &boot, ret_problem));
    use_boot(&b, &boot);
    TRY(read_blocks(&b, &best, ret_problem));
    TRY(choose(&b, best, ret_problem));
    *ret = b;
    return ERR_OK;
}

uint16_t bitlocker_key_bits(uint16_t method)
{
    if (method < BITLOCKER_AES128_ELEPHANT || method > BITLOCKER_AES256_XTS)
        return 0;
    return method % 2 == 0 ? 128 : 256;
}

const char *bitlocker_method_name(uint16_t method)
{
    static const char *const names[] = {"AES-CBC 128 with Elephant diffuser",
                                        "AES-CBC 256 with Elephant diffuser",
                                        "AES-CBC 128",
                                        "AES-CBC 256",
                                        "AES-XTS 128",
                                        "AES-XTS 256"};
    return bitlocker_key_bits(method) == 0 ? "unknown" : names[method - BITLOCKER_AES128_ELEPHANT];
}

const char *bitlocker_state_name(uint8_t state)
{
    static const char *const names[] = {"unknown", "encrypted", "encrypting", "decrypting", "decrypted"};
    return names[state < sizeof names / sizeof *names ? state : 0];
}
