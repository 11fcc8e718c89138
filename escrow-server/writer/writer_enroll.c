/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/pki.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"
#include "formats/enroll_text.h"
#include <stdio.h>
#include <string.h>

static void refuse(struct pending *p, enum err e, const char *detail)
{
    p->err = e;
    snprintf(p->detail, sizeof p->detail, "%s", detail);
}

/* Checked here and not in the web worker: whoever takes that over must not be able to give a device's name
 * to a key of his own. */
static enum err check_signature(const struct msg_enroll *m, uint8_t ret_device[static 32])
{
    struct cr_p256_pub pub;
    uint8_t text[ENROLL_TEXT_LEN];
    TRY(cr_p256_from_spki(m->spki, sizeof m->spki, &pub));
    TRY(enroll_text(m->token, m->csr.p, m->csr.len, m->time, text));
    TRY(cr_p256_verify(&pub, text, sizeof text, m->sig));
    return cr_p256_id(&pub, ret_device);
}

/* The request is parsed only for somebody who has a token. */
static enum err admit(struct batch *b, struct pending *p, const struct msg_enroll *m, struct store_device *d)
{
    const struct store_ops *ops = b->w->ops;
    const struct pki_ca ca = {b->w->ca_key, b->w->org.ca};
    struct store_device old;
    enum err e = ops->device_get(b->w->store, d->id, &old);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_OK && (old.revoked || old.approved == DEVICE_REFUSED))
        return ERR_CONFLICT;
    /* A device that enrols again, with its own key, costs the token nothing: the answer may have been lost.
     */
    TRY(ops->token_use(b->w->store, m->token, writer_now(), e == ERR_NOT_FOUND));
    e = pki_make_courier(&ca, (const char *)m->csr.p, m->csr.len, d->id, p->certificate, d->courier);
    if (e != ERR_OK)
        return e == ERR_NOMEM ? e : ERR_FORMAT;
    return ops->device_put(b->w->store, d);
}

/* A refused request costs the token nothing. */
static enum err store_device(struct batch *b, struct pending *p, const struct msg_enroll *m,
                             struct store_device *d)
{
    TRY(batch_need(b, STORE_RECOVERY));
    TRY(b->w->ops->mark(b->w->store, STORE_RECOVERY));
    return batch_unmark(b, STORE_RECOVERY, admit(b, p, m, d));
}

void writer_enroll(struct batch *b, struct pending *p, const struct msg_enroll *m)
{
    struct store_device d = {.enrolled = writer_now(),
                             .approved = b->w->approval ? DEVICE_WAITING : DEVICE_APPROVED};
    if (check_signature(m, d.id) != ERR_OK)
        return refuse(p, ERR_AUTH, "The signature of the device key does not verify.");
    memcpy(d.spki, m->spki, sizeof d.spki);
    memcpy(d.computer, m->computer, sizeof d.computer);
    enum err e = store_device(b, p, m, &d);
    if (e == ERR_DENIED)
        return refuse(p, e, "The enrolment token is unknown, has expired or is used up; ask for a new one.");
    if (e == ERR_CONFLICT)
        return refuse(p, ERR_DENIED, "This device was revoked or refused.");
    if (e == ERR_FORMAT)
        return refuse(p, e, "The certificate request is not one of a P-256 key, or its signature is wrong.");
    if (e != ERR_OK)
        return refuse(p, e, "The server cannot store the device now.");
    memcpy(p->device, d.id, 32);
}
