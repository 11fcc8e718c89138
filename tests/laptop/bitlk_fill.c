/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Put a plain file system into a BitLocker volume (AES-XTS, as Windows made it), at the places where its
 * reader looks for each sector: what the images of Windows have in them is not whole. */
#include "crypto/secret.h"
#include "formats/bitlocker.h"
#include "formats/recovery_password.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The image, and where it was read last. */
struct image {
    int fd;
    uint64_t off;
    size_t len;
};

static enum err read_image(void *ctx, uint64_t off, void *buf, size_t len)
{
    struct image *i = ctx;
    i->off = off;
    i->len = len;
    return pread(i->fd, buf, len, (off_t)off) == (ssize_t)len ? ERR_OK : ERR_IO;
}

/* One sector: read it to learn where it lies, then put the other bytes there. */
static enum err fill_sector(struct bitlocker_volume *v, struct image *i, uint64_t off, uint8_t *plain,
                            size_t len)
{
    uint8_t was[CR_SECTOR_MAX];
    enum bitlocker_extent kind;
    uint64_t extent;
    TRY(bitlocker_extent_at(v, off, &kind, &extent));
    i->len = 0;
    TRY(bitlocker_read(v, off, was, len));
    if (memcmp(was, plain, len) == 0)
        return ERR_OK;
    if (kind == BITLOCKER_ZEROS || i->len != len)
        return ERR_CONFLICT; /* metadata lies there */
    if (kind == BITLOCKER_CIPHER)
        TRY(cr_sectors_crypt(&v->sectors, CR_ENCRYPT, i->off / len, plain, len));
    return pwrite(i->fd, plain, len, (off_t)i->off) == (ssize_t)len ? ERR_OK : ERR_IO;
}

static enum err fill(struct bitlocker_volume *v, struct image *i, int plain)
{
    uint8_t sector[CR_SECTOR_MAX];
    size_t len = v->b->sector_size;
    for (uint64_t off = 0; pread(plain, sector, len, (off_t)off) == (ssize_t)len; off += len)
        TRY(fill_sector(v, i, off, sector, len));
    return ERR_OK;
}

static enum err run(const char *digits, struct image *i, int plain)
{
    static struct bitlocker b;
    static struct bitlocker_volume v;
    struct bitlocker_problem problem;
    struct volume_io io = {.read = read_image, .ctx = i};
    struct stat st;
    unsigned at;
    void *memory = malloc(BITLOCKER_MEMORY);
    SECRET(password);
    SECRET(vmk);
    if (!memory || fstat(i->fd, &st) != 0)
        return ERR_IO;
    TRY(rp_decode(digits, strlen(digits), &password, &at));
    TRY(bitlocker_load(&io, (uint64_t)st.st_size, memory, BITLOCKER_MEMORY, &b, &problem));
    TRY(bitlocker_unlock_recovery(&b, password.bytes, &at, &vmk));
    TRY(bitlocker_open(&b, &vmk, &v, &problem));
    enum err e = v.tweak_key_len ? ERR_UNSUPPORTED : fill(&v, i, plain);
    bitlocker_wipe(&v);
    free(memory);
    return e;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bitlk_fill DIGITS IMAGE PLAIN-FILE-SYSTEM\n");
        return 2;
    }
    struct image i = {.fd = open(argv[2], O_RDWR | O_CLOEXEC)};
    int plain = open(argv[3], O_RDONLY | O_CLOEXEC);
    enum err e = i.fd < 0 || plain < 0 ? ERR_NOT_FOUND : run(argv[1], &i, plain);
    if (e != ERR_OK)
        fprintf(stderr, "bitlk_fill: %s: %s\n", argv[2], err_text(e));
    return e != ERR_OK;
}
