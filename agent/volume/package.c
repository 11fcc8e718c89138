/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/package.h"
#include "agent/state/records.h"
#include "crypto/hash.h"
#include "crypto/p256.h"
#include "crypto/random.h"
#include "formats/key_package.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MADE "package:" /* and the volume's UUID: what the newest package was made of */

/* Who can open packages: the desk keys, never a server's vault. */
struct desks {
    struct cr_p256_pub pub[ENVELOPE_RECIPIENTS];
    uint8_t id[ENVELOPE_RECIPIENTS][32];
    unsigned n;
};

static enum err find_desks(const struct org *org, struct desks *ret)
{
    ret->n = 0;
    for (unsigned i = 0; i < org->n_escrow && ret->n < ENVELOPE_RECIPIENTS; i++) {
        const struct org_key *k = &org->escrow[i];
        if (k->use != ORG_DESK)
            continue;
        TRY(cr_p256_from_spki(k->spki, sizeof k->spki, &ret->pub[ret->n]));
        memcpy(ret->id[ret->n++], k->id, sizeof k->id);
    }
    return ret->n ? ERR_OK : ERR_NOT_FOUND;
}

/* The volume key and who can open it: as long as both are the same, another package says nothing new. */
static enum err mark_of(const struct header *h, const struct desks *d, uint8_t ret[static 32])
{
    uint8_t digest[32];
    TRY(header_digest(h, digest));
    const struct cr_part parts[] = {{digest, sizeof digest}, {d->id, 32 * (size_t)d->n}};
    return cr_hash_parts(CR_SHA256, parts, 2, ret);
}

static bool is_made(struct agent *a, const char *name, const uint8_t mark[static 32])
{
    uint8_t last[32];
    size_t len;
    return cache_get(a->cache, name, last, sizeof last, &len) == ERR_OK && len == sizeof last &&
           memcmp(last, mark, sizeof last) == 0;
}

static enum err describe(const struct header *h, const struct secret *volume_key, struct key_package *ret)
{
    const struct luks2_segment *s = &h->luks.segment[0];
    struct disk_sizes sizes;
    /* libcryptsetup makes headers with one segment to the device's end, and no other */
    if (h->luks.n_segments != 1 || !s->crypt || s->size != LUKS2_TO_END || s->iv_offset || s->integrity[0] ||
        s->digest < 0 || h->luks.reencrypting || disk_ops.sizes(h->disk, &sizes) != ERR_OK ||
        strlen(s->cipher_name) >= LUKS2_NAME - 1) /* it may be cut */
        return ERR_UNSUPPORTED;
    const struct luks2_digest *d = &h->luks.digest[s->digest];
    int n = snprintf(ret->cipher, sizeof ret->cipher, "%s", s->cipher_name);
    if (n < 0 || (size_t)n >= sizeof ret->cipher)
        return ERR_UNSUPPORTED;
    ret->sector_size = s->sector_size;
    ret->offset = s->off;
    ret->size = s->size;
    ret->iv_offset = s->iv_offset;
    ret->hdr_size = (uint32_t)sizes.metadata;
    ret->keyslots_size = sizes.keyslots;
    ret->digest_hash = d->hash;
    ret->digest_iterations = d->iterations;
    memcpy(ret->label, h->luks.label, sizeof ret->label);
    memcpy(ret->subsystem, h->luks.subsystem, sizeof ret->subsystem);
    ret->volume_key = *volume_key;
    return ERR_OK;
}

static enum err seal(struct agent *a, const struct header *h, const struct desks *d,
                     const struct key_package *p, uint8_t ret[static KEY_PACKAGE_MAX], size_t *ret_len)
{
    struct envelope head = {.volume = h->luks.uuid, .time = (uint64_t)time(NULL)};
    uint8_t id[16];
    TRY(cr_random(id, sizeof id));
    guid_from_random(id, &head.key_id);
    memcpy(head.device, a->key.id, sizeof head.device);
    return key_package_seal(&head, &a->org->id, d->pub, d->n, p, ret, ret_len);
}

static enum err queue(struct agent *a, const struct header *h, const uint8_t *sealed, size_t len,
                      const char *name, const uint8_t mark[static 32])
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_KEY_PACKAGE;
    r->envelope = sealed;
    r->envelope_len = len;
    (void)snprintf(r->computer, sizeof r->computer, "%s", a->computer);
    (void)snprintf(r->label, sizeof r->label, "%s", h->luks.label);
    enum err e = cache_begin(a->cache);
    if (e == ERR_OK)
        e = records_add(a, r, NULL);
    if (e == ERR_OK)
        e = cache_set(a->cache, name, mark, 32);
    e = cache_end(a->cache, e);
    free(r);
    return e;
}

static enum err make(struct agent *a, struct header *h, const struct secret *volume_key)
{
    char uuid[GUID_TEXT], name[sizeof MADE + GUID_TEXT];
    uint8_t mark[32], sealed[KEY_PACKAGE_MAX];
    struct desks d;
    size_t len = 0;
    KEY_PACKAGE(p);
    guid_encode_lower(&h->luks.uuid, uuid);
    (void)snprintf(name, sizeof name, MADE "%s", uuid);
    TRY(find_desks(a->org, &d));
    TRY(mark_of(h, &d, mark));
    if (is_made(a, name, mark))
        return ERR_OK;
    TRY(describe(h, volume_key, &p));
    TRY(seal(a, h, &d, &p, sealed, &len));
    return queue(a, h, sealed, len, name, mark);
}

enum err package_make(struct agent *a, struct header *h, const struct secret *volume_key)
{
    if (!a->policy.key_package || !a->org)
        return ERR_OK;
    enum err e = make(a, h, volume_key);
    if (e == ERR_OK)
        return ERR_OK;
    return problem_set(h->why, e, "volume %s: no key package could be made, which the policy wants: %s",
                       h->device,
                       e == ERR_NOT_FOUND     ? "org.json names no offline desk key"
                       : e == ERR_UNSUPPORTED ? "the volume has a form that a package cannot describe"
                                              : err_text(e));
}
