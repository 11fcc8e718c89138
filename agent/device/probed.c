/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/probed.h"
#include "formats/host/json_strict.h"
#include "formats/text.h"
#include <string.h>

#define SLOTS_MAX 32

static const char *const kinds[] = {
    [PROTECTOR_PASSPHRASE] = "passphrase",
    [PROTECTOR_RECOVERY] = "recovery-password",
    [PROTECTOR_MANAGEMENT] = "management",
    [PROTECTOR_TPM] = "tpm",
    [PROTECTOR_TPM_PIN] = "tpm+pin",
    [PROTECTOR_TPM_STARTUP_KEY] = "tpm+startup-key",
    [PROTECTOR_TPM_PIN_STARTUP_KEY] = "tpm+pin+startup-key",
    [PROTECTOR_FIDO2] = "fido2",
    [PROTECTOR_PKCS11] = "pkcs11",
    [PROTECTOR_SYSTEMD_RECOVERY] = "systemd-recovery",
    [PROTECTOR_CLEVIS] = "clevis",
    [PROTECTOR_STARTUP_KEY] = "startup-key",
    [PROTECTOR_CLEAR_KEY] = "clear-key",
    [PROTECTOR_PUBLIC_KEY] = "public-key",
    [PROTECTOR_OTHER] = "other",
};

const char *protector_name(uint8_t kind)
{
    return kind >= PROTECTOR_PASSPHRASE && kind <= PROTECTOR_OTHER ? kinds[kind] : "other";
}

void probed_add_slots(struct probed *p, uint8_t kind, unsigned n)
{
    for (unsigned i = 0; i < p->n_protectors; i++)
        if (p->protector[i].kind == kind && !p->protector[i].has_id) {
            p->protector[i].n = (uint8_t)(p->protector[i].n + n);
            return;
        }
    if (n && p->n_protectors < PROBED_PROTECTORS)
        p->protector[p->n_protectors++] = (struct probed_protector){.kind = kind, .n = (uint8_t)n};
}

/* The two directions of one member stand side by side in these tables. */
#define TEXT_MEMBER(name)                                                                                    \
    {                                                                                                        \
#name, offsetof(struct probed, name), sizeof((struct probed *)0)->name                               \
    }
static const struct {
    const char *name;
    size_t off, cap;
} texts[] = {TEXT_MEMBER(type),  TEXT_MEMBER(usage), TEXT_MEMBER(version), TEXT_MEMBER(uuid),
             TEXT_MEMBER(label), TEXT_MEMBER(table), TEXT_MEMBER(cipher),  TEXT_MEMBER(problem)};
#define FLAG_MEMBER(name)                                                                                    \
    {                                                                                                        \
#name, offsetof(struct probed, name)                                                                 \
    }
static const struct {
    const char *name;
    size_t off;
} flags[] = {FLAG_MEMBER(ambiguous), FLAG_MEMBER(ours),    FLAG_MEMBER(reencrypting),
             FLAG_MEMBER(suspended), FLAG_MEMBER(damaged), FLAG_MEMBER(decrypted)},
  numbers[] = {FLAG_MEMBER(key_bits), FLAG_MEMBER(room), FLAG_MEMBER(slots), FLAG_MEMBER(slots_max)};
#define N(table) (sizeof(table) / sizeof(table)[0])

static struct json_object *parts_json(const struct probed *p)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < p->n_parts; i++) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "number", json_object_new_uint64(p->part[i].number));
        json_object_object_add(o, "type", json_object_new_string(p->part[i].type));
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *protectors_json(const struct probed *p)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < p->n_protectors; i++) {
        const struct probed_protector *k = &p->protector[i];
        struct json_object *o = json_object_new_object();
        char id[GUID_TEXT];
        json_object_object_add(o, "kind", json_object_new_uint64(k->kind));
        json_object_object_add(o, "n", json_object_new_uint64(k->n));
        guid_encode(&k->id, id);
        if (k->has_id)
            json_object_object_add(o, "id", json_object_new_string(id));
        json_object_array_add(list, o);
    }
    return list;
}

