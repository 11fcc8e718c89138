/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/report/volume_list.h"
#include "agent/device/inventory.h"
#include "agent/report/compliance.h"
#include "agent/report/volume_state.h"
#include "agent/report/volume_status.h"
#include "agent/volume/discover.h"
#include "agent/volume/sight.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct list {
    struct agent *a;
    const struct inventory *v;
    struct found *found;
    unsigned n_found;
    struct cache_volume *known;
    unsigned n_known;
    bool *shown;    /* of known */
    uint8_t *sight; /* of known: enum sight */
    struct json_object *volumes, *others;
};

static void add(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text && text[0] ? json_object_new_string(text) : NULL);
}

static void add_flag(struct json_object *o, const char *name, bool v)
{
    json_object_object_add(o, name, json_object_new_boolean(v));
}

static void add_number(struct json_object *o, const char *name, uint64_t v)
{
    json_object_object_add(o, name, json_object_new_uint64(v));
}

static void add_names(struct list *l, unsigned i, struct json_object *o)
{
    char path[PATH_MAX] = "", name[PATH_MAX];
    (void)!inventory_path(l->a->root, &l->v->tree.device[i], path);
    inventory_name(&l->v->tree.device[i], name);
    add(o, "device", path);
    add(o, "name", name);
}

static struct json_object *protectors_json(const struct probed *p)
{
    struct json_object *all = json_object_new_array();
    for (unsigned i = 0; i < p->n_protectors; i++) {
        struct json_object *o = json_object_new_object();
        char id[GUID_TEXT];
        add(o, "type", protector_name(p->protector[i].kind));
        add_number(o, "n", p->protector[i].n);
        guid_encode(&p->protector[i].id, id);
        if (p->protector[i].has_id)
            add(o, "id", id);
        json_object_array_add(all, o);
    }
    return all;
}

/* What the disk says. */
static void add_disk_facts(struct list *l, unsigned i, struct json_object *o)
{
    const struct probed *p = &l->v->probed[i];
    const struct seen *s = &l->v->seen[i];
    const struct block_device *d = &l->v->tree.device[i];
    char name[PATH_MAX];
    inventory_name(d, name);
    add(o, "name", name);
    add(o, "format", seen_class_name(s->class));
    add(o, "kind", volume_kind_name(s->kind));
    json_object_object_add(o, "size", d->size == BLOCK_SIZE_UNKNOWN ? NULL : json_object_new_uint64(d->size));
    add(o, "file_system", s->class == SEEN_UNENCRYPTED ? p->type : NULL);
    add(o, "label", p->label);
    add(o, "mount", s->mount);
    add_flag(o, "unlocked", s->unlocked);
    add_flag(o, "boot", s->boot);
    add(o, "cipher", p->cipher);
    add_number(o, "key_bits", p->key_bits);
    json_object_object_add(o, "protectors", protectors_json(p));
    add_number(o, "room", p->room);
    add_number(o, "slots", p->slots);
    add_number(o, "slots_max", p->slots_max);
    add_flag(o, "converting", p->reencrypting);
    add_flag(o, "suspended", p->suspended);
    add_flag(o, "damaged", p->damaged);
    add_flag(o, "read_only", d->read_only);
    add(o, "problem", p->problem);
}

/* Other devices with the volume's UUID. */
static void add_copies(struct list *l, const struct cache_volume *v, struct json_object *o)
{
    struct json_object *all = json_object_new_array();
    for (unsigned i = 0; i < l->n_found; i++)
        if (guid_equal(&l->found[i].uuid, &v->uuid) && l->found[i].rank != FOUND_PART &&
            strcmp(l->found[i].device, v->device) != 0)
            json_object_array_add(all, json_object_new_string(l->found[i].device));
    json_object_object_add(o, "copies", all);
}

/* The volume of the cache with this UUID. ret_copy: it is another device than this one */
static struct cache_volume *known_volume(struct list *l, unsigned i, bool *ret_copy)
{
    char path[PATH_MAX] = "";
    *ret_copy = false;
    if (!l->v->probed[i].has_volume_id || inventory_path(l->a->root, &l->v->tree.device[i], path) != ERR_OK)
        return NULL;
    for (unsigned k = 0; k < l->n_known; k++)
        if (guid_equal(&l->known[k].uuid, &l->v->probed[i].volume_id)) {
            *ret_copy = l->v->seen[i].class == SEEN_LUKS2 && strcmp(l->known[k].device, path) != 0;
            if (!*ret_copy)
                l->shown[k] = true;
            return &l->known[k];
        }
    return NULL;
}

static struct json_object *unknown_volume(struct list *l, unsigned i)
{
    static const char *const later[] = {"state", "note", "key_id", "key_id_short", "slot"};
    struct json_object *o = json_object_new_object();
    char uuid[GUID_TEXT] = "";
    add_names(l, i, o);
    if (l->v->probed[i].has_volume_id)
        guid_encode_lower(&l->v->probed[i].volume_id, uuid);
    add(o, "uuid", uuid[0] ? uuid : l->v->probed[i].uuid);
    for (size_t k = 0; k < sizeof later / sizeof later[0]; k++)
        json_object_object_add(o, later[k], NULL);
    add_flag(o, "verified", false);
    json_object_object_add(o, "escrow", NULL);
    return o;
}

