/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/manage.h"
#include "agent/encrypted_place.h"
#include "agent/header_manage.h"
#include "agent/management_key.h"
#include "crypto/host/file.h"
#include "crypto/random.h"
#include <string.h>

static bool is_here(const struct agent *a, const struct management *m)
{
    return memcmp(m->device, a->key.id, sizeof m->device) == 0;
}

/* One of ours that is whole, and whose key is here; its index, -1 none. */
static int find_whole(struct agent *a, struct header *h, const struct header_management *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (header_management_is_proved(h, &list[i].m) && management_key_exists(a, &list[i].m.id))
            return (int)i;
    return -1;
}

static enum err open_with(struct agent *a, struct header *h, const struct management *m,
                          struct secret *ret_volume_key, bool *ret_bound)
{
    SECRET(key);
    int slot;
    TRY(management_key_load(a, &m->id, &key, ret_bound));
    return header_unlock(h, m->slot, &key, ret_volume_key, &slot);
}

enum err manage_unlock(struct agent *a, struct header *h, struct secret *ret_volume_key)
{
    struct header_management list[LUKS2_TOKENS];
    bool bound;
    TRY(header_reload(h));
    int i = find_whole(a, h, list, header_managements(h, list));
    enum err e = i < 0 ? ERR_NOT_FOUND : open_with(a, h, &list[i].m, ret_volume_key, &bound);
    if (e == ERR_OK)
        return ERR_OK;
    return problem_set(h->why, e == ERR_AUTH ? ERR_NOT_FOUND : e,
                       "volume %s: nothing opens it now without a person (%s); nothing was changed; give a "
                       "passphrase: keyholt-agent rotate %s --passphrase-file FILE",
                       h->device, i < 0 ? "there is no management key" : err_text(e), h->device);
}

/* Keyslot first, then the token: a keyslot that no token names is nobody's. One that is not made as the token
 * says is not ours; then only the token goes. */
static enum err remove_one(struct header *h, const struct header_management *x)
{
    const struct management *m = &x->m;
    bool named = m->state == MANAGEMENT_PENDING || m->assigned;
    if (named && header_management_fits(h, m))
        TRY(header_destroy_management(h, x->token, &m->id));
    return header_remove_management(h, x->token, &m->id);
}

/* May it go unasked? What this device began and did not finish, or cannot use any more. Where the cache does
 * not even know the volume it was lost, and the device key may be new as well: then an unfinished one goes,
 * too. */
static bool is_left_over(struct agent *a, struct header *h, const struct management *m)
{
    struct cache_volume v;
    bool lost = cache_get_volume(a->cache, &h->luks.uuid, &v) == ERR_NOT_FOUND;
    if (m->state == MANAGEMENT_PENDING)
        return is_here(a, m) || lost;
    return is_here(a, m) && (!m->assigned || !management_key_exists(a, &m->id));
}

static enum err tidy_up(struct agent *a, struct header *h)
{
    struct header_management list[LUKS2_TOKENS];
    enum err first = ERR_OK;
    unsigned n = header_managements(h, list);
    for (unsigned i = 0; i < n; i++)
        if (is_left_over(a, h, &list[i].m)) {
            enum err e = remove_one(h, &list[i]);
            first = first == ERR_OK ? e : first;
        }
    return first;
}

static uint8_t state_of(struct agent *a, struct header *h, bool was_there)
{
    struct header_management list[LUKS2_TOKENS];
    SECRET(volume_key);
    bool bound = false;
    char dir[PATH_MAX];
    unsigned n = header_managements(h, list);
    int i = find_whole(a, h, list, n);
    if (i >= 0 && open_with(a, h, &list[i].m, &volume_key, &bound) == ERR_OK) {
        management_key_forget(a, &h->luks.uuid, &list[i].m.id);
        return bound ? MANAGEMENT_TPM : MANAGEMENT_FILE;
    }
    if (file_join(a->root, KH_AGENT_STATE, dir, sizeof dir) != ERR_OK || !encrypted_place(a->root, dir))
        return MANAGEMENT_NO_PLACE;
    return n || was_there ? MANAGEMENT_LOST : MANAGEMENT_NONE;
}

