/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/slog.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *process_name = "server";

void slog_open(const char *name)
{
    process_name = name;
}

static const char *level_name(enum slog_level level)
{
    switch (level) {
    case SLOG_INFO:
        return "info";
    case SLOG_WARN:
        return "warn";
    case SLOG_ERROR:
        return "error";
    }
    return "error";
}

/* One write, so that lines of several processes never mix. */
static void put_line(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    ssize_t n = write(STDERR_FILENO, line, len);
    (void)n; /* there is no other place to complain */
}

void slog(enum slog_level level, const char *event, const char *fmt, ...)
{
    char line[SLOG_LINE];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int head = snprintf(line, sizeof line - 1, "time=%lld.%03ld level=%s process=%s event=%s ",
                        (long long)now.tv_sec, now.tv_nsec / 1000000, level_name(level), process_name, event);
    if (head < 0)
        return;
    va_list ap;
    va_start(ap, fmt);
    int body = vsnprintf(line + head, sizeof line - 1 - (size_t)head, fmt, ap);
    va_end(ap);
    size_t len = (size_t)head + (body > 0 ? (size_t)body : 0);
    put_line(line, len < sizeof line - 2 ? len : sizeof line - 2);
}
