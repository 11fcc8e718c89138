/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/state.h"
#include "escrow-server/writer/reader.h"
#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static enum err read_list(struct reader_revoked *r, const uint8_t *json, size_t len)
{
    static uint8_t id[ORG_REVOKED_MAX][32]; /* in one thread */
    size_t n = 0, scratch_len = 16 * len + 1024;
    void *scratch = malloc(scratch_len);
    if (scratch == NULL)
        return ERR_NOMEM;
    enum err e = org_revoked((const char *)json, len, scratch, scratch_len, id, ORG_REVOKED_MAX, &n);
    free(scratch);
    TRY(e);
    qsort(id, n, sizeof id[0], by_id);
    memcpy(r->id, id, n * sizeof id[0]);
    r->n = n;
    return ERR_OK;
}

void reader_revoked_load(struct reader_revoked *r)
{
    struct org org;
    uint8_t *json = NULL;
    size_t len = 0;
    if (state_org(r->root, &org, &json, &len) != ERR_OK)
        return;
    if (guid_equal(&org.id, &r->org) && org.version >= r->version && read_list(r, json, len) == ERR_OK)
        r->version = org.version;
    free(json);
}

bool reader_revoked(const struct reader_revoked *r, const uint8_t device[static 32])
{
    return bsearch(device, r->id, r->n, sizeof r->id[0], by_id) != NULL;
}
