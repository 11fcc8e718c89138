/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/identity.h"
#include "agent/state/records.h"
#include "agent/sync/enrollment.h"
#include "agent/volume/mirror.h"
#include "agent/volume/seal.h"
#include "crypto/host/file.h"
#include "formats/envelope.h"
#include "formats/key_package.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Small values in the cache. */
#define DEVICE "device"          /* the ID that it was written under last */
#define BEFORE "identity_before" /* the one before that, until this one is enrolled, ... */
#define WHY    "identity_why"    /* ... and enum record_identity */
#define NEWS   RECORDS_NEWS      /* present: not announced yet */
#define FORMER "identity_former" /* whose certificate the courier holds */

static enum err remember(struct agent *a, const uint8_t before[static 32], enum record_identity why)
{
    uint64_t since;
    enum err enrolled = cache_get_u64(a->cache, ENROLLMENT_SINCE, &since);
    if (enrolled != ERR_OK && enrolled != ERR_NOT_FOUND)
        return enrolled;
    if (enrolled == ERR_OK)
        TRY(cache_set(a->cache, FORMER, before, 32));
    TRY(cache_unset(a->cache, ENROLLMENT_SINCE));
    TRY(cache_set(a->cache, DEVICE, a->key.id, sizeof a->key.id));
    TRY(cache_set(a->cache, BEFORE, before, 32));
    TRY(cache_set_u64(a->cache, WHY, why));
    TRY(cache_set_u64(a->cache, NEWS, 1));
    TRY(cache_clear_rotations(a->cache));
    return records_restart(a);
}

enum err identity_adopt(struct agent *a, enum record_identity why)
{
    uint8_t known[32];
    size_t len;
    enum err e = cache_get(a->cache, DEVICE, known, sizeof known, &len);
    if (e == ERR_NOT_FOUND) /* a new cache, or one of a version that could not change its identity */
        return cache_set(a->cache, DEVICE, a->key.id, sizeof a->key.id);
    if (e != ERR_OK || (len == sizeof known && memcmp(known, a->key.id, sizeof known) == 0))
        return e;
    TRY(cache_begin(a->cache));
    e = remember(a, known, why);
    return cache_end(a->cache, e);
}

enum err identity_open(struct agent *a, struct problem *why)
{
    char path[PATH_MAX];
    TRY(problem_set(why, file_join(a->root, AGENT_DEVICE_KEY, path, sizeof path), "a path is too long"));
    enum err e = device_key_load(path, a->tpm, &a->key);
    if (e != ERR_OK)
        return problem_set(why, e, "the device key %s cannot be used: %s; move it away to get a new identity",
                           path, err_text(e));
    e = identity_adopt(a, a->key.is_new ? IDENTITY_TPM : IDENTITY_LOST);
    return problem_set(why, e, "the cache cannot take the new identity: %s", err_text(e));
}

static enum err add_event(struct agent *a, struct record *r)
{
    uint64_t why = 0;
    size_t len;
    TRY(cache_get_u64(a->cache, WHY, &why));
    TRY(cache_get(a->cache, BEFORE, r->former, sizeof r->former, &len));
    r->kind = RECORD_EVENT;
    r->event = EVENT_IDENTITY;
    r->result = (uint8_t)why;
    r->event_time = (uint64_t)time(NULL);
    return records_sign(a, r, NULL);
}

static enum err add_escrow(struct agent *a, struct record *r, const struct guid *key_id,
                           const uint8_t *envelope, size_t len)
{
    struct envelope e;
    struct cache_volume v;
    if (envelope_decode(envelope, len, &e) != ERR_OK || !seal_is_to_us(a, &e))
        return ERR_OK; /* it was another organisation's */
    enum err known = cache_get_volume(a->cache, &e.volume, &v);
    if (known != ERR_OK && known != ERR_NOT_FOUND)
        return known;
    *r = (struct record){.kind = RECORD_ESCROW, .envelope = envelope, .envelope_len = len};
    (void)snprintf(r->computer, sizeof r->computer, "%s", a->computer);
    (void)snprintf(r->label, sizeof r->label, "%s", known == ERR_OK ? v.label : "");
    return records_sign(a, r, key_id);
}

static enum err add_package(struct agent *a, struct record *r, const uint8_t *bytes, size_t len)
{
    struct record old;
    struct envelope e;
    if (record_decode(bytes, len, &old) != ERR_OK ||
        key_package_decode(old.envelope, old.envelope_len, &e) != ERR_OK || !seal_is_to_us(a, &e))
        return ERR_OK; /* it was another organisation's */
    *r = old;
    return records_sign(a, r, NULL);
}

