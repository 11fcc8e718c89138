/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume_copy.h"
#include "crypto/secret.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define PROGRESS_NS 100000000L

/* What the threads share; under lock but for copy. */
struct state {
    const struct volume_copy *copy;
    pthread_mutex_t lock;
    pthread_cond_t finished; /* a thread is done */
    uint64_t next, done;     /* bytes */
    unsigned running;
    enum err err;
    struct volume_copy_failure failure; /* with err */
};

struct lane {
    struct state *state;
    unsigned number;
    uint8_t *buf;
    pthread_t thread;
};

unsigned volume_lanes(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > VOLUME_LANES ? VOLUME_LANES : (unsigned)n;
}

/* Claim the next batch; 0 when none is left or something failed. */
static size_t take(struct state *s, uint64_t *ret_off)
{
    size_t len = 0;
    pthread_mutex_lock(&s->lock);
    if (s->err == ERR_OK) {
        uint64_t left = s->copy->size - s->next;
        len = left < VOLUME_BATCH ? (size_t)left : VOLUME_BATCH;
        *ret_off = s->next;
        s->next += len;
    }
    pthread_mutex_unlock(&s->lock);
    return len;
}

static void report(struct state *s, enum err err, uint64_t off, size_t len, bool writing)
{
    pthread_mutex_lock(&s->lock);
    if (err == ERR_OK)
        s->done += len;
    else if (s->err == ERR_OK || s->err == ERR_BUSY || off < s->failure.off) {
        s->err = err;
        s->failure = (struct volume_copy_failure){off, writing};
    }
    pthread_mutex_unlock(&s->lock);
}

static void *run(void *arg)
{
    struct lane *lane = arg;
    struct state *s = lane->state;
    const struct volume_copy *c = s->copy;
    uint64_t off = 0;
    for (size_t len; (len = take(s, &off)) > 0;) {
        bool writing = false;
        enum err err = c->read(c->ctx, lane->number, off, lane->buf, len);
        if (err == ERR_OK) {
            writing = true;
            err = c->write(c->ctx, off, lane->buf, len);
        }
        report(s, err, off, len, writing);
    }
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_cond_signal(&s->finished);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* A tenth of a second, or until a thread is done. */
static void wait_a_while(struct state *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PROGRESS_NS;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&s->finished, &s->lock, &until);
}

/* Show how far it is until all threads are done, and then once more. */
static void watch(struct state *s)
{
    pthread_mutex_lock(&s->lock);
    for (bool over = false; !over;) {
        if (s->running > 0)
            wait_a_while(s);
        over = s->running == 0;
        uint64_t done = s->done;
        pthread_mutex_unlock(&s->lock); /* a slow terminal holds nobody up */
        bool go_on = s->copy->progress(s->copy->ctx, done);
        pthread_mutex_lock(&s->lock);
        if (!go_on && s->err == ERR_OK)
            s->err = ERR_BUSY;
    }
    pthread_mutex_unlock(&s->lock);
}

/* As many threads as there are, down to one; none is a failure. */
static unsigned start(struct state *s, struct lane *lane)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->copy->lanes && i < VOLUME_LANES; i++) {
        lane[i] = (struct lane){.state = s, .number = i, .buf = malloc(VOLUME_BATCH)};
        if (!lane[i].buf)
            break;
        pthread_mutex_lock(&s->lock);
        bool ok = pthread_create(&lane[i].thread, NULL, run, &lane[i]) == 0;
        s->running += ok;
        pthread_mutex_unlock(&s->lock);
        if (!ok) {
            free(lane[i].buf);
            break;
        }
        n++;
    }
    return n;
}

enum err volume_copy(const struct volume_copy *copy, struct volume_copy_failure *ret_failure)
{
    struct state s = {.copy = copy, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct lane lane[VOLUME_LANES];
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return ERR_NOMEM;
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC); /* known on every Linux */
    int failed = pthread_cond_init(&s.finished, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (failed)
        return ERR_NOMEM;
    unsigned n = start(&s, lane);
    watch(&s);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(lane[i].thread, NULL);
        cr_wipe(lane[i].buf, VOLUME_BATCH);
        free(lane[i].buf);
    }
    pthread_cond_destroy(&s.finished);
    if (n == 0)
        return ERR_NOMEM;
    if (s.err != ERR_OK && s.err != ERR_BUSY)
        *ret_failure = s.failure;
    return s.err;
}
