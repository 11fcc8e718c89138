/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/passphrase.h"
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static enum err read_line(int fd, struct secret *ret)
{
    SECRET(line);
    for (;;) {
        uint8_t c;
        ssize_t n = read(fd, &c, 1);
        if (n < 0)
            return ERR_IO;
        if (n == 0 || c == '\n')
            break;
        if (line.len == sizeof line.bytes)
            return ERR_RANGE;
        line.bytes[line.len++] = c;
    }
    if (line.len == 0)
        return ERR_FORMAT;
    *ret = line;
    return ERR_OK;
}

enum err passphrase_ask(const char *prompt, struct secret *ret)
{
    struct termios was, quiet;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return ERR_NOT_FOUND;
    enum err e = ERR_IO;
    if (tcgetattr(fd, &was) == 0) {
        quiet = was;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        /* the prompt comes last: what is typed at once after it must neither be seen nor thrown away */
        if (tcsetattr(fd, TCSAFLUSH, &quiet) == 0) {
            if (write(fd, prompt, strlen(prompt)) >= 0)
                e = read_line(fd, ret);
            (void)tcsetattr(fd, TCSAFLUSH, &was);
            (void)!write(fd, "\n", 1);
        }
    }
    close(fd);
    return e;
}
