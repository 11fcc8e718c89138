/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a difference between header and cache means: events, what is wanted, the volume's state. */
#include "agent/state/records.h"
#include "agent/volume/mirror.h"
#include "agent/volume/mirror_run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum err add_event(struct agent *a, const struct guid *volume, uint8_t event, uint8_t result,
                          const struct guid *key_id)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = event;
    r->result = result;
    r->key_id = *key_id;
    r->volume = *volume;
    r->event_time = (uint64_t)time(NULL);
    enum err e = records_add(a, r, NULL);
    free(r);
    return e;
}

static const char *drift_text(uint8_t what)
{
    static const char *const text[] = {"?",
                                       "its keyslot was changed",
                                       "its keyslot was removed",
                                       "this computer does not know to have made it",
                                       "it was replaced, and is in the header again",
                                       "the header has an older sequence number than before",
                                       "its token was removed; its keyslot still opens the volume",
                                       "the volume's header is destroyed"};
    return text[what <= DRIFT_DESTROYED ? what : 0];
}

enum err mirror_drift(struct mirror *m, uint8_t what, const struct guid *key_id)
{
    char id[9];
    guid_short(key_id, id);
    agent_say(m->a, "volume %s: key %s is not as it was (%s)", m->h->device, id, drift_text(what));
    TRY(add_event(m->a, &m->h->luks.uuid, EVENT_DRIFT, what, key_id));
    if (what == DRIFT_UNKNOWN || what == DRIFT_OLDER) /* a new key would not undo that */
        return ERR_OK;
    m->v.rotate = KH_CAUSE_DRIFT;
    m->drifted = true;
    m->a->wanted = true;
    return ERR_OK;
}

enum err mirror_expose(struct mirror *m, const struct guid *key_id)
{
    if (m->life.is_exposed)
        return ERR_OK;
    m->life.is_exposed = true;
    return add_event(m->a, &m->h->luks.uuid, EVENT_EXPOSED, 0, key_id);
}

static enum err note_exposed(struct agent *a, const struct guid *volume, const struct guid *key_id)
{
    struct cache_life l;
    enum err e = cache_get_life(a->cache, volume, &l);
    if (e != ERR_OK || l.is_exposed)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    l.is_exposed = true;
    TRY(cache_put_life(a->cache, &l));
    return add_event(a, volume, EVENT_EXPOSED, 0, key_id);
}

enum err mirror_note_exposed(struct agent *a, const struct guid *volume, const struct guid *key_id)
{
    TRY(cache_begin(a->cache));
    enum err e = note_exposed(a, volume, key_id);
    return cache_end(a->cache, e);
}

#define DESTROYED                                                                                            \
    "its LUKS2 header is destroyed, both copies: nothing opens it now; do not write to it; ways back: "      \
    "keyholt-agent doctor"

/* The newest one that was in use. False: there is none */
static bool newest_key(struct agent *a, const struct guid *volume, struct guid *ret)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0, i = 0;
    if (!keys || cache_keys(a->cache, volume, keys, &n) != ERR_OK)
        n = 0;
    while (i < n && (keys[i].state == KEY_PLANNED || keys[i].state == KEY_RETIRED))
        i++;
    bool found = i < n;
    if (found)
        *ret = keys[i].key_id;
    free(keys);
    return found;
}

static enum err note_destroyed(struct agent *a, struct cache_volume *v, const struct guid *key_id)
{
    v->state = VOLUME_DESTROYED;
    memcpy(v->note, DESTROYED, sizeof DESTROYED);
    TRY(cache_put_volume(a->cache, v));
    return add_event(a, &v->uuid, EVENT_DRIFT, DRIFT_DESTROYED, key_id);
}

enum err mirror_destroyed(struct agent *a, const struct guid *volume)
{
    struct cache_volume v;
    struct guid key_id;
    TRY(cache_get_volume(a->cache, volume, &v));
    if (v.state == VOLUME_DESTROYED || !newest_key(a, volume, &key_id))
        return ERR_OK;
    agent_say(a, "volume %s: %s", v.device, DESTROYED);
    TRY(cache_begin(a->cache));
    enum err e = note_destroyed(a, &v, &key_id);
    return cache_end(a->cache, e);
}

enum err mirror_went_back(struct mirror *m, const struct guid *key_id)
{
    TRY(records_restart(m->a));
    agent_say(m->a, "this computer's own records went back to an older state; they start anew");
    return add_event(m->a, &m->h->luks.uuid, EVENT_WENT_BACK, WENT_BACK_HEADER, key_id);
}

