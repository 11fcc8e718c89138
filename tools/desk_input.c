/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_input.h"
#include "crypto/host/file.h"
#include "formats/qr_text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 8192 /* a QR text with generous white space */
#define FILE_MAX 16384

static enum err read_to_end(int fd, uint8_t *ret, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, ret + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        len += (size_t)n;
        if (n == 0)
            break;
        if (len == cap)
            return ERR_FORMAT;
    }
    *ret_len = len;
    return ERR_OK;
}

static enum err read_input(const char *path, uint8_t *ret, size_t cap, size_t *ret_len)
{
    if (strcmp(path, "-") == 0)
        return read_to_end(STDIN_FILENO, ret, cap, ret_len);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = read_to_end(fd, ret, cap, ret_len);
    close(fd);
    return err;
}

enum err desk_input_envelope(const char *path, bool qr, uint8_t ret[static ENVELOPE_MAX], size_t *ret_len)
{
    uint8_t in[TEXT_MAX];
    size_t len = 0;
    TRY(read_input(path, in, sizeof in, &len));
    if (qr) {
        enum err err = qr_text_decode((const char *)in, len, ret, ENVELOPE_MAX, ret_len);
        return err == ERR_FULL ? ERR_FORMAT : err;
    }
    if (len > ENVELOPE_MAX)
        return ERR_FORMAT;
    memcpy(ret, in, len);
    *ret_len = len;
    return ERR_OK;
}

enum err desk_input_file(const char *path, uint8_t **ret, size_t *ret_len)
{
    return file_read(path, FILE_MAX, ret, ret_len);
}

void desk_input_free(uint8_t *p, size_t len)
{
    if (p)
        cr_wipe(p, len);
    free(p);
}
