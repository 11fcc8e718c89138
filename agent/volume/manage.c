/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/manage.h"
#include "agent/tpm/tpm.h"
#include "agent/volume/encrypted_place.h"
#include "agent/volume/header_manage.h"
#include "agent/volume/manage_again.h"
#include "agent/volume/management_key.h"
#include "crypto/host/file.h"
#include "crypto/random.h"
#include <string.h>

static bool is_here(const struct agent *a, const struct management *m)
{
    return memcmp(m->device, a->key.id, sizeof m->device) == 0;
}

/* The disk's own troubles, which say nothing of the key. */
static bool may_pass(enum err e)
{
    return e == ERR_BUSY || e == ERR_NOMEM || e == ERR_TIMEOUT || e == ERR_IO;
}

/* Is the TPM that it waits for this computer's own? One that a person gave up (he enrolled the computer anew,
 * under another key) is not waited for. */
static enum err whose_tpm(const struct agent *a, const struct management *m, enum err e)
{
    return e == ERR_OFFLINE && !is_here(a, m) ? ERR_NOT_FOUND : e;
}

static enum err open_with(struct agent *a, struct header *h, const struct management *m,
                          struct secret *ret_volume_key, bool *ret_bound)
{
    SECRET(key);
    int slot;
    TRY(whose_tpm(a, m, management_key_load(a, &m->id, &key, ret_bound)));
    return header_unlock(h, m->slot, &key, ret_volume_key, &slot);
}

/* What keeps a volume from opening may pass, of one keyslot at least. */
static enum err graver(enum err so_far, enum err now)
{
    return so_far == ERR_NOT_FOUND || now == ERR_OFFLINE || may_pass(now) ? now : so_far;
}

/* With the first that is whole, whose key is here, and which opens.
 * ret_which: it. err: NOT_FOUND (there is none), OFFLINE (the TPM is away), or what kept it from opening */
static enum err open_any(struct agent *a, struct header *h, struct secret *ret_volume_key,
                         struct management *ret_which, bool *ret_bound)
{
    struct header_management list[LUKS2_TOKENS];
    enum err e = ERR_NOT_FOUND;
    unsigned n = header_managements(h, list);
    for (unsigned i = 0; i < n; i++) {
        const struct management *m = &list[i].m;
        if (!header_management_is_proved(h, m) || !management_key_exists(a, &m->id))
            continue;
        enum err one = open_with(a, h, m, ret_volume_key, ret_bound);
        if (one == ERR_OK) {
            *ret_which = *m;
            return ERR_OK;
        }
        e = graver(e, one);
    }
    return e;
}

