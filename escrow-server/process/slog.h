#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One structured line per event on standard error: time, level, process, event, then key=value. Nothing
 * secret is ever given to it; control characters that came from outside are replaced. */

#define SLOG_LINE 1024

enum slog_level { SLOG_INFO = 1, SLOG_WARN, SLOG_ERROR };

/* name: of this process ("web"), kept */
void slog_open(const char *name);
/* fmt makes the key=value part. */
void slog(enum slog_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
