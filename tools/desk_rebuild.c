/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_rebuild.h"
#include "tools/volume_out.h"
#include <errno.h>
#include <libcryptsetup.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH  (1u << 20)
#define SECTOR 512

enum err desk_rebuild_copy(int fd, uint64_t size, struct volume_out *out)
{
    uint8_t *buf = malloc(BATCH);
    enum err e = buf ? ERR_OK : ERR_NOMEM;
    for (uint64_t at = 0; e == ERR_OK && at < size;) {
        size_t want = size - at < BATCH ? (size_t)(size - at) : BATCH;
        ssize_t n = pread(fd, buf, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            e = ERR_IO;
        else
            e = volume_out_write(out, at, buf, (size_t)n);
        at += n > 0 ? (uint64_t)n : 0;
    }
    free(buf);
    return e;
}

static void quiet(int level, const char *msg, void *usr)
{
    (void)level;
    (void)msg;
    (void)usr;
}

static const char *hash_name(uint8_t hash)
{
    return hash == CR_SHA1 ? "sha1" : hash == CR_SHA512 ? "sha512" : "sha256";
}

/* "aes-xts-plain64" is cipher and mode. err: UNSUPPORTED */
static enum err split(const char *both, char cipher[static KEY_PACKAGE_CIPHER + 1], const char **ret_mode)
{
    const char *dash = strchr(both, '-');
    if (!dash || dash == both || !dash[1])
        return ERR_UNSUPPORTED;
    memcpy(cipher, both, (size_t)(dash - both));
    cipher[dash - both] = 0;
    *ret_mode = dash + 1;
    return ERR_OK;
}

static int format(struct crypt_device *cd, const struct guid *volume, const struct key_package *p,
                  const char *cipher, const char *mode)
{
    char uuid[GUID_TEXT];
    const struct crypt_pbkdf_type digest = {.type = CRYPT_KDF_PBKDF2,
                                            .hash = hash_name(p->digest_hash),
                                            .iterations = p->digest_iterations,
                                            .flags = CRYPT_PBKDF_NO_BENCHMARK};
    struct crypt_params_luks2 more = {.pbkdf = &digest,
                                      .sector_size = p->sector_size,
                                      .label = p->label[0] ? p->label : NULL,
                                      .subsystem = p->subsystem[0] ? p->subsystem : NULL};
    guid_encode_lower(volume, uuid);
    int r = crypt_set_data_offset(cd, p->offset / SECTOR);
    if (r >= 0)
        r = crypt_set_metadata_size(cd, p->hdr_size, p->keyslots_size);
    if (r >= 0)
        r = crypt_format(cd, CRYPT_LUKS2, cipher, mode, uuid, (const char *)p->volume_key.bytes,
                         p->volume_key.len, &more);
    return r;
}

/* People's passphrases want what cryptsetup gives them by default, not what the digest had. */
static int add_keyslot(struct crypt_device *cd, const struct key_package *p, const struct secret *passphrase)
{
    int r = crypt_set_pbkdf_type(cd, crypt_get_pbkdf_default(CRYPT_LUKS2));
    if (r >= 0)
        r = crypt_keyslot_add_by_volume_key(cd, 0, (const char *)p->volume_key.bytes, p->volume_key.len,
                                            (const char *)passphrase->bytes, passphrase->len);
    return r;
}

static bool opens(const char *path, const struct secret *passphrase)
{
    struct crypt_device *cd = NULL;
    bool good =
        crypt_init(&cd, path) >= 0 && crypt_load(cd, CRYPT_LUKS2, NULL) >= 0 &&
        crypt_activate_by_passphrase(cd, NULL, 0, (const char *)passphrase->bytes, passphrase->len, 0) == 0;
    crypt_free(cd);
    return good;
}

static enum err fail(int r, const char *what, const char **ret_what)
{
    *ret_what = what;
    return r == -ENOMEM ? ERR_NOMEM : r == -EINVAL || r == -ENOTSUP ? ERR_UNSUPPORTED : ERR_IO;
}

enum err desk_rebuild_header(const char *path, const struct guid *volume, const struct key_package *p,
                             const struct secret *passphrase, const char **ret_what)
{
    struct crypt_device *cd = NULL;
    char cipher[KEY_PACKAGE_CIPHER + 1];
    const char *mode, *what = "the package names a cipher that is none";
    TRY(split(p->cipher, cipher, &mode) == ERR_OK ? ERR_OK : (*ret_what = what, ERR_UNSUPPORTED));
    crypt_set_log_callback(NULL, quiet, NULL);
    int r = crypt_init(&cd, path);
    what = "the copy cannot be opened by libcryptsetup";
    if (r >= 0) {
        what = "libcryptsetup does not make a header with these parameters";
        r = format(cd, volume, p, cipher, mode);
    }
    if (r >= 0) {
        what = "no keyslot could be added to the new header";
        r = add_keyslot(cd, p, passphrase);
    }
    crypt_free(cd);
    if (r < 0)
        return fail(r, what, ret_what);
    if (opens(path, passphrase))
        return ERR_OK;
    *ret_what = "the new header does not open";
    return ERR_AUTH;
}
