/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/writer/reader.h"
#include <string.h>

static void answer_device(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    struct msg_device ask;
    struct store_device d;
    enum err e = msg_get_device(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->device_get(r->store, ask.device, &d);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_DEVICE_IS, m->id) : NULL;
    if (out == NULL)
        return webs_fail(c, m->id, e,
                         e == ERR_NOT_FOUND ? "This device is not enrolled here."
                                            : "The recovery store cannot be read now.");
    struct msg_device_is is = {
        .revoked = d.revoked, .pinned = memcmp(d.courier, ask.courier, 32) == 0, .approved = d.approved};
    memcpy(is.spki, d.spki, sizeof is.spki);
    msg_put_device_is(out, &is);
    webs_end(c);
}

static void answer_find(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    struct msg_find ask;
    struct msg_found found;
    enum err e = msg_get_find(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->find(r->store, &ask, &found);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_FOUND, m->id) : NULL;
    if (out == NULL)
        return webs_fail(c, m->id, e, "The recovery store cannot be read now.");
    msg_put_found(out, &found);
    webs_end(c);
}

static void answer_boots(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    struct msg_find ask;
    struct msg_boots boots;
    enum err e = msg_get_find(m->body, m->len, &ask);
    if (e == ERR_OK)
        e = r->ops->boots(r->store, &ask, &boots);
    struct writer *out = e == ERR_OK ? chan_begin(c, MSG_BOOTS_ARE, m->id) : NULL;
    if (out == NULL)
        return webs_fail(c, m->id, e, "The compliance store cannot be read now.");
    msg_put_boots(out, &boots);
    webs_end(c);
}

static void answer_devices(struct reader_state *r, struct chan *c, const struct msg_frame *m)
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
        return webs_fail(c, m->id, e, "The recovery store cannot be read now.");
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
    webs_end(c);
}

enum err reader_answer(struct reader_state *r, struct chan *c, const struct msg_frame *m)
{
    switch (m->type) {
    case MSG_DEVICE:
        answer_device(r, c, m);
        return ERR_OK;
    case MSG_FIND:
        answer_find(r, c, m);
        return ERR_OK;
    case MSG_BOOTS:
        answer_boots(r, c, m);
        return ERR_OK;
    case MSG_DEVICES:
        answer_devices(r, c, m);
        return ERR_OK;
    default:
        return ERR_FORMAT;
    }
}
