/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/cursor.h"
#include "formats/base.h"
#include "tools/load_tally.h"
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 64
#define AHEAD  4096         /* escrow records made before the clock runs; further ones when they are sent */
#define STATIC "/sync.json" /* what a peer's static file is called */

struct run {
    struct load_fleet *fleet;
    const struct load_plan *plan;
    struct load_tally tally;
    struct load_conn *conn;
    unsigned n, open, next; /* next: device */
    int epoll;
};

/* Before the clock runs: an escrow record costs the device more than the server. */
static enum err make_one(struct load_fleet *f, struct load_device *d)
{
    struct load_request *grown = realloc(d->made, (d->n_made + 1) * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    d->made = grown;
    TRY(load_escrow(&f->org, d, &grown[d->n_made]));
    d->n_made++;
    return ERR_OK;
}

static enum err prepare(struct load_fleet *f, const struct load_plan *p)
{
    for (unsigned i = 0; p->kind == LOAD_ESCROW && i < p->requests && i < AHEAD; i++) {
        struct load_device *d = &f->device[i % f->n];
        if (d->n_made - d->n_sent <= i / f->n)
            TRY(make_one(f, d));
    }
    return ERR_OK;
}

/* What the device says next. */
static enum err choose(struct run *r, struct load_conn *c)
{
    struct load_device *d = c->device;
    free(c->own.bytes);
    c->own = (struct load_request){0};
    c->request = &c->own;
    switch (r->plan->kind) {
    case LOAD_ESCROW:
        if (d->n_sent == d->n_made)
            TRY(make_one(r->fleet, d));
        c->request = &d->made[d->n_sent];
        return ERR_OK;
    case LOAD_HEARTBEAT:
        return load_heartbeat(d, &c->own);
    case LOAD_STATIC:
        return load_get(STATIC, &c->own);
    case LOAD_IDLE:
        c->request = NULL;
    }
    return ERR_OK;
}

static bool over(const struct run *r)
{
    return r->tally.begun >= r->plan->requests || load_now() - r->tally.started > r->plan->seconds;
}

static struct load_device *free_device(struct run *r)
{
    for (unsigned i = 0; i < r->fleet->n; i++) {
        struct load_device *d = &r->fleet->device[r->next++ % r->fleet->n];
        if (!d->busy || r->plan->kind == LOAD_IDLE)
            return d;
    }
    return NULL;
}

static void arm(struct run *r, struct load_conn *c, int how)
{
    struct epoll_event e = {.events = c->waits, .data.ptr = c};
    epoll_ctl(r->epoll, how, c->fd, &e);
}

static void begin(struct run *r, struct load_conn *c)
{
    c->device = over(r) ? NULL : free_device(r);
    if (c->device == NULL)
        return;
    r->tally.begun++;
    if (choose(r, c) != ERR_OK || load_conn_open(c, r->plan) != ERR_OK) {
        load_tally_add(&r->tally, LOAD_CONNECT, 0);
        return;
    }
    c->device->busy = true;
    r->open++;
    arm(r, c, EPOLL_CTL_ADD);
}

static void write_name(const struct run *r, const uint8_t name[static 32], uint8_t class)
{
    char line[BASE16_LEN(32) + 4];
    base16_encode(name, 32, line);
    line[BASE16_LEN(32)] = ' ';
    line[BASE16_LEN(32) + 1] = (char)('0' + class);
    line[BASE16_LEN(32) + 2] = '\n';
    if (r->fleet->names >= 0 && write(r->fleet->names, line, sizeof line - 1) < 0)
        exit(1); /* whoever counts on these names must not count wrong */
}

static enum load_failure check_receipt(struct run *r, struct load_conn *c)
{
    int status;
    const char *body;
    char *text = NULL;
    size_t len;
    uint8_t class = 0;
    if (c->request == NULL || !c->request->has_record)
        return LOAD_OK;
    enum err e = load_answer(c->in, c->got, &status, &body, &len);
    if (e == ERR_OK)
        e = load_answer_body(c->in, body, len, &text, &len);
    if (e == ERR_OK)
        e = load_receipted(&r->fleet->org, c->device, c->request->name, text, len, &class);
    free(text);
    if (e != ERR_OK)
        return LOAD_RECEIPT;
    r->tally.receipts++;
    write_name(r, c->request->name, class);
    c->device->n_sent++;
    return LOAD_OK;
}

/* The exchange is over; a kept connection begins its next. */
static void finish(struct run *r, struct load_conn *c, enum load_failure f)
{
    double ms = (load_now() - c->since) * 1000;
    r->tally.resumed += f == LOAD_OK && c->resumed;
    if (f == LOAD_OK)
        f = check_receipt(r, c);
    load_tally_add(&r->tally, f, ms);
    if (r->plan->kind == LOAD_IDLE && f == LOAD_OK) {
        epoll_ctl(r->epoll, EPOLL_CTL_DEL, c->fd, NULL);
        r->open--; /* stays as it is */
        return;
    }
    if (r->plan->handshake == LOAD_KEPT && f == LOAD_OK && !over(r) && choose(r, c) == ERR_OK) {
        r->tally.begun++;
        c->sent = c->got = 0;
        c->since = load_now();
        c->waits = EPOLLOUT;
        arm(r, c, EPOLL_CTL_MOD);
        return;
    }
    load_conn_close(c);
    c->device->busy = false;
    r->open--;
    begin(r, c);
}

static void step(struct run *r, struct load_conn *c)
{
    enum load_failure f = LOAD_OK;
    if (load_conn_step(c, &f) == ERR_BUSY)
        arm(r, c, EPOLL_CTL_MOD);
    else
        finish(r, c, f);
}

/* Time is up: what is still under way is late. */
static void stop(struct run *r)
{
    for (unsigned i = 0; i < r->n; i++) {
        struct load_conn *c = &r->conn[i];
        if (c->fd >= 0 && r->plan->kind != LOAD_IDLE) {
            load_tally_add(&r->tally, LOAD_LATE, 0);
            load_conn_close(c);
        }
        if (c->device != NULL)
            c->device->busy = false;
        free(c->own.bytes);
        if (r->plan->kind != LOAD_IDLE)
            free(c->in);
    }
}

static void loop(struct run *r)
{
    struct epoll_event events[EVENTS];
    const double grace = 10; /* for what has begun */
    for (unsigned i = 0; i < r->n; i++)
        begin(r, &r->conn[i]);
    while (r->open > 0 && load_now() - r->tally.started < r->plan->seconds + grace) {
        int n = epoll_wait(r->epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++)
            step(r, events[i].data.ptr);
        for (unsigned i = 0; r->open < r->n && i < r->n && !over(r) && n == 0; i++)
            if (r->conn[i].fd < 0)
                begin(r, &r->conn[i]); /* after a refused connection: not at once again */
    }
}

static enum err open_run(struct run *r)
{
    r->n = r->plan->connections;
    r->conn = calloc(r->n, sizeof *r->conn);
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r->conn == NULL || r->epoll < 0)
        return ERR_NOMEM;
    char *shared = r->plan->kind == LOAD_IDLE ? malloc(LOAD_ANSWER_MAX + 1) : NULL; /* nothing is read */
    for (unsigned i = 0; i < r->n; i++) {
        r->conn[i].fd = -1;
        r->conn[i].in = shared != NULL ? shared : malloc(LOAD_ANSWER_MAX + 1);
        if (r->conn[i].in == NULL)
            return ERR_NOMEM;
    }
    return load_tally_begin(&r->tally, r->plan->requests);
}

