/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_volume_progress.h"
#include "tools/desk_volume_text.h"
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUIET_MS 500
#define BAR_MAX  40
#define TEXT_LEN 52 /* what stands beside the bar, at its longest */

static uint64_t elapsed_ms(const struct desk_progress *p)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (int64_t)(now.tv_sec - p->begin.tv_sec) * 1000 + (now.tv_nsec - p->begin.tv_nsec) / 1000000;
    return ms > 0 ? (uint64_t)ms : 0;
}

void desk_progress_begin(uint64_t total, struct desk_progress *ret)
{
    *ret = (struct desk_progress){.total = total, .terminal = isatty(STDERR_FILENO)};
    clock_gettime(CLOCK_MONOTONIC, &ret->begin);
}

static unsigned bar_width(void)
{
    struct winsize w;
    unsigned columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
    unsigned room = columns > TEXT_LEN ? columns - TEXT_LEN : 0;
    return room > BAR_MAX ? BAR_MAX : room;
}

/* "2 min 5 s left", "" when it cannot be told yet. */
static void time_left(const struct desk_progress *p, uint64_t done, uint64_t ms, char *ret, size_t cap)
{
    ret[0] = 0;
    if (done == 0)
        return;
    uint64_t s = (uint64_t)((double)ms * (double)(p->total - done) / (double)done / 1000) + 1;
    if (s >= 3600)
        snprintf(ret, cap, "%llu h %llu min left", (unsigned long long)(s / 3600),
                 (unsigned long long)(s / 60 % 60));
    else if (s >= 60)
        snprintf(ret, cap, "%llu min left", (unsigned long long)((s + 59) / 60));
    else
        snprintf(ret, cap, "%llu s left", (unsigned long long)s);
}

void desk_progress_draw(struct desk_progress *p, uint64_t done)
{
    uint64_t ms = elapsed_ms(p);
    if (!p->terminal || p->total == 0 || (!p->shown && ms < QUIET_MS))
        return;
    char line[256], left[48], rate[SIZE_TEXT], total[SIZE_TEXT];
    unsigned width = bar_width(), full = (unsigned)((double)done / (double)p->total * width);
    int n = snprintf(line, sizeof line, "\r\x1b[K");
    for (unsigned i = 0; i < width; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s", i < full ? "█" : "░");
    desk_text_size(ms ? (uint64_t)((double)done * 1000 / (double)ms) : 0, rate);
    desk_text_size(p->total, total);
    time_left(p, done, ms, left, sizeof left);
    /* one write: a bar in pieces flickers */
    fprintf(stderr, "%s %3u %% of %s  %s/s  %s", line, (unsigned)((double)done * 100 / (double)p->total),
            total, rate, left);
    p->shown = true;
}

void desk_progress_sync(struct desk_progress *p)
{
    if (p->shown)
        fputs("\r\x1b[Kdecrypted, waiting for the disk", stderr);
}

void desk_progress_end(struct desk_progress *p)
{
    if (p->shown)
        fputs("\r\x1b[K", stderr);
    p->shown = false;
}
