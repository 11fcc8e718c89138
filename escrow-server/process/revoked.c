/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/revoked.h"
#include "formats/org.h"
#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

enum err revoked_read(struct revoked *r, const uint8_t *json, size_t len)
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
    uint8_t(*sorted)[32] = calloc(n + 1, sizeof sorted[0]);
    if (sorted == NULL)
        return ERR_NOMEM;
    memcpy(sorted, id, n * sizeof id[0]);
    free(r->id);
    *r = (struct revoked){sorted, n};
    return ERR_OK;
}

bool revoked_has(const struct revoked *r, const uint8_t device[static 32])
{
    return r->n > 0 && bsearch(device, r->id, r->n, sizeof r->id[0], by_id) != NULL;
}
