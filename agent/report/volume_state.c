/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/report/volume_state.h"
#include "agent/report/compliance.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define NOTE (PATH_MAX + 200)

static void add(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text && text[0] ? json_object_new_string(text) : NULL);
}

/* Does this BitLocker volume still have a recovery password that is escrowed? */
static bool is_escrowed(struct agent *a, const struct probed *p)
{
    struct cache_key k;
    for (unsigned i = 0; i < p->n_protectors; i++)
        if (p->protector[i].kind == PROTECTOR_RECOVERY && p->protector[i].has_id &&
            cache_get_key(a->cache, &p->protector[i].id, &k) == ERR_OK && k.state == KEY_LIVE &&
            guid_equal(&k.volume, &p->volume_id))
            return true;
    return false;
}

/* Windows keeps the keys of its volumes: what the cache remembers was proved once, and counts only while this
 * look finds its protector. */
static void check_bitlocker(struct agent *a, const struct probed *p, struct json_object *o)
{
    struct json_object *verified;
    if (json_object_object_get_ex(o, "verified", &verified) && !is_escrowed(a, p))
        json_object_object_add(o, "verified", json_object_new_boolean(false));
}

static const char *bitlocker_state(struct agent *a, const struct probed *p, const struct cache_volume *known)
{
    if (!is_escrowed(a, p))
        return "not-escrowed";
    return known && known->rotate ? "needs-unlock-secret" : "escrowed";
}

/* NULL: as the cache says. */
static const char *state_of(struct agent *a, const struct seen *s, const struct probed *p,
                            const struct cache_volume *known)
{
    switch (s->class) {
    case SEEN_LUKS2:
        return known ? NULL : "not-protected";
    case SEEN_LUKS1:
        return "not-protected";
    case SEEN_BITLOCKER:
        return bitlocker_state(a, p, known);
    case SEEN_OTHER_CRYPT:
        return "not-manageable";
    default:
        return "unencrypted";
    }
}

static const char *bitlocker_note(const char *state, const struct probed *p, const struct cache_volume *known)
{
    if (p->problem[0])
        return p->problem;
    if (strcmp(state, "needs-unlock-secret") == 0)
        return "its recovery password was shown to somebody; Windows makes a new one (manage-bde -protectors "
               "-delete and -add DRIVE: -RecoveryPassword), which is to be escrowed then";
    return known && strcmp(state, "not-escrowed") == 0
               ? "its recovery password is not the one that was escrowed"
               : "";
}

/* name: as people know the device. ret: NOTE bytes */
static void note_of(const struct seen *s, const struct probed *p, const char *state, const char *name,
                    const struct cache_volume *known, char *ret)
{
    const char *note = p->problem;
    if (s->class == SEEN_LUKS1) {
        (void)snprintf(ret, NOTE,
                       "LUKS1 has no place for a sealed password; convert it while it is closed: cryptsetup "
                       "convert %s --type luks2",
                       name);
        return;
    }
    if (s->class == SEEN_BITLOCKER)
        note = bitlocker_note(state, p, known);
    else if (s->class == SEEN_OTHER_CRYPT)
        note = s->why;
    else if (s->class == SEEN_UNENCRYPTED)
        note = s->boot         ? "what the boot loader reads; it cannot be encrypted"
               : s->part_clear ? "some of the disks below it are encrypted, not all"
                               : "";
    (void)snprintf(ret, NOTE, "%s", note);
}

void volume_state_add(struct agent *a, const struct inventory *v, unsigned i,
                      const struct cache_volume *known, const struct cache_volume *copy_of,
                      struct json_object *o)
{
    char note[NOTE], name[PATH_MAX];
    const char *state = state_of(a, &v->seen[i], &v->probed[i], known);
    inventory_name(&v->tree.device[i], name);
    if (v->seen[i].class == SEEN_BITLOCKER)
        check_bitlocker(a, &v->probed[i], o);
    if (copy_of) {
        state = "copy";
        (void)snprintf(note, sizeof note, "it has the UUID of %s; it is left alone", copy_of->device);
    } else if (state) {
        note_of(&v->seen[i], &v->probed[i], state, name, known, note);
    } else {
        return;
    }
    add(o, "state", state);
    add(o, "note", note);
}

static bool text_is(struct json_object *o, const char *name, const char *value)
{
    struct json_object *v;
    return json_object_object_get_ex(o, name, &v) && v && strcmp(json_object_get_string(v), value) == 0;
}

void volume_verdict_add(struct agent *a, const struct inventory *v, unsigned i, struct json_object *o)
{
    const struct seen *s = &v->seen[i];
    const struct probed *p = &v->probed[i];
    struct json_object *verified = NULL, *names = json_object_new_array();
    (void)json_object_object_get_ex(o, "verified", &verified);
    bool bitlocker = s->class == SEEN_BITLOCKER, secret = text_is(o, "state", "needs-unlock-secret");
    const struct compliance_facts f = {.class = s->class,
                                       .kind = s->kind,
                                       .boot = s->boot,
                                       .part_clear = s->part_clear,
                                       .suspended = p->suspended,
                                       .converting = p->reencrypting,
                                       .unreadable = p->problem[0] != 0,
                                       .protected_ = secret || text_is(o, "state", "protected") ||
                                                     text_is(o, "state", "escrowed"),
                                       .needs_secret = secret,
                                       .verified = bitlocker || json_object_get_boolean(verified)};
    unsigned r = text_is(o, "state", "copy") ? 0 : compliance_judge(&a->policy, &f);
    for (unsigned b = 0; b < COMPLIANCE_REASONS; b++)
        if (r >> b & 1)
            json_object_array_add(names, json_object_new_string(compliance_name(1u << b)));
    json_object_object_add(o, "compliant", json_object_new_boolean(r == 0));
    json_object_object_add(o, "reasons", names);
}