enum err manage_check(struct agent *a, struct header *h, uint8_t *ret_state)
{
    struct header_management list[LUKS2_TOKENS];
    struct cache_life l = {.management = MANAGEMENT_NONE};
    enum err e = cache_get_life(a->cache, &h->luks.uuid, &l);
    bool was = e == ERR_OK && l.management >= MANAGEMENT_FILE;
    e = header_reload(h);
    if (e == ERR_OK) {
        was = was || header_managements(h, list);
        if (!h->luks.reencrypting)
            e = tidy_up(a, h);
    }
    *ret_state = state_of(a, h, was);
    return e;
}

static enum err draw(const struct agent *a, unsigned slot, struct management *m, struct secret *ret_key)
{
    uint8_t id[16];
    uint16_t spread;
    TRY(cr_random(id, sizeof id));
    TRY(cr_random(&spread, sizeof spread));
    TRY(cr_random(ret_key->bytes, MANAGEMENT_KEY));
    ret_key->len = MANAGEMENT_KEY;
    *m = (struct management){.state = MANAGEMENT_PENDING, .slot = (int)slot};
    guid_from_random(id, &m->id);
    memcpy(m->device, a->key.id, sizeof m->device);
    /* 1024 values, a power of two: no bias */
    m->count = KH_PBKDF2_MANAGEMENT_MIN + spread % (KH_PBKDF2_MANAGEMENT_MAX - KH_PBKDF2_MANAGEMENT_MIN + 1);
    return ERR_OK;
}

/* With the key as it will be found later, not as it was drawn. */
static enum err prove(struct agent *a, struct header *h, struct management *m, int token)
{
    SECRET(key);
    bool bound;
    TRY(management_key_load(a, &m->id, &key, &bound));
    TRY(header_try(h, (unsigned)m->slot, &key));
    TRY(header_fingerprint(h, (unsigned)m->slot, m->fingerprint));
    m->has_fingerprint = true;
    m->assigned = true;
    m->state = MANAGEMENT_LIVE;
    TRY(header_put_management(h, token, m, &token));
    return header_management_is_proved(h, m) ? ERR_OK : ERR_CONFLICT;
}

/* The key is durable before its keyslot, and the token before the keyslot: whatever is the last step before a
 * power cut, start-up knows what is ours. */
static enum err make(struct agent *a, struct header *h, const struct secret *volume_key)
{
    SECRET(key);
    struct management m;
    unsigned slot;
    int token = HEADER_TOKEN_NEW;
    bool bound;
    TRY(header_check_room(h, MANAGEMENT_JSON_MAX, &slot));
    TRY(draw(a, slot, &m, &key));
    enum err e = management_key_save(a, &m.id, &h->luks.uuid, &key, &bound);
    if (e != ERR_OK)
        return problem_set(h->why, e, "volume %s: its management key cannot be kept: %s", h->device,
                           e == ERR_UNSUPPORTED ? "this computer's root is not encrypted" : err_text(e));
    TRY(header_put_management(h, token, &m, &token));
    TRY(header_add_slot(h, slot, m.count, volume_key, &key));
    return prove(a, h, &m, token);
}

/* A person, or a password that he was given, opened the volume on this device: earlier ones of ours go,
 * whoever made them. */
static enum err remove_others(struct agent *a, struct header *h, const struct guid *keep)
{
    struct header_management list[LUKS2_TOKENS];
    const struct guid kept = *keep;
    unsigned n = header_managements(h, list);
    management_key_forget(a, &h->luks.uuid, &kept); /* first: without its key, start-up removes the rest */
    for (unsigned i = 0; i < n; i++)
        if (!guid_equal(&list[i].m.id, &kept))
            TRY(remove_one(h, &list[i]));
    return ERR_OK;
}

/* The sentence that stays is the first one. */
static enum err make_or_undo(struct agent *a, struct header *h, const struct secret *volume_key)
{
    enum err e = make(a, h, volume_key);
    struct problem said = *h->why;
    if (e != ERR_OK && tidy_up(a, h) != ERR_OK)
        agent_say(a, "%s; what was begun is undone at the keeper's next start", h->why->text);
    *h->why = said;
    return e;
}

enum err manage_ensure(struct agent *a, struct header *h, const struct secret *volume_key)
{
    struct header_management list[LUKS2_TOKENS];
    uint8_t state;
    TRY(manage_check(a, h, &state));
    if (state != MANAGEMENT_FILE && state != MANAGEMENT_TPM)
        TRY(make_or_undo(a, h, volume_key));
    int i = find_whole(a, h, list, header_managements(h, list));
    return i < 0 ? ERR_CONFLICT : remove_others(a, h, &list[i].m.id);
}
