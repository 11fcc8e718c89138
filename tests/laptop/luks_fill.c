/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Put a LUKS2 header and the encrypted content of a plain file system into a disk image, without
 * device-mapper. The image builder of the virtual laptop uses it: neither loop devices nor dm-crypt exist on
 * every host. */
#include "crypto/secret.h"
#include "crypto/sectors.h"

#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK          (1U << 20)
#define KEY_MAX        64U
#define PASSPHRASE_MAX 512U

struct volume {
    uint8_t key[KEY_MAX];
    size_t key_len, sector_size;
    uint64_t payload; /* bytes from the header's start */
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "luks_fill: %s: %s\n", what, why);
    return 1;
}

/* The file's whole content is the passphrase, a newline at its end too. */
static bool read_passphrase(const char *path, char *ret_text, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    *ret_len = fread(ret_text, 1, PASSPHRASE_MAX, f);
    bool ok = !ferror(f) && feof(f) && *ret_len > 0;
    fclose(f);
    return ok;
}

static bool open_volume(const char *header, const char *passphrase, size_t len, struct volume *ret_volume)
{
    struct crypt_device *cd = NULL;
    struct volume v = {.key_len = KEY_MAX};
    bool ok = crypt_init(&cd, header) == 0 && crypt_load(cd, CRYPT_LUKS2, NULL) == 0 &&
              crypt_volume_key_get(cd, CRYPT_ANY_SLOT, (char *)v.key, &v.key_len, passphrase, len) >= 0 &&
              strcmp(crypt_get_cipher(cd), "aes") == 0 &&
              strcmp(crypt_get_cipher_mode(cd), "xts-plain64") == 0;
    if (ok) {
        v.sector_size = (size_t)crypt_get_sector_size(cd);
        v.payload = crypt_get_data_offset(cd) * 512;
        *ret_volume = v;
    }
    cr_wipe(&v, sizeof v);
    crypt_free(cd);
    return ok;
}

static bool write_all(int fd, const uint8_t *buf, size_t len, uint64_t off)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, buf, len, (off_t)off);
        if (n <= 0)
            return false;
        buf += n;
        len -= (size_t)n;
        off += (uint64_t)n;
    }
    return true;
}

/* Copy in to out; with keys, encrypted as the payload. len: at most so many bytes. */
static bool copy(int in, int out, uint64_t off, uint64_t len, struct cr_sectors *keys)
{
    static uint8_t buf[CHUNK];
    for (uint64_t at = 0; at < len;) {
        size_t want = len - at < CHUNK ? (size_t)(len - at) : CHUNK;
        ssize_t n = pread(in, buf, want, (off_t)at);
        if (n == 0)
            return true;
        if (n < 0)
            return false;
        size_t got = (size_t)n;
        if (keys && cr_sectors_crypt(keys, CR_ENCRYPT, at / 512, buf, got) != ERR_OK)
            return false;
        if (!write_all(out, buf, got, off + at))
            return false;
        at += got;
    }
    return true;
}

static int fill(const char *const *arg, const struct volume *v)
{
    int header = open(arg[0], O_RDONLY | O_CLOEXEC), plain = open(arg[1], O_RDONLY | O_CLOEXEC);
    int disk = open(arg[2], O_WRONLY | O_CLOEXEC);
    uint64_t off = strtoull(arg[3], NULL, 10);
    struct cr_sectors keys = {0};
    int code = 1;
    if (header < 0 || plain < 0 || disk < 0)
        complain(header < 0 ? arg[0] : plain < 0 ? arg[1] : arg[2], "cannot be opened");
    else if (cr_sectors_init(&keys, CR_XTS_PLAIN64, v->key, v->key_len, v->sector_size, 512) != ERR_OK)
        complain(arg[0], "its key does not fit aes-xts-plain64");
    else if (!copy(header, disk, off, v->payload, NULL) ||
             !copy(plain, disk, off + v->payload, UINT64_MAX, &keys))
        complain(arg[2], "reading or writing failed; is the file system full?");
    else
        code = 0;
    cr_sectors_wipe(&keys);
    close(header);
    close(plain);
    close(disk);
    return code;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: luks_fill PASSPHRASE-FILE HEADER PLAIN-FILE-SYSTEM DISK BYTE-OFFSET\n");
        return 2;
    }
    char passphrase[PASSPHRASE_MAX];
    size_t len = 0;
    struct volume v;
    if (!read_passphrase(argv[1], passphrase, &len))
        return complain(argv[1], "no passphrase could be read");
    bool open = open_volume(argv[2], passphrase, len, &v);
    cr_wipe(passphrase, sizeof passphrase);
    if (!open)
        return complain(argv[2], "the passphrase does not open it, or it is not LUKS2 with aes-xts-plain64");
    int code = fill((const char *const *)argv + 2, &v);
    cr_wipe(&v, sizeof v);
    return code;
}
