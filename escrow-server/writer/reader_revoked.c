/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/state.h"
#include "escrow-server/writer/reader.h"
#include <stdlib.h>

void reader_revoked_load(struct reader_revoked *r)
{
    struct org org;
    uint8_t *json = NULL;
    size_t len = 0;
    if (state_org(r->root, &org, &json, &len) != ERR_OK)
        return;
    if (guid_equal(&org.id, &r->org) && org.version >= r->version &&
        revoked_read(&r->list, json, len) == ERR_OK)
        r->version = org.version;
    free(json);
}