enum err load_run(struct load_fleet *f, const struct load_plan *plan)
{
    struct run r = {.fleet = f, .plan = plan};
    TRY(prepare(f, plan));
    TRY(open_run(&r));
    loop(&r);
    stop(&r);
    close(r.epoll);
    load_tally_print(&r.tally, plan);
    if (plan->kind != LOAD_IDLE)
        free(r.conn); /* idle connections stay until the program ends */
    return ERR_OK;
}

static enum err enroll_one(struct load_fleet *f, const struct load_plan *to, struct load_device *d)
{
    struct load_conn c = {.fd = -1, .device = d, .request = &c.own, .in = malloc(LOAD_ANSWER_MAX + 1)};
    enum load_failure failure = LOAD_OK;
    int status;
    const char *body;
    char *text = NULL;
    size_t len;
    if (c.in == NULL)
        return ERR_NOMEM;
    TRY(load_device_new(&f->org, d));
    TRY(load_device_enroll(&f->org, d, &c.own));
    enum err e = load_conn_open(&c, to);
    while (e == ERR_OK && (e = load_conn_step(&c, &failure)) == ERR_BUSY) {
        usleep(200);
        e = load_now() - c.since > to->seconds ? ERR_TIMEOUT : ERR_OK;
    }
    if (e == ERR_OK)
        e = failure == LOAD_OK ? load_answer(c.in, c.got, &status, &body, &len) : ERR_DENIED;
    if (e == ERR_OK)
        e = load_answer_body(c.in, body, len, &text, &len);
    if (e == ERR_OK)
        e = load_device_enrolled(d, text, len);
    free(text);
    load_conn_close(&c);
    free(c.own.bytes);
    free(c.in);
    return e;
}

enum err load_enroll_all(struct load_fleet *f, const struct load_plan *to)
{
    for (unsigned i = 0; i < f->n; i++)
        TRY(enroll_one(f, to, &f->device[i]));
    return ERR_OK;
}