/* Key packages are in no header: only who made them can bring them again. */
static enum err announce_packages(struct agent *a, struct record *r)
{
    uint8_t before[32], name[32] = {0};
    size_t len;
    enum err e = cache_get(a->cache, BEFORE, before, sizeof before, &len);
    uint8_t *bytes = e == ERR_OK ? malloc(RECORD_MAX) : NULL;
    if (e == ERR_OK && !bytes)
        e = ERR_NOMEM;
    while (e == ERR_OK && (e = cache_next_package(a->cache, before, name, bytes, &len)) == ERR_OK)
        e = add_package(a, r, bytes, len);
    free(bytes);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Every envelope and package that the computer ever escrowed: a server knows a device by what that device
 * signed. */
static enum err announce(struct agent *a, struct record *r)
{
    struct guid key_id = {{0}};
    uint8_t envelope[ENVELOPE_MAX];
    size_t len = 0;
    enum err e;
    TRY(add_event(a, r));
    TRY(announce_packages(a, r));
    while ((e = cache_next_envelope(a->cache, &key_id, envelope, &len)) == ERR_OK)
        TRY(add_escrow(a, r, &key_id, envelope, len));
    return e == ERR_NOT_FOUND ? cache_unset(a->cache, NEWS) : e;
}

static enum err announce_at_once(struct agent *a)
{
    struct record *r = calloc(1, sizeof *r);
    enum err e = r ? cache_begin(a->cache) : ERR_NOMEM;
    if (e == ERR_OK)
        e = announce(a, r);
    e = cache_end(a->cache, e);
    free(r);
    return e;
}

enum err identity_announce(struct agent *a)
{
    uint64_t news;
    unsigned waiting = 0;
    enum err e = cache_get_u64(a->cache, NEWS, &news);
    bool batch = a->key.place == DEVICE_KEY_TPM, is_news = e == ERR_OK;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    TRY(cache_drafts(a->cache, &waiting));
    if (!is_news && !waiting)
        return ERR_OK;
    if (batch) /* many signatures, one connection */
        TRY(tpm_begin(a->tpm));
    e = is_news ? announce_at_once(a) : ERR_OK;
    if (e == ERR_OK)
        e = records_make_up(a);
    if (batch)
        tpm_end(a->tpm);
    return e;
}

/* Can the key sign now? One that is only busy can. */
static bool is_usable(struct agent *a)
{
    uint8_t sig[CR_P256_SIG];
    enum err e = device_key_sign(&a->key, a->key.id, sizeof a->key.id, sig);
    return e == ERR_OK || e == ERR_BUSY || e == ERR_NOMEM;
}

static enum err renew(struct agent *a, bool is_dead)
{
    char path[PATH_MAX];
    TRY(file_join(a->root, AGENT_DEVICE_KEY, path, sizeof path));
    enum err e = tpm_is_there(a->tpm) ? device_key_renew(path, DEVICE_KEY_TPM, &a->key) : ERR_NOT_FOUND;
    if (e == ERR_OK || e == ERR_FULL)
        return e;
    return is_dead ? device_key_renew(path, DEVICE_KEY_FILE, &a->key) : ERR_OK;
}

enum err identity_for_enrollment(struct agent *a)
{
    bool is_dead = a->key.place == DEVICE_KEY_TPM && !is_usable(a);
    if (a->key.place == DEVICE_KEY_FILE ? !tpm_is_there(a->tpm) : !is_dead)
        return ERR_OK;
    TRY(renew(a, is_dead));
    TRY(identity_adopt(a, IDENTITY_ENROLLED));
    return identity_announce(a);
}

enum err identity_former(struct agent *a, uint8_t ret_device[static 32])
{
    size_t len;
    return cache_get(a->cache, FORMER, ret_device, 32, &len);
}

const char *identity_trouble(struct agent *a)
{
    uint64_t why = 0;
    if (cache_get_u64(a->cache, WHY, &why) != ERR_OK)
        return NULL;
    switch (why) {
    case IDENTITY_TPM:
        return "the TPM that held this computer's identity was cleared or replaced (or this is another "
               "computer's disk), so it has a new one; enrol it again: keyholt-agent enroll --bundle DIR";
    case IDENTITY_LOST:
        return "the device key that this computer had is gone, so it has a new one; enrol it again: "
               "keyholt-agent enroll --bundle DIR";
    default:
        return NULL; /* whoever enrols it anew knows */
    }
}

enum err identity_enrolled(struct agent *a)
{
    TRY(cache_unset(a->cache, FORMER));
    TRY(cache_unset(a->cache, BEFORE));
    return cache_unset(a->cache, WHY);
}
