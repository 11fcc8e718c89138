/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/used_wait.h"
#include "agent/keeper/keeper_loop.h"
#include "crypto/host/file.h"
#include "crypto/host/monotonic.h"
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

static void lose_courier(struct keeper *k)
{
    channel_close(&k->courier);
    courier_gone(k);
}

/* One message a turn: whatever the courier sends, commands and signals come in between. */
static void read_courier(struct keeper *k)
{
    struct msg m;
    enum err filled = channel_has_message(&k->courier) ? ERR_OK : channel_fill(&k->courier);
    enum err e = channel_next(&k->courier, &m);
    if (e == ERR_NOT_FOUND ? filled != ERR_OK : e != ERR_OK || courier_message(k, &m) != ERR_OK)
        lose_courier(k);
}

static void accept_courier(struct keeper *k)
{
    struct channel ch;
    uid_t uid;
    if (channel_accept(k->courier_fd, &ch, &uid) != ERR_OK)
        return;
    if (uid != 0 && uid != geteuid() && uid != k->courier_uid) {
        channel_close(&ch);
        return;
    }
    if (channel_is_open(&k->courier)) /* the newer one: the older may hang */
        lose_courier(k);
    k->courier = ch;
    clients_courier_came(k);
}

/* The sooner of two waits; -1 is for ever. */
static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* retry_ms: when a used password wants another try */
static int wait_ms(const struct keeper *k, int64_t retry_ms)
{
    int64_t now = monotonic_ms(), least = sooner(retry_ms, chores_wait_ms(&k->chores, now));
    return (int)sooner(least, clients_wait_ms(k, now));
}

static void handle_events(struct keeper *k, const struct pollfd *p)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++)
        clients_events(k, i, p[4 + i].revents);
    if (p[1].revents)
        clients_accept(k);
    if (p[3].revents & POLLOUT && channel_flush(&k->courier) != ERR_OK)
        lose_courier(k);
    if ((p[3].revents & (POLLIN | POLLHUP | POLLERR) || channel_has_message(&k->courier)) &&
        channel_is_open(&k->courier))
        read_courier(k);
    if (p[2].revents)
        accept_courier(k);
}

/* Where the reporter's descriptors begin among those that are waited for. */
#define REPORTS (4 + KEEPER_CLIENTS + CHORES_FDS)

enum err keeper_serve(struct keeper *k)
{
    (void)malloc_trim(0); /* of the start */
    for (;;) {
        int chore[CHORES_FDS];
        int64_t retry_ms = used_wait_retry(&k->agent, false); /* before the chores: it may make some */
        chores_run(&k->chores, &k->agent, monotonic_ms());
        chores_fds(&k->chores, chore);
        struct pollfd p[REPORTS + REPORTER_FDS] = {
            {.fd = k->signal_fd, .events = POLLIN},
            {.fd = k->command_fd, .events = POLLIN},
            {.fd = k->courier_fd, .events = POLLIN},
            {.fd = k->courier.fd, .events = channel_events(&k->courier)}};
        for (int i = 0; i < KEEPER_CLIENTS; i++)
            p[4 + i] = (struct pollfd){.fd = k->client[i].channel.fd,
                                       .events = channel_events(&k->client[i].channel)};
        for (int i = 0; i < CHORES_FDS; i++)
            p[4 + KEEPER_CLIENTS + i] = (struct pollfd){.fd = chore[i], .events = POLLIN};
        reporter_poll(&k->reporter, p + REPORTS);
        bool more = channel_has_message(&k->courier); /* in our buffer, where poll() does not see it */
        if (more)
            p[3].events &= (short)~POLLIN;
        int n = poll(p, REPORTS + REPORTER_FDS, more ? 0 : wait_ms(k, retry_ms));
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n > 0 && p[0].revents)
            return ERR_OK; /* asked to stop */
        if (n > 0 || (n == 0 && more))
            handle_events(k, p);
        if (n > 0)
            reporter_run(&k->reporter, &k->agent, p + REPORTS, monotonic_ms());
        clients_close_late(k);
    }
}
