/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/disk_cryptsetup.h"
#include "agent/device/device_io.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define AREA_CIPHER "aes-xts-plain64"

/* The keeper is one thread, and libcryptsetup's log call-back has no way to say for which context. */
static char last_message[160];

/* libcryptsetup prints to stderr unless told otherwise; what it says belongs into our sentence. */
static void keep_message(int level, const char *msg, void *usr)
{
    (void)usr;
    if (level != CRYPT_LOG_ERROR && level != CRYPT_LOG_NORMAL)
        return;
    size_t len = strcspn(msg, "\n");
    if (len >= sizeof last_message)
        len = sizeof last_message - 1;
    memcpy(last_message, msg, len);
    last_message[len] = 0;
}

static const char *reason(void)
{
    return last_message;
}

static enum err err_from_crypt(int r)
{
    switch (-r) {
    case EPERM:
        return ERR_AUTH;
    case ENOENT:
    case ENODEV:
        return ERR_NOT_FOUND;
    case EACCES:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
        return ERR_FULL;
    case ENOMEM:
        return ERR_NOMEM;
    case EBUSY:
        return ERR_BUSY;
    case ENOTSUP:
        return ERR_UNSUPPORTED;
    case EINVAL:
        return ERR_FORMAT;
    default:
        return ERR_IO;
    }
}

/* The one place where libcryptsetup's results become ours. Where it said nothing, errno is the reason. */
static enum err done(int r)
{
    if (r >= 0)
        return ERR_OK;
    if (!last_message[0])
        (void)snprintf(last_message, sizeof last_message, "%s", strerror(-r));
    return err_from_crypt(r);
}

static void begin(void)
{
    last_message[0] = 0;
}

static enum err refuse(enum err e, const char *what, const char *why)
{
    (void)snprintf(last_message, sizeof last_message, "%s%s", what, why);
    return e;
}

static enum err open_fd(struct disk *d)
{
    struct stat s;
    d->fd = open(d->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (d->fd < 0) {
        int why = errno;
        return refuse(err_from_errno(why), "it cannot be opened: ", strerror(why));
    }
    if (fstat(d->fd, &s) < 0 || !(S_ISREG(s.st_mode) || S_ISBLK(s.st_mode)))
        return refuse(ERR_UNSUPPORTED, "it is neither a block device nor an image file", "");
    return ERR_OK;
}

static void disk_close(struct disk *d)
{
    if (!d)
        return;
    crypt_free(d->cd);
    if (d->fd >= 0)
        (void)close(d->fd);
    free(d);
}

static enum err disk_open(const char *path, struct disk **ret)
{
    begin();
    if (strlen(path) >= PATH_MAX)
        return refuse(ERR_RANGE, "its path is too long", "");
    struct disk *d = calloc(1, sizeof *d);
    if (!d)
        return refuse(ERR_NOMEM, "not enough memory", "");
    strcpy(d->path, path);
    enum err e = open_fd(d);
    if (e != ERR_OK) {
        disk_close(d);
        return e;
    }
    *ret = d;
    return ERR_OK;
}

static enum err disk_read(struct disk *d, uint64_t off, void *buf, size_t len)
{
    return device_read(d->fd, off, buf, len);
}

static enum err disk_load(struct disk *d)
{
    crypt_free(d->cd);
    d->cd = NULL;
    begin();
    crypt_set_log_callback(NULL, keep_message, NULL);
    /* a token type must never make root's process load a library of that name */
    crypt_token_external_disable();
    int r = crypt_init(&d->cd, d->path);
    if (r >= 0) {
        crypt_set_log_callback(d->cd, keep_message, NULL);
        r = crypt_load(d->cd, CRYPT_LUKS2, NULL);
    }
    return done(r);
}

static enum err disk_sizes(struct disk *d, struct disk_sizes *ret)
{
    uint64_t metadata, keyslots;
    begin();
    TRY(done(crypt_get_metadata_size(d->cd, &metadata, &keyslots)));
    *ret = (struct disk_sizes){metadata, keyslots, (size_t)crypt_get_volume_key_size(d->cd)};
    return ERR_OK;
}

static enum err disk_token(struct disk *d, int token, const char **ret)
{
    begin();
    return done(crypt_token_json_get(d->cd, token, ret));
}

static enum err disk_unlock(struct disk *d, int slot, const struct secret *passphrase,
                            struct secret *ret_volume_key, int *ret_slot)
{
    SECRET(key);
    size_t len = sizeof key.bytes;
    begin();
    /* An Argon2 keyslot takes up to 1 GiB for a moment. Locking that much fails under a limit, so future
     * memory is not locked meanwhile; what there is stays locked. */
    (void)mlockall(MCL_CURRENT);
    int r = crypt_volume_key_get(d->cd, slot, (char *)key.bytes, &len, (const char *)passphrase->bytes,
                                 passphrase->len);
    enum err e = process_harden(true);
    if (e != ERR_OK)
        return refuse(e, "memory cannot be locked: ", err_text(e));
    if (r == -ENOENT) /* no keyslot at all: nothing that it opens */
        r = -EPERM;
    TRY(done(r));
    key.len = len;
    *ret_volume_key = key;
    *ret_slot = r;
    return ERR_OK;
}

static enum err disk_try_slot(struct disk *d, unsigned slot, const struct secret *passphrase)
{
    begin();
    return done(crypt_activate_by_passphrase(d->cd, NULL, (int)slot, (const char *)passphrase->bytes,
                                             passphrase->len, 0));
}

static enum err disk_check_volume_key(struct disk *d, const struct secret *volume_key)
{
    begin();
    return done(crypt_volume_key_verify(d->cd, (const char *)volume_key->bytes, volume_key->len));
}

static enum err disk_add_slot(struct disk *d, unsigned slot, uint32_t count, const struct secret *volume_key,
                              const struct secret *passphrase)
{
    const struct crypt_pbkdf_type kdf = {
        .type = CRYPT_KDF_PBKDF2, .hash = "sha256", .iterations = count, .flags = CRYPT_PBKDF_NO_BENCHMARK};
    begin();
    int r = crypt_set_pbkdf_type(d->cd, &kdf);
    if (r >= 0)
        r = crypt_keyslot_set_encryption(d->cd, AREA_CIPHER, DISK_AREA_KEY);
    if (r >= 0)
        r = crypt_keyslot_add_by_volume_key(d->cd, (int)slot, (const char *)volume_key->bytes,
                                            volume_key->len, (const char *)passphrase->bytes,
                                            passphrase->len);
    return done(r);
}

static enum err disk_destroy_slot(struct disk *d, unsigned slot)
{
    begin();
    return done(crypt_keyslot_destroy(d->cd, (int)slot));
}

static enum err disk_put_token(struct disk *d, int token, const char *json, int *ret_token)
{
    begin();
    int r = crypt_token_json_set(d->cd, token == DISK_TOKEN_NEW ? CRYPT_ANY_TOKEN : token, json);
    TRY(done(r));
    *ret_token = r;
    return ERR_OK;
}

const struct disk_ops disk_ops = {
    .open = disk_open,
    .close = disk_close,
    .read = disk_read,
    .load = disk_load,
    .wait_lock = disk_wait_lock,
    .find_writer = disk_find_writer,
    .sizes = disk_sizes,
    .token = disk_token,
    .unlock = disk_unlock,
    .try_slot = disk_try_slot,
    .check_volume_key = disk_check_volume_key,
    .add_slot = disk_add_slot,
    .destroy_slot = disk_destroy_slot,
    .put_token = disk_put_token,
    .reason = reason,
};
