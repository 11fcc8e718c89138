/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HELD 4096 /* PIPE_BUF: what a pipe takes as one piece. source: pipe(7) */

static const char *process_name = "server";
static struct {
    bool holds;
    size_t len;
    char text[HELD];
} held;

void slog_open(const char *name)
{
    process_name = name;
}

/* Is standard error the journal? Then a number in front of a line is its priority.
 * source: systemd.exec(5), $JOURNAL_STREAM; sd-daemon(3) */
static bool is_journal(void)
{
    unsigned long long dev, ino;
    struct stat st;
    const char *text = getenv("JOURNAL_STREAM");
    return text != NULL && sscanf(text, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}

static const char *priority(enum slog_level level)
{
    static int journal = -1;
    if (journal < 0)
        journal = is_journal();
    if (!journal)
        return "";
    return level == SLOG_ERROR ? "<3>" : level == SLOG_WARN ? "<4>" : "<6>";
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

static void put(const char *text, size_t len)
{
    ssize_t n = write(STDERR_FILENO, text, len);
    (void)n; /* there is no other place to complain */
}

void slog_flush(void)
{
    if (held.len > 0)
        put(held.text, held.len);
    held.len = 0;
}

void slog_hold(void)
{
    held.holds = true;
}

/* One write for a whole line, so that lines of several processes never mix. */
static void put_line(enum slog_level level, char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    bool waits = held.holds && level == SLOG_INFO;
    if (!waits || len > HELD - held.len)
        slog_flush();
    if (!waits)
        return put(line, len);
    memcpy(held.text + held.len, line, len);
    held.len += len;
}

void slog(enum slog_level level, const char *event, const char *fmt, ...)
{
    char line[SLOG_LINE];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int head =
        snprintf(line, sizeof line - 1, "%stime=%lld.%03ld level=%s process=%s event=%s ", priority(level),
                 (long long)now.tv_sec, now.tv_nsec / 1000000, level_name(level), process_name, event);
    if (head < 0)
        return;
    va_list ap;
    va_start(ap, fmt);
    int body = vsnprintf(line + head, sizeof line - 1 - (size_t)head, fmt, ap);
    va_end(ap);
    size_t len = (size_t)head + (body > 0 ? (size_t)body : 0);
    put_line(level, line, len < sizeof line - 2 ? len : sizeof line - 2);
}
