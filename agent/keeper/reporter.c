/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/reporter.h"
#include "agent/keeper/tpm_back.h"
#include "agent/report/report.h"
#include "agent/sync/enrollment.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define QUIET_MS 5000  /* devices come in groups */
#define AGAIN_MS 60000 /* between two looks because of changes: containers mount and unmount all day */

static void set_timer(struct reporter *r, int64_t ms)
{
    const struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 + 1}};
    (void)timerfd_settime(r->timer_fd, 0, &when, NULL);
}

enum err reporter_open(struct reporter *r, const struct agent *a)
{
    char path[PATH_MAX];
    r->last_ms = -1;
    r->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    r->dev_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (r->timer_fd < 0 || r->dev_fd < 0)
        return err_from_errno(errno);
    TRY(file_join(a->root, "/dev", path, sizeof path));
    (void)inotify_add_watch(r->dev_fd, path, IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_ONLYDIR);
    TRY(file_join(a->root, "/proc/self/mountinfo", path, sizeof path));
    r->mount_fd = open(path, O_RDONLY | O_CLOEXEC); /* none: then devices and the day must do */
    set_timer(r, r->start_ms);
    return ERR_OK;
}

void reporter_close(struct reporter *r)
{
    int *const fd[] = {&r->timer_fd, &r->dev_fd, &r->mount_fd};
    for (int i = 0; i < REPORTER_FDS; i++) {
        if (*fd[i] >= 0)
            close(*fd[i]);
        *fd[i] = -1;
    }
}

void reporter_poll(const struct reporter *r, struct pollfd ret[static REPORTER_FDS])
{
    ret[0] = (struct pollfd){.fd = r->timer_fd, .events = POLLIN};
    ret[1] = (struct pollfd){.fd = r->dev_fd, .events = POLLIN};
    ret[2] = (struct pollfd){.fd = r->mount_fd, .events = POLLPRI}; /* readable it always is */
}

void reporter_soon(struct reporter *r, int64_t now_ms)
{
    int64_t wait = r->last_ms + AGAIN_MS - now_ms;
    if (r->soon || r->last_ms < 0) /* the first look of all comes anyway */
        return;
    r->soon = true;
    set_timer(r, wait > QUIET_MS ? wait : QUIET_MS);
}

/* What it says does not matter. */
static void drain(int fd)
{
    _Alignas(struct inotify_event) char buf[4096];
    while (read(fd, buf, sizeof buf) > 0)
        ;
}

static void look(struct reporter *r, struct agent *a)
{
    bool made = false;
    if (!enrollment_done(a))
        return; /* nobody to report to */
    enum err e = report_update(a, &made);
    if (e != ERR_OK)
        agent_say(a, "the report cannot be made: %s; it is tried again", err_text(e));
    if (made && r->made)
        r->made(r->ctx);
}

void reporter_run(struct reporter *r, struct agent *a, const struct pollfd p[static REPORTER_FDS],
                  int64_t now_ms)
{
    if (p[1].revents)
        drain(r->dev_fd);
    if (p[1].revents || p[2].revents)
        reporter_soon(r, now_ms);
    if (!p[0].revents)
        return;
    drain(r->timer_fd);
    r->last_ms = now_ms;
    r->soon = false;
    set_timer(r, REPORTER_DAY_MS);
    tpm_back_look(a); /* its device node may be what appeared */
    look(r, a);
}
