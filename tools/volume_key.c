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

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Take away what Windows puts before text: the mark of UTF-8 (Notepad), or that of UTF-16, with a zero behind
 * each character that a recovery password can have (PowerShell's redirection). */
static void narrow(struct secret *text)
{
    static const uint8_t utf8[] = {0xef, 0xbb, 0xbf}, utf16[] = {0xff, 0xfe};
    size_t skip = text->len >= sizeof utf8 && memcmp(text->bytes, utf8, sizeof utf8) == 0 ? sizeof utf8 : 0;
    bool wide = text->len >= sizeof utf16 && memcmp(text->bytes, utf16, sizeof utf16) == 0;
    size_t n = 0;
    for (size_t i = wide ? sizeof utf16 : skip; i < text->len; i++)
        if (!wide || i % 2 == 0 || text->bytes[i] != 0)
            text->bytes[n++] = text->bytes[i];
    text->len = n;
}

/* A recovery password alone on its line, as an editor on any system leaves it. */
static enum err load_recovery_password(const char *path, struct secret *ret, unsigned *ret_group)
{
    SECRET(text);
    size_t begin = 0;
    TRY(secret_from_file(path, &text));
    narrow(&text);
    while (begin < text.len && is_space(text.bytes[begin]))
        begin++;
    while (text.len > begin && is_space(text.bytes[text.len - 1]))
        text.len--;
    enum err err = rp_decode((const char *)text.bytes + begin, text.len - begin, ret, ret_group);
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
