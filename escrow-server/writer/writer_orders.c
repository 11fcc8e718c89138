/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/writer/writer.h"
#include "formats/command.h"
#include <string.h>

#define HOLDERS 8 /* of one volume, beside its owner; more are not asked */

/* An order that waits. */
struct order {
    bool again;    /* it was done, and is given out once more */
    bool ours;     /* by our key of now; else there is none, or nobody knows: */
    uint64_t time; /* when the key was disclosed, as the order says */
    uint64_t loss; /* that it waits for, and for nothing else */
};

static enum err look(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                     struct order *ret)
{
    struct store_waiting w;
    struct cr_p256_pub pub;
    struct command c;
    *ret = (struct order){.ours = false};
    enum err e = b->w->ops->command_get(b->w->store, device, key_id, &w);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    TRY(cr_p256_public(b->w->receipt_key, &pub));
    *ret = (struct order){.again = w.again, .loss = w.loss};
    ret->ours = command_decode(w.bytes, sizeof w.bytes, &pub, &c) == ERR_OK;
    if (ret->ours)
        ret->time = c.time;
    return ERR_OK;
}

/* An order is signed once and kept as it is, until the key is disclosed once more: a device that replaced it
 * before that has to know. */
static enum err order(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                      const struct order_cause *cause)
{
    struct order is;
    TRY(look(b, device, key_id, &is));
    bool as_late = is.ours && is.time >= cause->disclosed;
    if (as_late && (is.loss == 0 || cause->loss != 0)) /* it says that already, or more */
        return ERR_OK;
    uint64_t disclosed = as_late ? is.time : cause->disclosed;
    struct store_command order = {
        .key_id = *key_id, .made = writer_now(), .disclosed = disclosed, .loss = cause->loss};
    struct command c = {.order = COMMAND_ROTATE, .org = b->w->org.id, .key_id = *key_id, .time = disclosed};
    memcpy(order.device, device, 32);
    memcpy(c.device, device, 32);
    memcpy(c.key, b->w->receipt_id, 32);
    TRY(command_encode(&c, b->w->receipt_key, order.bytes));
    return b->w->ops->command_put(b->w->store, &order);
}

enum err writer_order_rotation(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                               const struct order_cause *cause)
{
    uint8_t holder[HOLDERS][32];
    unsigned n = 0;
    TRY(order(b, device, key_id, cause));
    TRY(b->w->ops->holders(b->w->store, device, key_id, HOLDERS, holder, &n));
    for (unsigned i = 0; i < n; i++)
        TRY(order(b, holder[i], key_id, cause));
    return ERR_OK;
}

/* When the key was replaced, or which order is answered, as the device's clock has it. */
static uint64_t said(const struct record *r)
{
    return r->event_time > 0 ? r->event_time : r->time;
}

/* A record may come any number of times, and late, also from a disk that was put back, by whoever never heard
 * of the order. So one that was closed before is closed by a record that names the time that it speaks of,
 * and the first one by what says no less than that. What was replaced before it was shown is no answer: the
 * key may be back with an old header, and a copy of that opens with what was shown, so the device has to
 * know. No order is open for ever by this: a device that said less when it is asked makes a record that names
 * the order's time, and one that does not is the one that said as much (do_rotate() in
 * agent/sync/sync_signed.c); so a clock that is behind costs one exchange more. source:
 * docs/formats.md#command */
static bool answers(const struct order *o, const struct record *r)
{
    if (!o->ours || r->event != EVENT_ROTATED) /* other orders are given out under a name of their own */
        return true;
    return r->event_time == o->time || (!o->again && said(r) >= o->time);
}

/* Who did for another device's key what that one was told. Where it did so before the key was shown, it is
 * told, too. ret_open: that */
static enum err done_for_owner(struct batch *b, const struct record *r, bool *ret_open)
{
    const struct guid *key_id = &r->other_key_id;
    uint8_t owner[32];
    struct order its;
    *ret_open = false;
    enum err e = b->w->ops->command_former(b->w->store, r->device, key_id, owner);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    TRY(look(b, owner, key_id, &its));
    its.again = false; /* whatever it is to the owner */
    *ret_open = !answers(&its, r);
    uint64_t disclosed = *ret_open ? its.time : writer_now();
    return order(b, r->device, key_id, &(struct order_cause){.disclosed = disclosed});
}

enum err writer_order_done(struct batch *b, const struct record *r)
{
    const struct guid *key_id = &r->other_key_id;
    struct order is;
    bool open;
    TRY(look(b, r->device, key_id, &is));
    if (!answers(&is, r))
        return ERR_OK; /* it stays open */
    TRY(done_for_owner(b, r, &open));
    return open ? ERR_OK : b->w->ops->command_done(b->w->store, r->device, key_id, writer_now());
}