struct json_object *probed_encode(const struct probed *p)
{
    struct json_object *o = json_object_new_object();
    const char *base = (const char *)p;
    char id[GUID_TEXT];
    json_object_object_add(o, "err", json_object_new_uint64((uint64_t)p->err));
    for (size_t i = 0; i < N(texts); i++)
        if (base[texts[i].off])
            json_object_object_add(o, texts[i].name, json_object_new_string(base + texts[i].off));
    for (size_t i = 0; i < N(flags); i++)
        if (*(const bool *)(base + flags[i].off))
            json_object_object_add(o, flags[i].name, json_object_new_uint64(1));
    for (size_t i = 0; i < N(numbers); i++) {
        uint32_t v;
        memcpy(&v, base + numbers[i].off, sizeof v);
        json_object_object_add(o, numbers[i].name, json_object_new_uint64(v));
    }
    guid_encode(&p->volume_id, id);
    if (p->has_volume_id)
        json_object_object_add(o, "volume_id", json_object_new_string(id));
    json_object_object_add(o, "parts", parts_json(p));
    json_object_object_add(o, "protectors", protectors_json(p));
    return o;
}

static enum err take_text(struct json_object *o, const char *name, char *ret, size_t cap)
{
    const char *text;
    enum err e = json_get_text(o, name, cap - 1, &text);
    if (e == ERR_OK)
        text_clean(text, strlen(text), ret, cap);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err take_number(struct json_object *o, const char *name, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    enum err e = json_get_u64(o, name, &v);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (v > max)
        return ERR_RANGE;
    *ret = v;
    return ERR_OK;
}

static enum err take_guid(struct json_object *o, const char *name, struct guid *ret, bool *ret_has)
{
    const char *text;
    enum err e = json_get_text(o, name, GUID_TEXT - 1, &text);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    TRY(guid_decode(text, strlen(text), ret));
    *ret_has = true;
    return ERR_OK;
}

static enum err take_parts(struct json_object *o, struct probed *p)
{
    struct json_object *list;
    TRY(json_get_array(o, "parts", PROBED_PARTS, &list));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        struct probed_part *part = &p->part[p->n_parts++];
        uint64_t v;
        TRY(take_number(item, "number", UINT32_MAX, &v));
        part->number = (uint32_t)v;
        TRY(take_text(item, "type", part->type, sizeof part->type));
    }
    return ERR_OK;
}

static enum err take_protectors(struct json_object *o, struct probed *p)
{
    struct json_object *list;
    TRY(json_get_array(o, "protectors", PROBED_PROTECTORS, &list));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        struct probed_protector *k = &p->protector[p->n_protectors++];
        uint64_t kind, n;
        TRY(take_number(item, "kind", PROTECTOR_OTHER, &kind));
        TRY(take_number(item, "n", SLOTS_MAX, &n));
        k->kind = (uint8_t)kind;
        k->n = (uint8_t)n;
        TRY(take_guid(item, "id", &k->id, &k->has_id));
        if (kind == 0 || n == 0)
            return ERR_FORMAT;
    }
    return ERR_OK;
}

static enum err take_all(struct json_object *o, struct probed *p)
{
    char *base = (char *)p;
    uint64_t v = 0;
    TRY(take_number(o, "err", ERR_INTERNAL, &v));
    p->err = (enum err)v;
    for (size_t i = 0; i < N(texts); i++)
        TRY(take_text(o, texts[i].name, base + texts[i].off, texts[i].cap));
    for (size_t i = 0; i < N(flags); i++) {
        TRY(take_number(o, flags[i].name, 1, &v));
        *(bool *)(base + flags[i].off) = v;
    }
    for (size_t i = 0; i < N(numbers); i++) {
        TRY(take_number(o, numbers[i].name, UINT32_MAX, &v));
        uint32_t v32 = (uint32_t)v;
        memcpy(base + numbers[i].off, &v32, sizeof v32);
    }
    TRY(take_guid(o, "volume_id", &p->volume_id, &p->has_volume_id));
    TRY(take_parts(o, p));
    return take_protectors(o, p);
}

enum err probed_decode(const char *json, size_t len, struct probed *ret)
{
    struct json_object *o = NULL;
    struct probed p = {.err = ERR_OK};
    TRY(json_strict_parse(json, len, &o));
    enum err e = take_all(o, &p);
    json_object_put(o);
    if (e == ERR_OK)
        *ret = p;
    return e;
}
