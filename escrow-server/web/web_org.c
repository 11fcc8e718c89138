/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person may replace while the server runs: org.json with its revocation list, and policy.json. Both
 * are looked at every second, and count when their signatures verify; else what held before goes on. */
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/state.h"
#include "escrow-server/web/web.h"
#include "formats/base.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void stamp_one(const struct web *w, const char *place, struct web_stamp *ret)
{
    char path[PATH_MAX];
    struct stat st = {0};
    if (file_join(w->child.root, place, path, sizeof path) != ERR_OK || stat(path, &st) != 0)
        return; /* stays zero: not there */
    ret->inode ^= st.st_ino;
    ret->size += (uint64_t)st.st_size;
    ret->time_ns += (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

/* Did file or signature change since they were looked at? */
static bool changed(const struct web *w, const char *place, const char *sig, struct web_stamp *stamp)
{
    struct web_stamp now = {0};
    stamp_one(w, place, &now);
    stamp_one(w, sig, &now);
    if (memcmp(&now, stamp, sizeof now) == 0)
        return false;
    *stamp = now;
    return true;
}

static void load_org(struct web *w)
{
    struct org org;
    uint8_t *json = NULL;
    size_t len = 0;
    enum err e = state_org(w->child.root, &org, &json, &len);
    if (e == ERR_OK && !guid_equal(&org.id, &w->child.org.id))
        e = ERR_CONFLICT;
    if (e == ERR_OK && org.version < w->child.org.version)
        e = ERR_VERSION;
    if (e == ERR_OK)
        e = revoked_read(&w->revoked, json, len);
    free(json);
    if (e != ERR_OK) {
        slog(SLOG_ERROR, "org", "refused=org.json reason=\"%s\"; the one before holds", err_text(e));
        return;
    }
    w->child.org.version = org.version;
    slog(SLOG_INFO, "org", "version=%llu revoked=%zu", (unsigned long long)org.version, w->revoked.n);
}

static enum err read_policy(struct web *w, struct web_policy *p)
{
    char path[PATH_MAX];
    uint8_t *sig = NULL, *json = NULL;
    size_t sig_len = 0, len = 0;
    struct cr_p256_pub pub;
    TRY(cr_p256_from_spki(w->child.org.policy.spki, sizeof w->child.org.policy.spki, &pub));
    TRY(file_join(w->child.root, PLACE_POLICY_JSON, path, sizeof path));
    TRY(file_read(path, POLICY_MAX, &json, &len));
    void *scratch = malloc(POLICY_SCRATCH(len));
    enum err e = scratch == NULL ? ERR_NOMEM : file_join(w->child.root, PLACE_POLICY_SIG, path, sizeof path);
    if (e == ERR_OK)
        e = file_read(path, POLICY_SIG, &sig, &sig_len);
    if (e == ERR_OK && sig_len != POLICY_SIG)
        e = ERR_FORMAT;
    if (e == ERR_OK)
        e = policy_verify(json, len, sig, &pub);
    if (e == ERR_OK)
        e = policy_decode((const char *)json, len, &w->child.org.id, scratch, POLICY_SCRATCH(len),
                          &p->policy);
    if (e == ERR_OK) {
        base64_encode(json, len, p->json);
        base64_encode(sig, sig_len, p->sig);
    }
    free(scratch);
    free(json);
    free(sig);
    return e;
}

static void load_policy(struct web *w)
{
    struct web_policy *p = calloc(1, sizeof *p);
    enum err e = p == NULL ? ERR_NOMEM : read_policy(w, p);
    if (e == ERR_OK && w->policy != NULL && p->policy.version < w->policy->policy.version)
        e = ERR_VERSION;
    if (e == ERR_OK) {
        free(w->policy);
        w->policy = p;
        slog(SLOG_INFO, "policy", "version=%llu", (unsigned long long)p->policy.version);
        return;
    }
    free(p);
    if (e != ERR_NOT_FOUND)
        slog(SLOG_ERROR, "policy", "refused=policy.json reason=\"%s\"; the one before holds", err_text(e));
}

void web_org_tick(struct web *w)
{
    bool first = w->org_stamp.size == 0; /* child.c read it */
    if (changed(w, PLACE_ORG, PLACE_ORG_SIG, &w->org_stamp) && !first)
        load_org(w);
    if (changed(w, PLACE_POLICY_JSON, PLACE_POLICY_SIG, &w->policy_stamp))
        load_policy(w);
}
