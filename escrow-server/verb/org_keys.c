/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/org_change.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <string.h>
#include <strings.h>

#define BEGINNING 8 /* digits of an ID at least */
#define ID_DIGITS BASE16_LEN(CR_KEY_ID)

enum err org_add_text(struct json_object *o, const char *name, const char *text)
{
    struct json_object *v = json_object_new_string(text);
    return v != NULL && json_object_object_add(o, name, v) == 0 ? ERR_OK : ERR_NOMEM;
}

enum err org_key_object(const struct cr_p256_pub *pub, const char *use, struct json_object **ret)
{
    uint8_t spki[CR_P256_SPKI], id[CR_KEY_ID];
    char hex[ID_DIGITS + 1], text[BASE64_LEN(CR_P256_SPKI) + 1];
    TRY(cr_p256_to_spki(pub, spki));
    TRY(cr_p256_id(pub, id));
    base16_encode(id, sizeof id, hex);
    base64_encode(spki, sizeof spki, text);
    struct json_object *o = json_object_new_object();
    enum err e = o == NULL ? ERR_NOMEM : org_add_text(o, "id", hex);
    if (e == ERR_OK && use != NULL)
        e = org_add_text(o, "use", use);
    if (e == ERR_OK)
        e = org_add_text(o, "spki", text);
    if (e != ERR_OK)
        json_object_put(o);
    else
        *ret = o;
    return e;
}

/* One of the two lists of keys. */
struct keys {
    struct org_edit *x;
    struct json_object *list;
    const char *kind;
    size_t max;
};

static const char *id_at(const struct keys *k, size_t i)
{
    const char *id;
    return json_get_text(json_object_array_get_idx(k->list, i), "id", ID_DIGITS, &id) == ERR_OK ? id : "";
}

/* How many IDs begin so; ret_at: the last of them. */
static unsigned find(const struct keys *k, const char *begin, size_t *ret_at)
{
    unsigned n = 0;
    for (size_t i = 0; i < json_object_array_length(k->list); i++) {
        if (strncasecmp(id_at(k, i), begin, strlen(begin)) != 0)
            continue;
        *ret_at = i;
        n++;
    }
    return n;
}

static const char *use_at(const struct keys *k, size_t i)
{
    const char *use;
    return json_get_text(json_object_array_get_idx(k->list, i), "use", ID_DIGITS, &use) == ERR_OK ? use : "";
}

static unsigned count(const struct keys *k, const char *use)
{
    unsigned n = 0;
    for (size_t i = 0; i < json_object_array_length(k->list); i++)
        n += strcmp(use_at(k, i), use) == 0;
    return n;
}

static enum err drop(const struct keys *k, const char *id)
{
    size_t at = 0;
    if (strlen(id) < BEGINNING)
        return org_edit_refuse(k->x, ERR_FORMAT, "%s: an ID, or its first 8 digits at least, are wanted", id);
    unsigned n = find(k, id, &at);
    if (n != 1)
        return org_edit_refuse(k->x, ERR_CONFLICT, "%s: %s %s key of org.json has this ID", id,
                               n == 0 ? "no" : "more than one", k->kind);
    const char *use = use_at(k, at);
    org_edit_say(k->x, "%s key %s%s%s is dropped", k->kind, id_at(k, at), use[0] != '\0' ? " of the " : "",
                 use);
    return json_object_array_del_idx(k->list, at, 1) == 0 ? ERR_OK : ERR_INTERNAL;
}

static enum err add(const struct keys *k, const char *file, const char *use)
{
    struct cr_p256_pub pub;
    struct json_object *o;
    size_t at;
    enum err e = org_file_pub(file, &pub);
    if (e == ERR_FORMAT)
        return org_edit_refuse(k->x, ERR_CONFLICT, "%s: this is not a public P-256 key in PEM", file);
    if (e != ERR_OK)
        return org_edit_refuse(k->x, e, "%s: %s", file, err_text(e));
    TRY(org_key_object(&pub, use, &o));
    const char *id = json_object_get_string(json_object_object_get(o, "id"));
    const bool known = find(k, id, &at) > 0;
    if (known || json_object_array_length(k->list) >= k->max) {
        e = known ? org_edit_refuse(k->x, ERR_CONFLICT, "%s: org.json has this %s key already", file, k->kind)
                  : org_edit_refuse(k->x, ERR_CONFLICT, "%s: org.json has %zu %s keys, the most; drop one",
                                    file, k->max, k->kind);
        json_object_put(o);
        return e;
    }
    org_edit_say(k->x, "%s key %s is added%s%s", k->kind, id, use != NULL ? ", for the " : "",
                 use != NULL ? use : "");
    return json_object_array_add(k->list, o) == 0 ? ERR_OK : ERR_NOMEM;
}

static enum err drop_all(const struct keys *k, const struct option_list *ids)
{
    for (unsigned i = 0; i < ids->n; i++)
        TRY(drop(k, ids->item[i]));
    return ERR_OK;
}

static enum err add_all(const struct keys *k, const struct option_list *files, const char *use)
{
    for (unsigned i = 0; i < files->n; i++)
        TRY(add(k, files->item[i], use));
    return ERR_OK;
}

static enum err still_one(const struct keys *k)
{
    if (json_object_array_length(k->list) > 0)
        return ERR_OK;
    return org_edit_refuse(k->x, ERR_CONFLICT, "org.json: at least one %s key must stay; add another one",
                           k->kind);
}

/* Without the vault's nobody online opens what laptops seal from then on, without the desk's nobody opens it
 * when the server is lost. */
static enum err still_of(const struct keys *k, const char *use, unsigned before)
{
    if (before == 0 || count(k, use) > 0)
        return ERR_OK;
    return org_edit_refuse(k->x, ERR_CONFLICT,
                           "org.json: at least one %s key of the %s must stay; add another one", k->kind,
                           use);
}

/* First what goes, so that a full list can be changed, too. */
enum err org_change_keys(struct org_edit *x, const struct org_change *c)
{
    struct keys escrow = {.x = x, .kind = "escrow", .max = ORG_ESCROW_KEYS};
    struct keys receipt = {.x = x, .kind = "receipt", .max = ORG_RECEIPT_KEYS};
    TRY(json_get_array(x->o, "escrow_keys", ORG_ESCROW_KEYS, &escrow.list));
    TRY(json_get_array(x->o, "receipt_keys", ORG_RECEIPT_KEYS, &receipt.list));
    const unsigned vaults = count(&escrow, "vault"), desks = count(&escrow, "desk");
    TRY(drop_all(&escrow, &c->drop_escrow));
    TRY(drop_all(&receipt, &c->drop_receipt));
    TRY(add_all(&escrow, &c->escrow_keys, "vault"));
    TRY(add_all(&escrow, &c->desk_keys, "desk"));
    TRY(add_all(&receipt, &c->receipt_keys, NULL));
    TRY(still_one(&escrow));
    TRY(still_of(&escrow, "vault", vaults));
    TRY(still_of(&escrow, "desk", desks));
    return still_one(&receipt);
}
