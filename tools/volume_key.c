/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume_key.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "formats/bitlocker.h"
#include "formats/recovery_password.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *volume_way_name(enum volume_way way)
{
    static const char *const names[] = {"", "recovery password", "passphrase", "startup key", "clear key"};
    return (unsigned)way < sizeof names / sizeof *names ? names[way] : "";
}

static enum err load_recovery_password(const char *path, struct secret *ret, unsigned *ret_group)
{
    SECRET(text);
    TRY(secret_from_file(path, &text));
    enum err err = rp_decode_file((const char *)text.bytes, text.len, ret, ret_group);
    return err == ERR_FORMAT || err == ERR_RANGE ? ERR_AUTH : err;
}

static enum err read_to_end(int fd, uint8_t *buf, size_t cap, size_t *ret_len)
{
    for (size_t len = 0;;) {
        ssize_t n = read(fd, buf + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        len += (size_t)n;
        if (len == cap)
            return ERR_RANGE;
        if (n == 0) {
            *ret_len = len;
            return len ? ERR_OK : ERR_FORMAT;
        }
    }
}

static enum err load_startup_key(const char *path, struct volume_key *ret)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_from_errno(errno);
    ret->file = malloc(BITLOCKER_BEK_MAX + 1); /* one more to notice what is too long */
    enum err err = ret->file ? read_to_end(fd, ret->file, BITLOCKER_BEK_MAX + 1, &ret->file_len) : ERR_NOMEM;
    (void)close(fd);
    return err;
}

enum err volume_key_load(enum volume_way way, const char *path, struct volume_key *ret, unsigned *ret_group)
{
    *ret = (struct volume_key){.way = way, .path = path};
    switch (way) {
    case VOLUME_RECOVERY_PASSWORD:
        return load_recovery_password(path, &ret->secret, ret_group);
    case VOLUME_PASSPHRASE:
        return secret_from_file(path, &ret->secret);
    case VOLUME_STARTUP_KEY:
        return load_startup_key(path, ret);
    case VOLUME_CLEAR_KEY:
        return ERR_OK;
    }
    return ERR_INTERNAL;
}

void volume_key_wipe(struct volume_key *key)
{
    secret_wipe(&key->secret);
    if (key->file)
        cr_wipe(key->file, BITLOCKER_BEK_MAX + 1);
    free(key->file);
    key->file = NULL;
    key->file_len = 0;
}
