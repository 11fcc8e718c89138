/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/writer/writer.h"
#include "formats/command.h"
#include <string.h>

#define HOLDERS 8 /* of one volume, beside its owner; more are not asked */

/* An order, as the store has it. */
struct order {
    bool open;     /* it waits */
    bool done;     /* it was answered, and is not given out */
    bool ours;     /* by a key of the organisation; else nobody knows what follows */
    bool rotate;   /* else another order */
    uint64_t time; /* when the key was disclosed, as the order says */
    uint64_t loss; /* that it waits for, and for nothing else */
};

/* Did we sign it, or whoever had a receipt key of the organisation before? */
static bool verifies(const struct writer_state *w, const uint8_t bytes[static COMMAND_LEN],
                     struct command *ret)
{
    struct cr_p256_pub pub;
    for (unsigned i = 0; i <= w->org.n_receipt; i++)
        if (writer_receipt_key(w, i, &pub) && command_decode(bytes, COMMAND_LEN, &pub, ret) == ERR_OK)
            return true;
    return false;
}

static void read_order(const struct batch *b, const uint8_t bytes[static COMMAND_LEN], struct order *o)
{
    struct command c;
    o->ours = verifies(b->w, bytes, &c);
    o->rotate = o->ours && c.order == COMMAND_ROTATE;
    o->time = o->ours ? c.time : 0;
}

/* The one that waits. */
static enum err look(const struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                     struct order *ret)
{
    struct store_waiting w;
    *ret = (struct order){.open = false};
    enum err e = b->w->ops->command_get(b->w->store, device, key_id, &w);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    ret->open = true;
    ret->loss = w.loss;
    read_order(b, w.bytes, ret);
    return ERR_OK;
}

/* The one that waits, or that was answered. */
static enum err look_back(const struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                          struct order *ret)
{
    uint8_t bytes[COMMAND_LEN];
    TRY(look(b, device, key_id, ret));
    if (ret->open)
        return ERR_OK;
    enum err e = b->w->ops->command_answered(b->w->store, device, key_id, bytes);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    ret->done = true;
    read_order(b, bytes, ret);
    return ERR_OK;
}

/* What was answered after a disclosure, and spoke of an earlier one, did not say that. */
static enum err put_order(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                          const struct order_cause *cause)
{
    struct order is;
    TRY(look_back(b, device, key_id, &is));
    bool as_late = is.ours && is.time >= cause->disclosed;
    if (is.open && as_late && (is.loss == 0 || cause->loss != 0)) /* it says that already, or more */
        return ERR_OK;
    bool unheard = is.open || (is.ours && !as_late);
    uint64_t disclosed = is.open && as_late ? is.time : cause->disclosed;
    struct store_command order = {.key_id = *key_id,
                                  .made = writer_now(),
                                  .disclosed = unheard ? STORE_UNHEARD : disclosed,
                                  .loss = cause->loss,
                                  .fresh = !is.open && !is.done};
    struct command c = {.order = COMMAND_ROTATE, .org = b->w->org.id, .key_id = *key_id, .time = disclosed};
    memcpy(order.device, device, 32);
    memcpy(c.device, device, 32);
    memcpy(c.key, b->w->receipt_id, 32);
    TRY(command_encode(&c, b->w->receipt_key, order.bytes));
    return b->w->ops->command_put(b->w->store, &order);
}

/* An order is signed once and kept as it is, until the key is disclosed once more: a device that replaced it
 * before that has to know. */
static enum err order(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                      const struct order_cause *cause)
{
    enum err e = put_order(b, device, key_id, cause);
    return e == ERR_CONFLICT ? put_order(b, device, key_id, cause) : e; /* another server's is seen now */
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

/* A record may come any number of times, and late, also from a disk that was put back, by whoever never heard
 * of the order. So an order is closed by what names its time, or a later order's: whoever says that has heard
 * it, and noted what it means for copies of the header. The times of both are the server's; the device's
 * clock has no say. No order is open for ever by this: a device that said less when it is asked makes a
 * record that names the order's time (do_rotate() in agent/sync/sync_signed.c). source:
 * docs/formats.md#command */
static bool answers(const struct order *o, const struct record *r)
{
    if (!o->ours)
        return true;
    return o->rotate ? r->event == EVENT_ROTATED && r->event_time >= o->time : r->event == EVENT_DONE;
}

/* Who did for another device's key what that one was told is told the same: either this record answers that,
 * too, or the next one does, and then it counts for both. */
static enum err tell_as_owner(struct batch *b, const struct record *r)
{
    const struct guid *key_id = &r->other_key_id;
    uint8_t owner[32];
    struct order its;
    enum err e = b->w->ops->command_former(b->w->store, r->device, key_id, owner);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    TRY(look(b, owner, key_id, &its));
    if (!its.open) /* by now */
        return ERR_OK;
    return order(b, r->device, key_id, &(struct order_cause){.disclosed = its.time, .loss = its.loss});
}

enum err writer_order_done(struct batch *b, const struct record *r)
{
    const struct guid *key_id = &r->other_key_id;
    struct order is;
    if (r->event == EVENT_ROTATED)
        TRY(tell_as_owner(b, r));
    TRY(look(b, r->device, key_id, &is));
    if (!is.open || !answers(&is, r))
        return ERR_OK;
    return b->w->ops->command_done(b->w->store, r->device, key_id, writer_now());
}
