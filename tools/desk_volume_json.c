/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_volume_json.h"
#include "formats/text.h"
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* json-c gives NULL when memory is short; such an answer is not printed. */
struct out {
    struct json_object *o;
    bool failed;
};

static struct out begin(void)
{
    struct json_object *o = json_object_new_object();
    return (struct out){o, !o};
}

static void put(struct out *to, const char *name, struct json_object *value)
{
    if (to->failed || !value || json_object_object_add(to->o, name, value) != 0) {
        json_object_put(value);
        to->failed = true;
    }
}

/* Takes over what is in it, failed or not. */
static void put_object(struct out *to, const char *name, struct out *value)
{
    to->failed = to->failed || value->failed;
    put(to, name, value->o);
}

static void put_text(struct out *to, const char *name, const char *text)
{
    char clean[1024]; /* paths need not be UTF-8; JSON does */
    text_clean(text, strlen(text), clean, sizeof clean);
    put(to, name, json_object_new_string(clean));
}

static void put_number(struct out *to, const char *name, uint64_t n)
{
    put(to, name, json_object_new_uint64(n));
}

static void put_bool(struct out *to, const char *name, bool b)
{
    put(to, name, json_object_new_boolean(b));
}

static void put_guid(struct out *to, const char *name, const struct guid *g)
{
    char text[GUID_TEXT];
    guid_encode(g, text);
    put(to, name, json_object_new_string(text));
}

static struct json_object *array(struct out *to, const char *name)
{
    struct json_object *a = json_object_new_array();
    put(to, name, a);
    return to->failed ? NULL : a;
}

static void append(struct out *to, struct json_object *a, struct out *value)
{
    to->failed = to->failed || value->failed || !a;
    if (to->failed || json_object_array_add(a, value->o) != 0) {
        json_object_put(value->o);
        to->failed = true;
    }
}

static void put_kdf(struct out *to, const struct volume_kdf *kdf)
{
    struct out k = begin();
    if (!kdf->name[0]) {
        json_object_put(k.o);
        return;
    }
    put_text(&k, "name", kdf->name);
    if (kdf->hash[0])
        put_text(&k, "hash", kdf->hash);
    if (kdf->iterations) /* 0: nothing is known of this KDF but its name */
        put_number(&k, "iterations", kdf->iterations);
    if (kdf->memory_kib) {
        put_number(&k, "memory_kib", kdf->memory_kib);
        put_number(&k, "lanes", kdf->lanes);
    }
    put_object(to, "kdf", &k);
}

static struct out protector(const struct volume_protector *p)
{
    struct out o = begin();
    put_number(&o, "number", p->number);
    put_text(&o, "type", p->type);
    if (p->has_key_id)
        put_guid(&o, "key_id", &p->key_id);
    put_bool(&o, "keyholt", p->keyholt);
    put_bool(&o, "opens_here", !p->why_not[0]);
    if (p->why_not[0])
        put_text(&o, "why_not", p->why_not);
    put_kdf(&o, &p->kdf);
    if (p->changed)
        put_number(&o, "changed", p->changed);
    if (p->note[0])
        put_text(&o, "note", p->note);
    return o;
}

static struct out token(const struct volume_token *t)
{
    struct out o = begin();
    put_number(&o, "number", t->number);
    put_text(&o, "type", t->type);
    struct json_object *slots = array(&o, "keyslots");
    for (unsigned i = 0; i < 32 && slots; i++)
        if (t->slots & (uint32_t)1 << i)
            json_object_array_add(slots, json_object_new_int((int)i));
    if (t->has_key_id)
        put_guid(&o, "key_id", &t->key_id);
    if (t->state)
        put_text(&o, "state", t->state);
    return o;
}

static int print(struct out *o)
{
    const char *text =
        o->failed
            ? NULL
            : json_object_to_json_string_ext(o->o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    int ok = text && puts(text) >= 0 && fflush(stdout) == 0;
    json_object_put(o->o);
    if (ok)
        return KH_EXIT_OK;
    desk_say("the answer cannot be written");
    return KH_EXIT_FAILED;
}

static void put_text_if(struct out *to, const char *name, const char *text)
{
    if (text[0])
        put_text(to, name, text);
}

int desk_volume_json_show(const struct volume *v)
{
    const struct volume_info *info = &v->info;
    struct out o = begin();
    put_text(&o, "image", v->image.path);
    put_number(&o, "image_size", v->image.len);
    put_text(&o, "format", info->format);
    put_text_if(&o, "layout", info->variant);
    put_text(&o, "id", info->id);
    put_text_if(&o, "label", info->label);
    if (info->created)
        put_number(&o, "created", info->created);
    put_text(&o, "cipher", info->cipher_name);
    put_number(&o, "key_bits", info->key_bits);
    put_number(&o, "sector_size", info->sector_size);
    put_number(&o, "size", info->size);
    put_text(&o, "state", info->state);
    put_bool(&o, "suspended", info->suspended);
    put_bool(&o, "can_decrypt", !info->why_not[0]);
    put_text_if(&o, "why_not", info->why_not);
    put_text_if(&o, "damage", info->header);
    struct json_object *a = array(&o, "protectors");
    for (unsigned i = 0; i < info->n_protectors; i++) {
        struct out p = protector(&info->protector[i]);
        append(&o, a, &p);
    }
    a = array(&o, "tokens");
    for (unsigned i = 0; i < info->n_tokens; i++) {
        struct out t = token(&info->token[i]);
        append(&o, a, &t);
    }
    return print(&o);
}

/* The key IDs of what the key that was given could have opened. */
static void put_key_ids(struct out *to, const struct volume_info *info, enum volume_way way)
{
    struct json_object *a = array(to, "key_ids");
    for (unsigned i = 0; i < info->n_protectors && a; i++) {
        char text[GUID_TEXT];
        const struct volume_protector *p = &info->protector[i];
        guid_encode(&p->key_id, text);
        if (p->has_key_id && desk_volume_is_for(p, way))
            json_object_array_add(a, json_object_new_string(text));
    }
}

/* What could not be tried, where others were; left out when there is none. */
static void put_untried(struct out *to, const struct desk_volume_session *s)
{
    struct json_object *a = NULL;
    for (unsigned i = 0; i < s->v->info.n_protectors && !to->failed; i++) {
        const char *reason = desk_volume_untried(s, i);
        if (!reason)
            continue;
        struct out o = protector(&s->v->info.protector[i]);
        put_text(&o, "reason", reason);
        a = a ? a : array(to, "untried");
        append(to, a, &o);
    }
}

int desk_volume_json_test(const struct desk_volume_session *s, bool opens)
{
    struct out o = begin();
    put_bool(&o, "opens", opens);
    if (opens) {
        struct out p = protector(&s->v->info.protector[s->v->opened_by]);
        put_object(&o, "protector", &p);
    } else {
        put_text(&o, "reason", s->reason);
        if (s->group)
            put_number(&o, "group", s->group);
        if (s->v)
            put_key_ids(&o, &s->v->info, s->req->way);
        if (s->v && s->v->n_candidates)
            put_untried(&o, s);
    }
    return print(&o);
}

int desk_volume_json_decrypt(const struct desk_volume_session *s, uint64_t holes)
{
    struct out o = begin(), p = protector(&s->v->info.protector[s->v->opened_by]);
    put_text(&o, "out", s->req->out);
    put_number(&o, "size", s->v->info.size);
    put_number(&o, "holes", holes);
    if (s->v->missing)
        put_number(&o, "missing", s->v->missing);
    put_object(&o, "protector", &p);
    return print(&o);
}
