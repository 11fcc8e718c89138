/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes to BitLocker volumes of the writer with sums that are right; what is accepted is opened and read.
 * First byte: 'k' a startup key file, 'e' a list of entries, else changes of four bytes to one of the
 * volumes: where (16 bits), how (3 bits area, 5 bits operation), value. */
#include "crypto/cursor.h"
#include "formats/text.h"
#include "tests/bitlocker/bitlocker_image.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {"0", "1", "2", "3", "0  !\x01p!\x02@\"\xff", "1\x14!\x03\x40\x20!\x22 ",
                                  "e", "k", NULL};
const char *const fuzz_words[] = {"\xff\xff\x41\xff", "\x01\x01\x21\x80", "\x08\x01\x42\x7f",
                                  "\x10\x01\x62\x01", NULL};

#define BASES 4

static void base(unsigned nth, struct bw_options *o)
{
    bw_defaults(o);
    o->n_recovery = 0;
    o->clear_key = o->startup_key = o->unknown = true;
    o->on_write = nth == 1;
    o->layout = nth == 2 ? BW_VISTA : nth == 3 ? BW_TO_GO : BW_SEVEN;
    o->method = nth == 2 ? 0x8000 : 0x8004;
}

/* Areas worth a change: boot sector, block 0, the structures of encrypt-on-write. */
static uint8_t *place(struct bi *i, unsigned area, unsigned off)
{
    static const uint64_t start[] = {
        0,       0x40000, BW_EOW_OFF,         BW_EOW_OFF + 0x2000, BW_EOW_OFF + 0x2400,
        0x40000, 0x40000, BW_EOW_OFF + 0x4000};
    static const unsigned len[] = {512, 1024, 80, 64, 64, 112, 400, 64};
    return i->p + start[area] + off % len[area];
}

static void change(struct bi *i, struct reader *r)
{
    while (reader_left(r) >= 4) {
        unsigned off = reader_u16(r), how = reader_u8(r), value = reader_u8(r);
        uint8_t *p = place(i, how >> 5, off);
        switch (how & 3) {
        case 0:
            *p ^= (uint8_t)value;
            break;
        case 1:
            *p = (uint8_t)value;
            break;
        default:
            memset(p, (int)value, 8);
        }
    }
}

static void seal(struct bi *i, const struct bw_options *o)
{
    bw_seal_block(o, i->p, 0);
    bw_crc(i->p + BW_EOW_OFF, 72, 36);
    for (unsigned map = 0; map < 2 && o->on_write; map++) {
        uint8_t *p = i->p + BW_EOW_OFF + 0x2000 + 0x2000 * map;
        bw_crc(p, 0x200, 56);
        bw_crc(p + 0x200, 0x200, 32);
        bw_crc(p + 0x400, 0x200, 32);
    }
}

static void read_all(struct bi *i, struct secret *vmk)
{
    static struct bitlocker_volume v;
    static uint8_t buf[1 << 16];
    struct bitlocker_problem problem;
    uint64_t len;
    enum bitlocker_extent kind;
    if (bitlocker_open(&i->b, vmk, &v, &problem) != ERR_OK)
        return;
    for (uint64_t off = 0; off < i->b.size; off += len) {
        size_t n = i->b.size - off < sizeof buf ? (size_t)(i->b.size - off) : sizeof buf;
        if (bitlocker_extent_at(&v, off, &kind, &len) != ERR_OK || len == 0 || len > i->b.size - off ||
            len % i->b.sector_size != 0)
            abort();
        if (off < 2 * sizeof buf && bitlocker_read(&v, off, buf, n) == ERR_RANGE)
            abort();
    }
    bitlocker_wipe(&v);
}

static void use(struct bi *i)
{
    struct bitlocker_problem problem;
    uint8_t bek[256];
    unsigned which = 0;
    for (unsigned n = 0; n < i->b.n_protectors; n++)
        if (!text_is_printable(i->b.protector[n].description, strlen(i->b.protector[n].description)))
            abort();
    SECRET(vmk);
    size_t len = bw_startup_key(bek);
    if (bitlocker_unlock_clear_key(&i->b, &which, &vmk) == ERR_OK ||
        bitlocker_unlock_startup_key(&i->b, bek, len, &which, &vmk, &problem) == ERR_OK)
        read_all(i, &vmk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t *made[BASES];
    static struct bi image;
    struct reader r;
    struct guid id;
    struct bw_options o;
    reader_init(&r, data, len);
    unsigned first = reader_u8(&r);
    if (first == 'k')
        return bitlocker_startup_key_id(data + 1, len - 1, &id, &image.problem) == ERR_NOMEM;
    base(first % BASES, &o);
    if (made[first % BASES] == NULL)
        made[first % BASES] = bw_make(&o);
    if (image.p == NULL)
        bi_make(&image, &o);
    image.size = o.size;
    memcpy(image.p, made[first % BASES], o.size);
    if (first == 'e') {
        size_t n = len - 1 < 60000 ? len - 1 : 60000;
        memcpy(image.p + bw_block_off(0) + 112, data + 1, n);
        bi_poke(&image, bw_block_off(0) + 64, 48 + n, 4);
        bi_poke(&image, bw_block_off(0) + 8, (112 + n + 15) / 16, 2);
    } else {
        change(&image, &r);
    }
    seal(&image, &o);
    if (bi_load(&image) == ERR_OK)
        use(&image);
    return 0;
}
