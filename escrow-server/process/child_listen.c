/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/child.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"

enum err child_listen(child_take *take, void *ctx)
{
    enum control_what what;
    int fd;
    for (;;) {
        enum err e = control_receive(CONTROL_FD, &what, &fd);
        if (e == ERR_NOT_FOUND)
            return ERR_OK;
        if (e != ERR_OK)
            return ERR_OFFLINE;
        if (fd < 0)
            continue;
        if (what == CONTROL_COUNTERS) {
            if (metrics_attach(fd) != ERR_OK)
                slog(SLOG_WARN, "start", "warning=\"nothing is counted\"");
            fd = -1;
        }
        take(ctx, what, fd);
    }
}
