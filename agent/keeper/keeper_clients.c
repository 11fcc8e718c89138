/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands that are connected: what each message does, and how long one may wait. */
#include "agent/keeper/keeper_loop.h"
#include "agent/keeper/notice.h"
#include "agent/keeper/receipt_wait.h"
#include "crypto/host/monotonic.h"
#include "formats/names.h"
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#define ERRAND_MS  90000 /* longer than the courier tries all servers */
#define REQUEST_MS 10000 /* a command that connects and says nothing */

static void say_progress(void *ctx, const char *sentence, bool step)
{
    struct client *c = ctx;
    const struct msg m = {.type = MSG_PROGRESS, .progress = {.text = msg_text(sentence), .step = step}};
    if (channel_queue(&c->channel, &m) != ERR_OK)
        channel_close(&c->channel); /* nobody listens any more; the work goes on */
}

static const struct verb {
    uint16_t type;
    void (*run)(struct keeper *k, struct client *c, const struct msg *m);
} verbs[] = {
    {MSG_ENROLL, verb_enroll}, {MSG_PROTECT, verb_protect}, {MSG_ROTATE, verb_rotate},
    {MSG_STATUS, verb_status}, {MSG_SYNC, verb_sync},       {MSG_VERIFY, verb_verify},
    {MSG_EXPORT, verb_export}, {MSG_IMPORT, verb_import},
};

static void run_verb(struct keeper *k, struct client *c, const struct msg *m)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (verbs[i].type == m->type) {
            c->deadline_ms = monotonic_ms() + ERRAND_MS;
            k->agent.progress = say_progress;
            k->agent.progress_ctx = c;
            verbs[i].run(k, c, m);
            k->agent.progress = NULL;
            notice_update(&k->agent);
            if (m->type != MSG_STATUS) {
                chores_watch(&k->chores, &k->agent);
                reporter_soon(&k->reporter, monotonic_ms());
            }
            (void)malloc_trim(0); /* what is kept here is locked memory */
            return;
        }
    keeper_reply_error(c, ERR_UNSUPPORTED, "the keeper does not know this command; is it an older version?");
}

static void read_one(struct keeper *k, struct client *c)
{
    struct msg m;
    enum err filled = channel_fill(&c->channel);
    enum err e = c->waits == ERRAND_NONE ? channel_next(&c->channel, &m) : ERR_NOT_FOUND;
    if (e == ERR_OK)
        run_verb(k, c, &m);
    else if (e != ERR_NOT_FOUND || filled != ERR_OK)
        channel_close(&c->channel);
}

void clients_accept(struct keeper *k)
{
    struct channel ch;
    uid_t uid;
    if (channel_accept(k->command_fd, &ch, &uid) != ERR_OK)
        return;
    for (int i = 0; i < KEEPER_CLIENTS && (uid == 0 || uid == geteuid()); i++)
        if (!channel_is_open(&k->client[i].channel)) {
            json_object_put(k->client[i].made); /* of one that went away before its answer */
            k->client[i] = (struct client){.channel = ch, .deadline_ms = monotonic_ms() + REQUEST_MS};
            return;
        }
    channel_close(&ch);
}

void clients_close_late(struct keeper *k)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++) {
        struct client *c = &k->client[i];
        if (!channel_is_open(&c->channel) || monotonic_ms() < c->deadline_ms)
            continue;
        if (c->waits == ERRAND_NONE) {
            channel_close(&c->channel);
            continue;
        }
        if (c->waits == ERRAND_RECEIPT)
            receipt_wait_failed(c, c->no_courier ? c->no_courier : "no server has answered yet");
        else if (c->no_courier)
            keeper_finish_one(c, KH_EXIT_QUEUED, c->no_courier);
        else
            keeper_reply_error(c, ERR_TIMEOUT, "no answer yet; it is queued and tried again");
        c->deadline_ms = monotonic_ms() + REQUEST_MS; /* to take its answer */
    }
}

void clients_events(struct keeper *k, int i, short revents)
{
    struct client *c = &k->client[i];
    if (revents & POLLOUT && channel_flush(&c->channel) != ERR_OK)
        channel_close(&c->channel);
    if (revents & (POLLIN | POLLHUP | POLLERR) && channel_is_open(&c->channel))
        read_one(k, c);
}

void clients_courier_came(struct keeper *k)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++) {
        struct client *c = &k->client[i];
        if (c->no_courier)
            c->deadline_ms = monotonic_ms() + ERRAND_MS;
        c->no_courier = NULL;
    }
}

int64_t clients_wait_ms(const struct keeper *k, int64_t now_ms)
{
    int64_t least = -1;
    for (int i = 0; i < KEEPER_CLIENTS; i++)
        if (channel_is_open(&k->client[i].channel)) {
            int64_t left = k->client[i].deadline_ms > now_ms ? k->client[i].deadline_ms - now_ms : 0;
            least = least < 0 || left < least ? left : least;
        }
    return least;
}
