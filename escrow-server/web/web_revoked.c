/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <stdlib.h>
#include <string.h>

#define REVOKED_MAX 4096 /* org.json has at most 64 KiB */

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static enum err read_id(struct json_object *item, uint8_t ret[static 32])
{
    size_t len;
    if (!json_object_is_type(item, json_type_string))
        return ERR_FORMAT;
    TRY(base16_decode(json_object_get_string(item), (size_t)json_object_get_string_len(item), ret, 32, &len));
    return len == 32 ? ERR_OK : ERR_FORMAT;
}

static enum err read_list(struct web *w, struct json_object *org)
{
    struct json_object *list;
    TRY(json_get_array(org, "revoked", REVOKED_MAX, &list));
    size_t n = json_object_array_length(list);
    uint8_t(*id)[32] = calloc(n + 1, sizeof id[0]);
    if (id == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        enum err e = read_id(json_object_array_get_idx(list, i), id[i]);
        if (e != ERR_OK) {
            free(id);
            return e;
        }
    }
    qsort(id, n, sizeof id[0], by_id);
    free(w->revoked);
    w->revoked = id;
    w->n_revoked = n;
    return ERR_OK;
}

enum err web_revoked_load(struct web *w)
{
    return web_revoked_read(w, w->child.org_json, w->child.org_json_len);
}

enum err web_revoked_read(struct web *w, const uint8_t *json, size_t len)
{
    struct json_object *org = NULL;
    TRY(json_strict_parse((const char *)json, len, &org));
    enum err e = read_list(w, org);
    json_object_put(org);
    return e;
}

bool web_revoked(const struct web *w, const uint8_t device[static 32])
{
    return bsearch(device, w->revoked, w->n_revoked, sizeof w->revoked[0], by_id) != NULL;
}
