/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier_talk.h"
#include "crypto/host/file.h"
#include "crypto/host/monotonic.h"
#include "crypto/host/process.h"
#include "formats/names.h"
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECONNECT_MS   1000
#define RECONNECT_SAID 8000
#define RECONNECT_LONG 15000 /* shorter than the keeper lets a person wait for us */
#define DISLIKED_MS    2000  /* a keeper that hangs up so soon after an answer did not like it */

static int open_netlink(void)
{
    const struct sockaddr_nl a = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* Any message will do: addresses change, so the way to a server may be open now. What it says is not read. */
static void read_netlink(struct courier *c)
{
    char drop[8192];
    while (recv(c->netlink, drop, sizeof drop, 0) > 0)
        ;
    if (!c->asked)
        courier_schedule_network(&c->schedule, monotonic_ms(), courier_dice());
}

static int wait_ms(const struct courier *c)
{
    int64_t due_ms = c->child.pid ? c->child.kill_ms : c->asked ? COURIER_NEVER : c->schedule.due_ms;
    if (due_ms == COURIER_NEVER)
        return -1;
    int64_t left = due_ms - monotonic_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static enum err look_at_clock(struct courier *c)
{
    int64_t now = monotonic_ms();
    if (c->child.pid && now >= c->child.kill_ms) {
        courier_child_end(&c->child);
        return courier_give_up(c, "the courier's errand hung and was ended");
    }
    if (!c->child.pid && !c->asked && c->schedule.due_ms != COURIER_NEVER && now >= c->schedule.due_ms)
        return courier_want_batch(c);
    return ERR_OK;
}

static short child_events(const struct courier *c)
{
    return c->child.pid ? channel_events(&c->child.channel) : 0;
}

/* One connection to the keeper, until it ends. */
static enum err serve(struct courier *c)
{
    if (c->schedule.failures == 0 || monotonic_ms() >= c->schedule.due_ms)
        TRY(courier_want_batch(c)); /* at start */
    for (;;) {
        TRY(look_at_clock(c));
        struct pollfd p[] = {{.fd = c->keeper.fd, .events = channel_events(&c->keeper)},
                             {.fd = c->netlink, .events = POLLIN},
                             {.fd = c->child.channel.fd, .events = child_events(c)}};
        int n = poll(p, 3, wait_ms(c));
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n <= 0)
            continue;
        if (p[1].revents)
            read_netlink(c);
        if (p[2].revents & POLLOUT && channel_flush(&c->child.channel) != ERR_OK)
            c->child.kill_ms = 0;
        if (p[2].revents & (POLLIN | POLLHUP | POLLERR))
            TRY(courier_hear_child(c));
        if (p[0].revents)
            TRY(courier_hear_keeper(c));
    }
}

/* The keeper is gone, and with it everything that was under way for it. */
static void end_connection(struct courier *c)
{
    courier_child_end(&c->child);
    channel_close(&c->keeper);
    if (c->asked && c->schedule.due_ms == COURIER_NEVER)
        c->schedule.due_ms = monotonic_ms();
    c->asked = c->person = false;
    c->again = AGAIN_NO;
    if (c->answered_ms && monotonic_ms() - c->answered_ms < DISLIKED_MS)
        courier_schedule_failed(&c->schedule, monotonic_ms(), 0, courier_dice());
    c->answered_ms = 0;
}

static _Noreturn void run(struct courier *c)
{
    int pause_ms = RECONNECT_MS;
    for (;;) {
        int64_t since = monotonic_ms();
        enum err e = channel_connect(c->socket, &c->keeper);
        if (e == ERR_OK) {
            e = serve(c);
            end_connection(c);
        }
        if (monotonic_ms() - since > RECONNECT_LONG)
            pause_ms = RECONNECT_MS; /* it was a real connection, not one that ends at once again and again */
        if (pause_ms == RECONNECT_SAID) /* at boot the keeper is a little later, which is no news */
            (void)fprintf(stderr, "courier: %s: no keeper (%s); waiting for it\n", c->socket, err_text(e));
        (void)poll(NULL, 0, pause_ms);
        pause_ms = pause_ms * 2 < RECONNECT_LONG ? pause_ms * 2 : RECONNECT_LONG;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"root", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    static struct courier c = {.root = "", .keeper.fd = -1, .child.channel.fd = -1};

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (o == 'r')
            c.root = optarg;
        else
            optind = argc + 1;
    if (optind != argc) {
        fputs("usage: courier [--root DIR]\n", stderr);
        return KH_EXIT_USAGE;
    }
    enum err e = process_harden(false);
    if (e == ERR_OK)
        e = file_join(c.root, KH_COURIER_SOCK, c.socket, sizeof c.socket);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "courier: it cannot start: %s\n", err_text(e));
        return KH_EXIT_FAILED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    c.netlink = open_netlink();
    e = courier_sandbox(true);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "courier: the system-call filter cannot be set: %s\n", err_text(e));
        return KH_EXIT_FAILED;
    }
    run(&c);
}
