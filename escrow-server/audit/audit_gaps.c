/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/audit/audit_reading.h"
#include <string.h>

bool audit_is_acknowledged(const struct audit_reading *r, const struct audit_entry *alarm,
                           const struct audit_gap *gap, const struct audit_entry **ret_word)
{
    for (size_t i = 0; i < r->view.n; i++) {
        const struct audit_entry *e = &r->view.line[i].entry;
        struct audit_gap_note note;
        if (strcmp(e->chain, alarm->chain) != 0 || e->n <= alarm->n || audit_gap_decode(e, &note) != ERR_OK)
            continue;
        if (note.word == AUDIT_GAP_ACKNOWLEDGED && audit_gap_covers(&note.gap, gap)) {
            if (ret_word != NULL)
                *ret_word = e;
            return true;
        }
    }
    return false;
}

static void add_gap(struct json_object *list, const struct audit_reading *r, const struct audit_entry *alarm,
                    const struct audit_gap *g)
{
    const struct audit_entry *word = NULL;
    struct json_object *o = json_object_new_object();
    bool acknowledged = audit_is_acknowledged(r, alarm, g, &word);
    json_object_object_add(o, "alarm", json_object_new_int64((int64_t)alarm->n));
    json_object_object_add(o, "lost", json_object_new_int64((int64_t)g->lost));
    json_object_object_add(o, "have", json_object_new_int64((int64_t)g->have));
    json_object_object_add(o, "from", json_object_new_int64((int64_t)g->from));
    json_object_object_add(o, "to", json_object_new_int64((int64_t)g->to));
    json_object_object_add(o, "until", json_object_new_int64((int64_t)g->until));
    json_object_object_add(o, "acknowledged", json_object_new_boolean(acknowledged));
    if (acknowledged) {
        json_object_object_add(o, "entry", json_object_new_int64((int64_t)word->n));
        json_object_object_add(o, "who", json_object_new_string(word->who));
        json_object_object_add(o, "reason", json_object_new_string(word->reason));
    }
    json_object_array_add(list, o);
}

struct json_object *audit_gaps_json(const struct audit_reading *r)
{
    struct json_object *list = json_object_new_array();
    struct audit_gap_note note;
    for (size_t i = 0; i < r->view.n; i++)
        if (!r->view.line[i].foreign && audit_gap_decode(&r->view.line[i].entry, &note) == ERR_OK &&
            note.word == AUDIT_GAP_ALARM)
            add_gap(list, r, &r->view.line[i].entry, &note.gap);
    return list;
}
