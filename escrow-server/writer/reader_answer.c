/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/writer/reader.h"
#include <poll.h>
#include <string.h>

#define HOLD_MS 2000
#define HOLD_AWAY_MS                                                                                         \
    400 /* a try to connect begins within half of that, and takes some tens where one answers */
#define AGAIN_MS 20

/* Not answered yet where the store may be back in a moment: OFFLINE then. */
static enum err failed(struct reader_state *r, struct chan *c, const struct msg_frame *m, enum err e,
                       const char *detail)
{
    if (e == ERR_OFFLINE && r->hold)
        return e;
    r->away = e == ERR_OFFLINE;
    webs_fail(c, m->id, e, detail);
    return ERR_OK;
}

static enum err done(struct reader_state *r, struct chan *c)
{
    r->away = false;
    webs_end(c);
    return ERR_OK;
}

static enum err answer_device(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    struct msg_device ask;
    struct store_device d;
    enum err e = msg_get_device(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->device_get(r->store, ask.device, &d);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_DEVICE_IS, m->id) : NULL;
    if (out == NULL)
        return failed(r, c, m, e,
                      e == ERR_NOT_FOUND ? "This device is not enrolled here."
                                         : "The recovery store cannot be read now.");
    struct msg_device_is is = {
        .revoked = d.revoked, .pinned = memcmp(d.courier, ask.courier, 32) == 0, .approved = d.approved};
    memcpy(is.spki, d.spki, sizeof is.spki);
    msg_put_device_is(out, &is);
    return done(r, c);
}

static enum err answer_find(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    struct msg_find ask;
    struct msg_found found;
    enum err e = msg_get_find(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->find(r->store, &ask, &found);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_FOUND, m->id) : NULL;
    if (out == NULL)
        return failed(r, c, m, e, "The recovery store cannot be read now.");
    msg_put_found(out, &found);
    return done(r, c);
}

static enum err answer_boots(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    struct msg_find ask;
    struct msg_boots boots;
    enum err e = msg_get_find(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->boots(r->store, &ask, &boots);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_BOOTS_ARE, m->id) : NULL;
    if (out == NULL)
        return failed(r, c, m, e, "The compliance store cannot be read now.");
    msg_put_boots(out, &boots);
    return done(r, c);
}

static enum err answer_devices(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    static struct store_device row[MSG_DEVICES_MAX];
    static struct msg_devices_are are; /* in one thread */
    struct msg_devices ask;
    are.n = 0;
    enum err e = msg_get_devices(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->devices(r->store, ask.has_after ? ask.after : NULL, ask.waiting, MSG_DEVICES_MAX, row,
                            &are.n);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_DEVICES_ARE, m->id) : NULL;
    if (out == NULL)
        return failed(r, c, m, e, "The recovery store cannot be read now.");
    for (unsigned i = 0; i < are.n; i++) {
        struct msg_device_row *to = &are.item[i];
        *to = (struct msg_device_row){.approved = row[i].approved,
                                      .revoked = row[i].revoked,
                                      .enrolled = row[i].enrolled,
                                      .seen = row[i].seen};
        memcpy(to->device, row[i].id, sizeof to->device);
        memcpy(to->computer, row[i].computer, sizeof to->computer);
    }
    msg_put_devices_are(out, &are);
    return done(r, c);
}

static enum err answer_flags(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    static struct msg_flags_are are; /* in one thread */
    struct msg_flags ask;
    enum err e = msg_get_flags(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->flags(r->store, &ask, &are);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_FLAGS_ARE, m->id) : NULL;
    if (out == NULL)
        return failed(r, c, m, e, "The recovery store cannot be read now.");
    msg_put_flags_are(out, &are);
    return done(r, c);
}

static enum err answer(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    switch (m->type) {
    case MSG_DEVICE:
        return answer_device(r, c, m);
    case MSG_FIND:
        return answer_find(r, c, m);
    case MSG_BOOTS:
        return answer_boots(r, c, m);
    case MSG_DEVICES:
        return answer_devices(r, c, m);
    case MSG_FLAGS:
        return answer_flags(r, c, m);
    default:
        return ERR_FORMAT;
    }
}

/* That a database server is gone is often found out by the first question, and the next one of the list is
 * there within milliseconds: so that question waits for it. While none is there, every now and then one waits
 * for the try to connect that it brings about, and finds a server that is back. */
enum err reader_answer(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    int64_t now = monotonic_ms(), until = now + (r->away ? HOLD_AWAY_MS : HOLD_MS);
    enum err e;
    r->hold = !r->away || now >= r->hold_again_ms;
    while ((e = answer(r, c, m)) == ERR_OFFLINE) {
        (void)poll(NULL, 0, AGAIN_MS);
        (void)r->ops->tend(r->store);
        now = monotonic_ms();
        r->hold = now < until;
        r->hold_again_ms = now + HOLD_AWAY_MS;
    }
    return e;
}
