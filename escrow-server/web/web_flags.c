/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the server noticed about devices and stored all the same. */
#include "escrow-server/process/metrics.h"
#include "escrow-server/web/web_local.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <string.h>

static void add_hex(struct json_object *o, const char *name, const uint8_t bytes[static 32])
{
    char text[BASE16_LEN(32) + 1];
    base16_encode(bytes, 32, text);
    json_object_object_add(o, name, json_object_new_string(text));
}

static struct json_object *row_object(const struct msg_flag *f)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "time", json_object_new_uint64(f->received_us / 1000000));
    json_object_object_add(o, "kind", json_object_new_string(f->kind));
    add_hex(o, "device", f->device);
    json_object_object_add(o, "computer", json_object_new_string(f->computer));
    json_object_object_add(o, "sequence", json_object_new_uint64(f->sequence));
    add_hex(o, "record", f->record);
    return o;
}

static struct json_object *next_object(const struct msg_flag *f)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "received_us", json_object_new_uint64(f->received_us));
    add_hex(o, "device", f->device);
    json_object_object_add(o, "kind", json_object_new_string(f->kind));
    add_hex(o, "record", f->record);
    return o;
}

static void on_flags(void *ctx, enum err e, const struct msg_frame *m)
{
    static struct msg_flags_are are; /* in one thread */
    struct local *l = ctx;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_flags_are(m->body, m->len, &are);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    struct json_object *o = local_ok(), *list = json_object_new_array();
    for (unsigned i = 0; i < are.n; i++)
        json_object_array_add(list, row_object(&are.item[i]));
    json_object_object_add(o, "flags", list);
    if (are.n == MSG_FLAGS_MAX)
        json_object_object_add(o, "next", next_object(&are.item[are.n - 1]));
    local_answer(l, o, NULL);
}

/* A kind, or "" where there is none. err: FORMAT, RANGE */
static enum err read_kind(struct json_object *o, struct msg_flags *ret)
{
    const char *kind = "";
    enum err e = json_get_text(o, "kind", MSG_FLAG_KIND, &kind);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    for (unsigned i = 0; i < METRICS_FLAGS; i++)
        if (strcmp(kind, metrics_flags[i]) == 0)
            snprintf(ret->kind, sizeof ret->kind, "%s", kind);
    return ret->kind[0] != '\0' ? ERR_OK : ERR_RANGE;
}

/* What the page goes on behind. err: FORMAT, RANGE, NOT_FOUND */
static enum err read_behind(struct json_object *o, struct msg_flags *ret)
{
    TRY(json_get_u64(o, "received_us", &ret->received_us));
    TRY(ret->received_us <= FLAGS_NEWEST ? ERR_OK : ERR_RANGE);
    TRY(json_get_hex(o, "record", ret->record, sizeof ret->record));
    TRY(json_get_hex(o, "device", ret->device, sizeof ret->device));
    return read_kind(o, ret);
}

void local_flags(struct local *l)
{
    struct msg_flags ask = {.of = FLAGS_ALL, .received_us = FLAGS_NEWEST};
    struct json_object *behind;
    if (read_kind(l->request, &ask) != ERR_OK)
        return local_fail(l, ERR_FORMAT,
                          "There is no such kind of flag; there are fork, gap, clone, clock, lost, audit, "
                          "restored and identity.");
    enum err e = json_get_hex(l->request, "device", ask.device, sizeof ask.device);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return local_fail(l, ERR_FORMAT, "A device has an ID of 64 hexadecimal digits.");
    ask.of = e == ERR_OK ? FLAGS_OF_DEVICE : ask.kind[0] != '\0' ? FLAGS_OF_KIND : FLAGS_ALL;
    if (json_object_object_get_ex(l->request, "behind", &behind) && read_behind(behind, &ask) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "What the list goes on behind is no flag.");
    struct writer *body = local_begin(l, BACK_READER, MSG_FLAGS, on_flags);
    if (body == NULL)
        return;
    msg_put_flags(body, &ask);
    back_send(l->web, BACK_READER);
}
