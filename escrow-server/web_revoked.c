/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <stdlib.h>
#include <string.h>

#define REVOKED_MAX 4096 /* org.json has at most 64 KiB */

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static enum err read_list(struct web *w, struct json_object *org)
{
    struct json_object *list;
    TRY(json_get_array(org, "revoked", REVOKED_MAX, &list));
    size_t n = json_object_array_length(list);
    w->revoked = calloc(n + 1, sizeof w->revoked[0]);
    if (w->revoked == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        size_t len;
        if (!json_object_is_type(item, json_type_string))
            return ERR_FORMAT;
        TRY(base16_decode(json_object_get_string(item), (size_t)json_object_get_string_len(item),
                          w->revoked[i], 32, &len));
        if (len != 32)
            return ERR_FORMAT;
    }
    qsort(w->revoked, n, sizeof w->revoked[0], by_id);
    w->n_revoked = n;
    return ERR_OK;
}

enum err web_revoked_load(struct web *w)
{
    struct json_object *org = NULL;
    TRY(json_strict_parse((const char *)w->child.org_json, w->child.org_json_len, &org));
    enum err e = read_list(w, org);
    json_object_put(org);
    return e;
}

bool web_revoked(const struct web *w, const uint8_t device[static 32])
{
    return bsearch(device, w->revoked, w->n_revoked, sizeof w->revoked[0], by_id) != NULL;
}
