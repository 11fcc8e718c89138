/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/random.h"
#include "escrow-server/pki.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"
#include <stdio.h>
#include <string.h>

#define PROBE_FRESH_MS 2000 /* a commit so young says as much as another one would */

bool writer_may_log(const uint8_t device[static 32])
{
    char text[BASE16_LEN(32) + 1];
    base16_encode(device, 32, text);
    return metrics_may_log(text, BASE16_LEN(32));
}

/* A report is nobody's key: the order has an ID of its own, which the answer names. */
static enum err order_report(struct batch *b, const uint8_t device[static 32])
{
    struct store_command order = {.made = writer_now()};
    struct command c = {.order = COMMAND_REPORT, .org = b->w->org.id, .time = order.made};
    uint8_t random[16];
    TRY(cr_random(random, sizeof random));
    guid_from_random(random, &order.key_id);
    c.key_id = order.key_id;
    memcpy(order.device, device, sizeof order.device);
    memcpy(c.device, device, sizeof c.device);
    memcpy(c.key, b->w->receipt_id, sizeof c.key);
    TRY(command_encode(&c, b->w->receipt_key, order.bytes));
    return b->w->ops->command_put(b->w->store, &order);
}

static enum err change(struct batch *b, const struct msg_change *m)
{
    const struct store_ops *ops = b->w->ops;
    struct store_device d;
    TRY(ops->device_get(b->w->store, m->device, &d));
    TRY(batch_need(b, STORE_RECOVERY));
    switch ((enum device_change)m->change) {
    case CHANGE_APPROVE:
        return ops->device_approve(b->w->store, m->device, DEVICE_APPROVED);
    case CHANGE_REFUSE:
        return ops->device_approve(b->w->store, m->device, DEVICE_REFUSED);
    case CHANGE_REVOKE:
        return ops->device_revoke(b->w->store, m->device, true);
    case CHANGE_ALLOW:
        return ops->device_revoke(b->w->store, m->device, false);
    case CHANGE_REPORT:
        return order_report(b, m->device);
    }
    return ERR_RANGE;
}

void writer_change(struct batch *b, struct pending *p, const struct msg_change *m)
{
    p->err = change(b, m);
    if (p->err == ERR_NOT_FOUND)
        snprintf(p->detail, sizeof p->detail, "No device with this ID is enrolled here.");
    else if (p->err != ERR_OK)
        snprintf(p->detail, sizeof p->detail, "The recovery store cannot be changed now.");
}

/* A store that lost a device gets it back by what the CA signed for it, so that the fleet can bring its
 * envelopes again (invariant 9). Checked here and not in the web worker, as an enrolment is. A device may
 * have had several couriers, and the store does not remember which was the last: the certificate that is good
 * from later on wins, until a person approves the device. */
static enum err adopt(struct batch *b, const struct msg_adopt *m)
{
    const struct store_ops *ops = b->w->ops;
    struct store_device d = {.approved = DEVICE_BACK}, old;
    struct cr_p256_pub pub;
    uint8_t id[32];
    TRY(pki_check_courier(b->w->org.ca, m->cert.p, m->cert.len, d.id, d.courier, &d.enrolled));
    TRY(cr_p256_from_spki(m->spki, sizeof m->spki, &pub));
    TRY(cr_p256_id(&pub, id));
    if (memcmp(id, d.id, sizeof id) != 0)
        return ERR_AUTH;
    memcpy(d.spki, m->spki, sizeof d.spki);
    enum err e = ops->device_get(b->w->store, d.id, &old);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_OK && (old.approved != DEVICE_BACK || old.revoked || old.enrolled >= d.enrolled))
        return ERR_DENIED;
    TRY(batch_need(b, STORE_RECOVERY));
    return ops->device_put(b->w->store, &d);
}

void writer_adopt(struct batch *b, struct pending *p, const struct msg_adopt *m)
{
    p->err = adopt(b, m);
    if (p->err == ERR_AUTH || p->err == ERR_FORMAT || p->err == ERR_DENIED) {
        p->err = ERR_DENIED;
        snprintf(p->detail, sizeof p->detail,
                 "The certificate is not the one that the device enrolled with last.");
    } else if (p->err != ERR_OK) {
        snprintf(p->detail, sizeof p->detail, "The server cannot store the device now.");
    }
}

/* Many may ask whether the stores can be written; one answer in two seconds is enough for all of them. */
void writer_probe(struct batch *b, struct pending *p)
{
    int64_t now = writer_now_ms();
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        if (b->w->good_ms[half] > 0 && now - b->w->good_ms[half] < PROBE_FRESH_MS) {
            p->replicated[half] = b->w->replicated[half];
            continue;
        }
        p->half_err[half] = batch_need(b, half);
        if (p->half_err[half] == ERR_OK)
            p->half_err[half] = b->w->ops->probe(b->w->store, half, writer_now());
        p->n[half] = 1; /* it shares the commit's fate */
    }
}
