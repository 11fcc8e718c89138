/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/writer/writer.h"
#include "formats/command.h"
#include <string.h>

#define HOLDERS 8 /* of one volume, beside its owner; more are not asked */

/* Does an order that waits say already that the key was disclosed then, or later? */
static enum err is_ordered(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                           uint64_t disclosed, bool *ret)
{
    uint8_t bytes[COMMAND_LEN];
    struct cr_p256_pub pub;
    struct command c;
    enum err e = b->w->ops->command_get(b->w->store, device, key_id, bytes);
    if (e == ERR_OK) {
        TRY(cr_p256_public(b->w->receipt_key, &pub));
        *ret = command_decode(bytes, sizeof bytes, &pub, &c) == ERR_OK && c.time >= disclosed;
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* An order is signed once and kept as it is, until the key is disclosed once more: a device that replaced it
 * before that has to know. */
static enum err order(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                      uint64_t disclosed)
{
    bool is_there = false;
    TRY(is_ordered(b, device, key_id, disclosed, &is_there));
    if (is_there)
        return ERR_OK;
    struct store_command order = {.key_id = *key_id, .made = writer_now(), .disclosed = disclosed};
    struct command c = {.order = COMMAND_ROTATE, .org = b->w->org.id, .key_id = *key_id, .time = disclosed};
    memcpy(order.device, device, 32);
    memcpy(c.device, device, 32);
    memcpy(c.key, b->w->receipt_id, 32);
    TRY(command_encode(&c, b->w->receipt_key, order.bytes));
    return b->w->ops->command_put(b->w->store, &order);
}

enum err writer_order_rotation(struct batch *b, const uint8_t device[static 32], const struct guid *key_id,
                               uint64_t disclosed)
{
    uint8_t holder[HOLDERS][32];
    unsigned n = 0;
    TRY(order(b, device, key_id, disclosed));
    TRY(b->w->ops->holders(b->w->store, device, key_id, HOLDERS, holder, &n));
    for (unsigned i = 0; i < n; i++)
        TRY(order(b, holder[i], key_id, disclosed));
    return ERR_OK;
}

enum err writer_order_done(struct batch *b, const uint8_t device[static 32], const struct guid *key_id)
{
    bool former = false;
    TRY(b->w->ops->command_former(b->w->store, device, key_id, &former));
    if (former)
        TRY(order(b, device, key_id, writer_now()));
    return b->w->ops->command_done(b->w->store, device, key_id, writer_now());
}
