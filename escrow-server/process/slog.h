#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One structured line per event on standard error: time, level, process, event, then key=value. Nothing
 * secret is ever given to it; control characters that came from outside are replaced. */

#define SLOG_LINE 1024

enum slog_level { SLOG_INFO = 1, SLOG_WARN, SLOG_ERROR };

/* name: of this process ("web"), kept */
void slog_open(const char *name);
/* From now on what is only told waits for slog_flush(), or for a warning or an error: a process that answers
 * many in one turn of its loop flushes once in a turn. What a crash takes along is of that turn. */
void slog_hold(void);
void slog_flush(void);
/* fmt makes the key=value part. */
void slog(enum slog_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