enum err manage_unlock(struct agent *a, struct header *h, struct secret *ret_volume_key)
{
    struct management m;
    bool bound;
    TRY(header_reload(h));
    enum err e = open_any(a, h, ret_volume_key, &m, &bound);
    if (e == ERR_OK)
        return ERR_OK;
    if (e == ERR_OFFLINE)
        return problem_set(
            h->why, e,
            "volume %s: the TPM that holds its management key cannot be asked now; nothing was "
            "changed; it is done when the TPM is back, or at once with a passphrase: "
            "keyholt-agent rotate %s --passphrase-file FILE",
            h->device, h->device);
    return problem_set(h->why, may_pass(e) ? ERR_BUSY : ERR_NOT_FOUND,
                       "volume %s: nothing opens it now without a person (%s); nothing was changed; give a "
                       "passphrase: keyholt-agent rotate %s --passphrase-file FILE",
                       h->device, e == ERR_NOT_FOUND ? "there is no management key" : err_text(e), h->device);
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

/* Keys that no token names any more go, too: keys are made before their tokens, and outlive nothing. */
static void forget_unnamed(struct agent *a, struct header *h)
{
    struct header_management list[LUKS2_TOKENS];
    struct guid named[LUKS2_TOKENS];
    unsigned n = header_managements(h, list);
    for (unsigned i = 0; i < n; i++)
        named[i] = list[i].m.id;
    management_key_forget(a, &h->luks.uuid, named, n);
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
    enum err again = manage_again(a, h);
    if (first == ERR_OK && again == ERR_OK)
        forget_unnamed(a, h);
    return first == ERR_OK && again != ERR_OFFLINE ? again : first;
}

/* Why none opens. last: what the last look said */
static uint8_t without(struct agent *a, enum err why, uint8_t last, bool was_there)
{
    char dir[PATH_MAX];
    if (why == ERR_OFFLINE)
        return MANAGEMENT_AWAY;
    if (may_pass(why) && last)
        return last;
    if (file_join(a->root, KH_AGENT_STATE, dir, sizeof dir) != ERR_OK || !encrypted_place(a->root, dir))
        return MANAGEMENT_NO_PLACE;
    return was_there ? MANAGEMENT_LOST : MANAGEMENT_NONE;
}

/* ret_working: whether one opens now, and ret_id then is its key */
static enum err check(struct agent *a, struct header *h, uint8_t *ret_state, bool *ret_working,
                      struct guid *ret_id)
{
    struct header_management list[LUKS2_TOKENS];
    struct cache_life l = {.management = MANAGEMENT_NONE};
    struct management m = {.state = 0};
    SECRET(volume_key);
    bool bound = false;
    bool was = cache_get_life(a->cache, &h->luks.uuid, &l) == ERR_OK && l.management >= MANAGEMENT_FILE;
    enum err e = header_reload(h);
    if (e == ERR_OK) {
        was = was || header_managements(h, list);
        if (!h->luks.reencrypting)
            e = tidy_up(a, h);
    }
    enum err found = open_any(a, h, &volume_key, &m, &bound);
    *ret_id = m.id;
    *ret_working = found == ERR_OK;
    *ret_state = found != ERR_OK ? without(a, found, l.management, was)
                 : bound         ? MANAGEMENT_TPM
                                 : MANAGEMENT_FILE;
    return e;
}

enum err manage_check(struct agent *a, struct header *h, uint8_t *ret_state)
{
    struct guid id;
    bool working;
    return check(a, h, ret_state, &working, &id);
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
static enum err make(struct agent *a, struct header *h, const struct secret *volume_key, struct guid *ret_id)
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
                           e == ERR_UNSUPPORTED ? "this computer's root is not encrypted"
                           : e == ERR_OFFLINE   ? "it belongs into the TPM, which cannot be used now"
                                                : err_text(e));
    TRY(header_put_management(h, token, &m, &token));
    TRY(header_add_slot(h, slot, m.count, volume_key, &key));
    TRY(prove(a, h, &m, token));
    *ret_id = m.id;
    return ERR_OK;
}

/* A person, or a password that he was given, opened the volume on this device: earlier ones of ours go,
 * whoever made them. */
static enum err remove_others(struct agent *a, struct header *h, const struct guid *keep)
{
    struct header_management list[LUKS2_TOKENS];
    const struct guid kept = *keep;
    unsigned n = header_managements(h, list);
    management_key_forget(a, &h->luks.uuid, &kept, 1); /* first: without its key, start-up removes the rest */
    for (unsigned i = 0; i < n; i++)
        if (!guid_equal(&list[i].m.id, &kept))
            TRY(remove_one(h, &list[i]));
    return ERR_OK;
}

/* What was seen last may be from before the keyslot was added. The sentence that stays is the first one. */
static enum err make_or_undo(struct agent *a, struct header *h, const struct secret *volume_key,
                             struct guid *ret_id)
{
    enum err e = make(a, h, volume_key, ret_id);
    struct problem said = *h->why;
    if (e != ERR_OK && (header_reload(h) != ERR_OK || tidy_up(a, h) != ERR_OK))
        agent_say(a, "%s; what was begun is undone at the keeper's next start", h->why->text);
    *h->why = said;
    return e;
}

enum err manage_ensure(struct agent *a, struct header *h, const struct secret *volume_key)
{
    struct guid id;
    uint8_t state;
    bool working;
    TRY(check(a, h, &state, &working, &id));
    if (state == MANAGEMENT_AWAY) /* its keyslot waits; another key in a file would be weaker than it */
        return problem_set(
            h->why, ERR_OFFLINE,
            "volume %s: the TPM that holds its management key cannot be asked now; the keyslot "
            "waits for it",
            h->device);
    if (!working && (state == MANAGEMENT_FILE || state == MANAGEMENT_TPM))
        return problem_set(h->why, ERR_BUSY, "volume %s: its management key cannot be tried now", h->device);
    if (!working)
        TRY(make_or_undo(a, h, volume_key, &id));
    return remove_others(a, h, &id);
}
