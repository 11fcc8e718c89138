/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"

static void ask(struct store *s, enum store_half half, enum sql which, const uint8_t device[static 32])
{
    if (s->db[half]->ops->ahead == NULL)
        return;
    QUERY(q, s, half, which, "ahead");
    query_blob(&q, device, 32);
    if (which == SQL_COMMANDS)
        query_u64(&q, MSG_COMMANDS);
    q.db->ops->ahead(q.db, &q);
}

void store_ahead(struct store *s, const uint8_t device[static 32], unsigned what)
{
    static const struct {
        unsigned what;
        enum store_half half;
        enum sql which;
    } all[] = {
        {STORE_AHEAD_DEVICE, STORE_RECOVERY, SQL_DEVICE_GET},
        {STORE_AHEAD_RECOVERY, STORE_RECOVERY, SQL_KNOWN},
        {STORE_AHEAD_COMPLIANCE, STORE_COMPLIANCE, SQL_KNOWN},
        {STORE_AHEAD_COMPLIANCE, STORE_COMPLIANCE, SQL_KNOWN_FORGOTTEN},
        {STORE_AHEAD_TOLD, STORE_RECOVERY, SQL_DIGEST},
        {STORE_AHEAD_TOLD, STORE_RECOVERY, SQL_COMMANDS},
    };
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        if ((what & all[i].what) != 0)
            ask(s, all[i].half, all[i].which, device);
}

void store_ahead_end(struct store *s)
{
    for (unsigned half = 0; half < STORE_HALVES; half++)
        if (s->db[half]->ops->ahead_end != NULL)
            s->db[half]->ops->ahead_end(s->db[half]);
}