enum err mirror_life(struct mirror *m)
{
    uint8_t digest[32];
    struct cache_life *l = &m->life;
    TRY(header_digest(m->h, digest));
    bool same = memcmp(digest, l->digest, sizeof digest) == 0;
    if (l->is_exposed &&
        !same) /* another volume key: copies of the old header open nothing that is written now */
        l->is_exposed = false;
    if (m->h->luks.seqid < l->seqid && same && !m->restored)
        TRY(mirror_drift(m, DRIFT_OLDER, m->n_good ? &m->newest : &(struct guid){{0}}));
    l->seqid = m->h->luks.seqid;
    l->checked = (uint64_t)time(NULL);
    memcpy(l->digest, digest, sizeof digest);
    return cache_put_life(m->a->cache, l);
}

#define PROTECT "keyholt-agent protect "
#define ROTATE  "keyholt-agent rotate "

/* Without the device, whose name goes behind a command at its end. */
static const char *note_of(const struct mirror *m)
{
    if (m->n_live == 0 && m->n_left)
        return "another program removed the token of its recovery key; the keyslot still opens it, and goes "
               "when a new key stands; protect it: " PROTECT;
    if (m->n_live == 0)
        return "no recovery key opens it; protect it: " PROTECT;
    if (m->n_live == m->n_elsewhere)
        return "its recovery key is sealed to escrow keys that this organisation does not have; protect "
               "it: " PROTECT;
    if (m->n_half)
        return "not verified: it is being re-encrypted, and no recovery password opens it until that is "
               "done; "
               "finish it (cryptsetup reencrypt --resume-only), then protect it: " PROTECT;
    if (m->restored)
        return "a recovery key that was replaced is in the header again (an old header was restored?); "
               "rotate it";
    if (m->n_changed)
        return "a recovery keyslot was changed by another program; rotate it";
    if (m->n_unknown)
        return "the header has a recovery key that this computer does not know to have made; rotate it";
    if (m->n_unsure)
        return "a keyslot that no token names looks like that of a removed recovery key, but is not what was "
               "proved; it may still open the volume; if it is nobody's, remove it: cryptsetup luksDump, "
               "luksKillSlot";
    if (m->n_left)
        return "an old recovery password still opens it: its keyslot could not be removed; remove the token "
               "of another "
               "program that names it (cryptsetup luksDump), then rotate";
    if (m->v.state == VOLUME_WAITS_RECEIPT)
        return "its recovery key is made, sealed and opens it; the policy (escrow: receipt) waits for a "
               "server to "
               "confirm the key before it counts as protected";
    if (m->life.management == MANAGEMENT_LOST)
        return "the key with which this computer replaces its recovery password by itself is gone for good "
               "(its "
               "file or keyslot, or the TPM was cleared or replaced); rotate it once with a "
               "passphrase: " ROTATE;
    if (m->n_ignored)
        return "the recovery app opens it with its recovery key, and a plain boot prompt does not: somebody "
               "gave the keyslot the priority \"ignore\"; give it \"normal\" (cryptsetup config), or make a "
               "new one: " ROTATE;
    return "";
}

/* A name too long for the sentence is left out; what is to be done is not. */
static void put_note(struct mirror *m, const char *note)
{
    size_t len = strlen(note);
    const char *device = len && note[len - 1] == ' ' ? m->h->device : "";
    if (len + strlen(device) >= sizeof m->v.note)
        device = "DEVICE";
    (void)snprintf(m->v.note, sizeof m->v.note, "%s%s", note, device);
}

/* Policy escrow = receipt: a volume counts as protected only when a server has confirmed a key of it. For the
 * beginning only: one that counted once goes on, whatever the servers do (invariant 6). */
static bool waits_for_receipt(const struct mirror *m)
{
    return m->a->policy.escrow == POLICY_RECEIPT && m->v.state != VOLUME_PROTECTED &&
           m->v.state != VOLUME_DESTROYED && !m->receipted;
}

static uint8_t state_of(const struct mirror *m)
{
    uint8_t way_in = m->life.management;
    bool alone = way_in == MANAGEMENT_FILE || way_in == MANAGEMENT_TPM;
    if (m->n_live == m->n_elsewhere + m->n_half) /* none at all, too */
        return VOLUME_PENDING;
    if ((m->v.rotate && !alone) || way_in == MANAGEMENT_LOST)
        return VOLUME_NEEDS_SECRET;
    return waits_for_receipt(m) ? VOLUME_WAITS_RECEIPT : VOLUME_PROTECTED;
}

void mirror_judge(struct mirror *m)
{
    uint8_t before = m->v.state;
    if (m->made && !m->drifted)
        m->v.rotate = 0;
    m->v.state = state_of(m);
    if (before == VOLUME_WAITS_RECEIPT && m->v.state == VOLUME_PROTECTED)
        agent_say(m->a, "volume %s: a server has confirmed its recovery key; it is protected", m->h->device);
    if (m->v.state == VOLUME_PENDING || before == VOLUME_DESTROYED || !m->v.rotate || m->restored ||
        m->n_changed) { /* else it says why a rotation is wanted */
        put_note(m, note_of(m));
    }
}