static void add_volume(struct list *l, unsigned i)
{
    bool copy;
    struct cache_volume *known = known_volume(l, i, &copy);
    struct json_object *o = known && !copy ? volume_status(l->a, known) : unknown_volume(l, i);
    volume_state_add(l->a, l->v, i, copy ? NULL : known, copy ? known : NULL, o);
    add_disk_facts(l, i, o);
    volume_verdict_add(l->a, l->v, i, o);
    add_flag(o, "looked_at", true);
    add_flag(o, "present", true);
    if (known && !copy)
        add_copies(l, known, o);
    json_object_array_add(l->volumes, o);
}

static void add_other(struct list *l, unsigned i)
{
    struct json_object *o = json_object_new_object();
    add_names(l, i, o);
    add(o, "reason", l->v->seen[i].why);
    add_flag(o, "clear_swap", l->v->seen[i].clear_swap);
    add_flag(o, "no_answer", l->v->seen[i].no_answer);
    json_object_array_add(l->others, o);
}

/* The device whose header is gone; -1: it is no block device. */
static int lost_device(const struct list *l, unsigned k)
{
    return l->sight[k] == SIGHT_DESTROYED ? inventory_find(l->v, l->a->root, l->known[k].device) : -1;
}

static bool is_lost(const struct list *l, unsigned i)
{
    for (unsigned k = 0; k < l->n_known; k++)
        if (lost_device(l, k) == (int)i)
            return true;
    return false;
}

/* What it was, for the report, too: a volume that should be there and that nothing opens. */
static void add_lost(struct list *l, unsigned k, struct json_object *o)
{
    int i = lost_device(l, k);
    add(o, "state", "header-destroyed");
    add_flag(o, "verified", false);
    if (i < 0)
        return;
    const struct compliance_facts f = {.class = SEEN_LUKS2, .kind = l->v->seen[i].kind, .destroyed = true};
    unsigned r = compliance_judge(&l->a->policy, &f);
    struct json_object *names = json_object_new_array();
    add_names(l, (unsigned)i, o);
    add(o, "format", "luks2");
    add(o, "kind", volume_kind_name(l->v->seen[i].kind));
    add_number(o, "size", l->v->tree.device[i].size);
    if (r)
        json_object_array_add(names, json_object_new_string(compliance_name(r)));
    add_flag(o, "compliant", r == 0);
    json_object_object_add(o, "reasons", names);
}

/* "verified" is yes or no only of what this look read. */
static void add_sight(struct json_object *o, uint8_t sight)
{
    bool looked = sight == SIGHT_READ || sight == SIGHT_DESTROYED;
    add_flag(o, "looked_at", looked);
    if (!looked)
        json_object_object_add(o, "verified", NULL);
    add_flag(o, "present", sight != SIGHT_ABSENT);
}

/* Image files, disks that are not here now, and those without a header. */
static void add_rest(struct list *l)
{
    for (unsigned k = 0; k < l->n_known; k++) {
        if (l->shown[k])
            continue;
        struct json_object *o = volume_status(l->a, &l->known[k]);
        add(o, "name", l->known[k].device);
        if (l->sight[k] == SIGHT_DESTROYED)
            add_lost(l, k, o);
        add_sight(o, l->sight[k]);
        add_copies(l, &l->known[k], o);
        json_object_array_add(l->volumes, o);
    }
}

static enum err collect(struct list *l)
{
    TRY(discover_in(l->a, l->v, &l->found, &l->n_found));
    TRY(cache_volumes(l->a->cache, &l->known, &l->n_known));
    l->shown = calloc(l->n_known + 1, sizeof *l->shown);
    l->sight = calloc(l->n_known + 1, sizeof *l->sight);
    if (!l->shown || !l->sight)
        return ERR_NOMEM;
    for (unsigned k = 0; k < l->n_known; k++)
        l->sight[k] = sight_of(l->a, l->v, l->found, l->n_found, &l->known[k]);
    return ERR_OK;
}

static void build(struct list *l)
{
    l->volumes = json_object_new_array();
    l->others = json_object_new_array();
    for (uint8_t kind = KIND_OS; kind <= KIND_REMOVABLE; kind++)
        for (unsigned i = 0; i < l->v->tree.n; i++)
            if (l->v->seen[i].class != SEEN_NONE && l->v->seen[i].kind == kind)
                add_volume(l, i);
    for (unsigned i = 0; i < l->v->tree.n; i++)
        if (l->v->seen[i].class == SEEN_NONE && !is_lost(l, i))
            add_other(l, i);
    add_rest(l);
}

enum err volume_list(struct agent *a, const struct inventory *v, struct volume_list *ret)
{
    struct list l = {.a = a, .v = v};
    enum err e = collect(&l);
    if (e == ERR_OK) {
        build(&l);
        *ret = (struct volume_list){l.volumes, l.others};
    }
    free(l.found);
    free(l.known);
    free(l.shown);
    free(l.sight);
    return e;
}
