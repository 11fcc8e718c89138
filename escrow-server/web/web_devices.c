/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists of devices, and what a person decides about one. */
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web_local.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <string.h>

static const char *const states[] = {[DEVICE_WAITING] = "waiting",
                                     [DEVICE_APPROVED] = "approved",
                                     [DEVICE_REFUSED] = "refused",
                                     [DEVICE_BACK] = "back"};

static const struct {
    const char *word;
    enum device_change change;
} changes[] = {{"approve", CHANGE_APPROVE},
               {"refuse", CHANGE_REFUSE},
               {"revoke", CHANGE_REVOKE},
               {"allow", CHANGE_ALLOW},
               {"report", CHANGE_REPORT}};

/* Revoked it is by the store or by org.json, whichever says so. */
static const char *state_of(const struct web *w, const struct msg_device_row *r)
{
    return r->revoked || web_revoked(w, r->device) ? "revoked" : states[r->approved];
}

static struct json_object *row_object(const struct web *w, const struct msg_device_row *r)
{
    char device[BASE16_LEN(32) + 1];
    struct json_object *o = json_object_new_object();
    base16_encode(r->device, sizeof r->device, device);
    json_object_object_add(o, "device", json_object_new_string(device));
    json_object_object_add(o, "computer", json_object_new_string(r->computer));
    json_object_object_add(o, "state", json_object_new_string(state_of(w, r)));
    json_object_object_add(o, "enrolled", json_object_new_int64((int64_t)r->enrolled));
    json_object_object_add(o, "seen", json_object_new_int64((int64_t)r->seen));
    return o;
}

static void on_devices(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_devices_are are;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_devices_are(m->body, m->len, &are);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    struct json_object *o = local_ok(), *list = json_object_new_array();
    for (unsigned i = 0; i < are.n; i++)
        json_object_array_add(list, row_object(l->web, &are.item[i]));
    json_object_object_add(o, "devices", list);
    json_object_object_add(o, "more", json_object_new_boolean(are.n == MSG_DEVICES_MAX));
    local_answer(l, o, NULL);
}

void local_devices(struct local *l)
{
    struct msg_devices ask = {0};
    struct json_object *waiting;
    enum err e = json_get_hex(l->request, "after", ask.after, sizeof ask.after);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return local_fail(l, ERR_FORMAT, "What the list goes on behind is no device ID.");
    ask.has_after = e == ERR_OK;
    ask.waiting =
        json_object_object_get_ex(l->request, "waiting", &waiting) && json_object_get_boolean(waiting);
    struct writer *body = local_begin(l, BACK_READER, MSG_DEVICES, on_devices);
    if (body == NULL)
        return;
    msg_put_devices(body, &ask);
    back_send(l->web, BACK_READER);
}

static void on_changed(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    const char *change = "?", *device = "?";
    l->waiting = 0;
    if (e != ERR_OK)
        return local_failed(l, e, m);
    if (json_get_text(l->request, "change", 16, &change) == ERR_OK &&
        json_get_text(l->request, "device", 64, &device) == ERR_OK)
        slog(SLOG_INFO, "device", "device=%s change=%s", device, change);
    local_answer(l, local_ok(), NULL);
}

void local_device(struct local *l)
{
    struct msg_change change = {.change = 0};
    const char *word;
    if (json_get_hex(l->request, "device", change.device, sizeof change.device) != ERR_OK ||
        json_get_text(l->request, "change", 16, &word) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A device has an ID of 64 hexadecimal digits.");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        if (strcmp(changes[i].word, word) == 0)
            change.change = (uint8_t)changes[i].change;
    if (change.change == 0)
        return local_fail(l, ERR_UNSUPPORTED, "The running server does not know this change.");
    struct writer *body = local_begin(l, BACK_WRITER, MSG_CHANGE, on_changed);
    if (body == NULL)
        return;
    msg_put_change(body, &change);
    back_send(l->web, BACK_WRITER);
}
