/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"
#include <stdlib.h>

static void close_store(struct store *s)
{
    if (s == NULL)
        return;
    for (unsigned half = 0; half < STORE_HALVES; half++)
        if (s->db[half] != NULL)
            s->db[half]->ops->close(s->db[half]);
    free(s);
}

static enum err open_half(const struct store_place *place, enum store_half half, struct db **ret)
{
    const char *url = place->url[half];
    return url != NULL && url[0] != '\0' ? store_pg_open(place, half, ret)
                                         : store_sqlite_open(place, half, ret);
}

static enum err open_store(const struct store_place *place, struct store **ret)
{
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    s->concerns = place->concerns;
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        enum err e = open_half(place, half, &s->db[half]);
        if (e != ERR_OK) {
            close_store(s);
            return e;
        }
    }
    *ret = s;
    return ERR_OK;
}

static int tend(struct store *s)
{
    int soonest = -1;
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        int ms = s->db[half]->ops->tend(s->db[half]);
        if (ms >= 0 && (soonest < 0 || ms < soonest))
            soonest = ms;
    }
    return soonest;
}

static bool is_up(const struct store *s, enum store_half half)
{
    struct db *d = s->db[half];
    return d->ops->is_up == NULL || d->ops->is_up(d);
}

static enum err begin(struct store *s, enum store_half half)
{
    return s->db[half]->ops->begin(s->db[half]);
}

static enum err commit(struct store *s, enum store_half half, bool *ret_replicated)
{
    return s->db[half]->ops->commit(s->db[half], ret_replicated);
}

static void abandon(struct store *s, enum store_half half)
{
    s->db[half]->ops->abandon(s->db[half]);
}

static enum err mark(struct store *s, enum store_half half)
{
    return s->db[half]->ops->mark(s->db[half]);
}

static void undo(struct store *s, enum store_half half)
{
    s->db[half]->ops->undo(s->db[half]);
}

static enum err release(struct store *s, enum store_half half)
{
    return s->db[half]->ops->release(s->db[half]);
}

const struct store_ops store_sql = {
    .open = open_store,
    .close = close_store,
    .tend = tend,
    .is_up = is_up,
    .begin = begin,
    .commit = commit,
    .abandon = abandon,
    .mark = mark,
    .undo = undo,
    .release = release,
    .ahead = store_ahead,
    .ahead_end = store_ahead_end,
    .probe = store_probe,
    .device_get = store_device_get,
    .device_put = store_device_put,
    .device_seen = store_device_seen,
    .devices = store_devices,
    .device_approve = store_device_approve,
    .device_revoke = store_device_revoke,
    .token_put = store_token_put,
    .token_use = store_token_use,
    .record_put = store_record_put,
    .room = store_room,
    .post = store_post,
    .posted = store_posted,
    .envelope_put = store_envelope_put,
    .event_put = store_event_put,
    .forked = store_forked,
    .flag_put = store_flag_put,
    .flags = store_flags,
    .has_sequence = store_has_sequence,
    .known = store_known,
    .digest = store_digest,
    .packages = store_packages,
    .has_package = store_has_package,
    .missing = store_missing,
    .find = store_find,
    .boots = store_boots,
    .retain = store_retain,
    .retained = store_retained,
    .disclosed_put = store_disclosed_put,
    .command_put = store_command_put,
    .command_get = store_command_get,
    .command_answered = store_command_answered,
    .loss_orders = store_loss_orders,
    .loss_count = store_loss_count,
    .take_back = store_take_back,
    .command_done = store_command_done,
    .command_open = store_command_open,
    .command_former = store_command_former,
    .holders = store_holders,
    .uncertain = store_uncertain,
    .commands = store_commands,
};
