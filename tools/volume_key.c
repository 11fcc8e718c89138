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
    static const char *const names[] = {"",          "recovery password", "passphrase", "startup key",
                                        "clear key", "key file"};
    return (unsigned)way < sizeof names / sizeof *names ? names[way] : "";
}

static enum err load_recovery_password(const char *path, struct secret *ret, unsigned *ret_group)
{
    SECRET(text);
    TRY(secret_from_file(path, &text));
    enum err err = rp_decode_file((const char *)text.bytes, text.len, ret, ret_group);
    return err == ERR_FORMAT || err == ERR_RANGE ? ERR_AUTH : err;
}

size_t volume_key_max(enum volume_way way)
{
    static const size_t max[] = {0, SECRET_MAX, SECRET_MAX, BITLOCKER_BEK_MAX, 0, VOLUME_KEY_FILE_MAX};
    return (unsigned)way < sizeof max / sizeof *max ? max[way] : 0;
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
            return ERR_OK;
        }
    }
}

static enum err load_file(const char *path, struct volume_key *ret)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_from_errno(errno);
    ret->file_cap = volume_key_max(ret->way) + 2; /* a newline, and one more to notice what is too long */
    ret->file = malloc(ret->file_cap);
    enum err err = ret->file ? read_to_end(fd, ret->file, ret->file_cap, &ret->file_len) : ERR_NOMEM;
    (void)close(fd);
    return err;
}

static enum err load_exactly(const char *path, struct volume_key *ret)
{
    TRY(load_file(path, ret));
    if (ret->file_len > volume_key_max(ret->way))
        return ERR_RANGE;
    return ret->file_len || ret->way == VOLUME_KEY_FILE ? ERR_OK : ERR_FORMAT;
}

/* The empty passphrase is a line without anything; a file without anything is rather a mistake. */
static enum err load_passphrase(const char *path, struct volume_key *ret)
{
    TRY(load_file(path, ret));
    size_t len = ret->file_len;
    if (len == 0)
        return ERR_FORMAT;
    len -= ret->file[len - 1] == '\n';
    if (len > SECRET_MAX)
        return ERR_RANGE;
    memcpy(ret->secret.bytes, ret->file, len);
    ret->secret.len = len;
    return ERR_OK;
}

enum err volume_key_load(enum volume_way way, const char *path, struct volume_key *ret, unsigned *ret_group)
{
    *ret = (struct volume_key){.way = way, .path = path};
    switch (way) {
    case VOLUME_RECOVERY_PASSWORD:
        return load_recovery_password(path, &ret->secret, ret_group);
    case VOLUME_PASSPHRASE:
        return load_passphrase(path, ret);
    case VOLUME_STARTUP_KEY:
    case VOLUME_KEY_FILE:
        return load_exactly(path, ret);
    case VOLUME_CLEAR_KEY:
        return ERR_OK;
    }
    return ERR_INTERNAL;
}

void volume_key_wipe(struct volume_key *key)
{
    secret_wipe(&key->secret);
    if (key->file)
        cr_wipe(key->file, key->file_cap);
    free(key->file);
    key->file = NULL;
    key->file_len = 0;
}
