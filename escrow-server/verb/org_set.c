/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/org_file.h"
#include "escrow-server/verb/verb_org.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEM_MAX 4096

static int refuse(const char *file, const char *reason)
{
    return org_complain(KH_EXIT_NO, file, reason);
}

/* The same one again does no harm, and ends what was cut off. */
static int compare(const char *root, const char *file, const struct org_file *new)
{
    static struct org org;
    uint8_t *json = NULL;
    size_t len;
    enum err e = state_org(root, &org, &json, &len);
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, PLACE_ORG, err_text(e));
    const bool same = len == new->len &&memcmp(json, new->json, len) == 0;
    free(json);
    if (!guid_equal(&org.id, &new->org.id))
        return refuse(file, "it is of another organisation");
    if (new->org.version < org.version || (new->org.version == org.version && !same))
        return refuse(file, "its version must be higher than that of the one in use");
    return KH_EXIT_OK;
}

/* Laptops would take none of the receipts of this server. */
static int check_receipt_key(const char *root, const char *file, const struct org *org)
{
    char path[PATH_MAX];
    uint8_t *pem = NULL, id[CR_KEY_ID];
    size_t len = 0;
    struct cr_p256_key *key = NULL;
    struct cr_p256_pub pub;
    enum err e = file_join(root, PLACE_WRITER "/" NAME_RECEIPT_KEY, path, sizeof path);
    if (e == ERR_OK)
        e = file_read(path, PEM_MAX, &pem, &len);
    if (e == ERR_OK)
        e = cr_p256_from_pem((const char *)pem, len, NULL, &key);
    if (e == ERR_OK)
        e = cr_p256_public(key, &pub);
    if (e == ERR_OK)
        e = cr_p256_id(&pub, id);
    cr_p256_free(key);
    if (pem != NULL)
        cr_wipe(pem, len);
    free(pem);
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, path, err_text(e));
    for (unsigned i = 0; i < org->n_receipt; i++)
        if (memcmp(org->receipt[i].id, id, sizeof id) == 0)
            return KH_EXIT_OK;
    return refuse(file, "it has no longer the receipt key that this server signs with");
}

static int check(const char *root, const char *file, const struct org_file *f,
                 uint8_t sig[static CR_P256_SIG])
{
    char path[PATH_MAX];
    struct cr_p256_pub pub;
    enum err e = file_join(root, PLACE_ROOT_PUB, path, sizeof path);
    if (e == ERR_OK)
        e = org_file_pub(path, &pub);
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, PLACE_ROOT_PUB, err_text(e));
    if (state_org_signed(file, f->json, f->len, &pub, sig) != ERR_OK)
        return refuse(file, "its signature does not verify under the root key of this server's organisation");
    int code = compare(root, file, f);
    return code == KH_EXIT_OK ? check_receipt_key(root, file, &f->org) : code;
}

static enum err write_to(const char *root, const char *place, const void *p, size_t len)
{
    char path[PATH_MAX];
    TRY(file_join(root, place, path, sizeof path));
    return file_write(path, p, len, 0644);
}

/* What an earlier one left undone: the next signature is about to be another one. */
static enum err end_earlier(const char *root)
{
    uint8_t *json, sig[CR_P256_SIG];
    size_t len;
    TRY(state_org_bytes(root, &json, &len, sig));
    free(json);
    return write_to(root, PLACE_ORG_SIG, sig, sizeof sig);
}

/* At each moment one of the two signatures is that of the file: state_org_signed(). ret_changed: the file is
 * there, whatever follows */
static enum err put(const char *root, const struct org_file *f, const uint8_t sig[static CR_P256_SIG],
                    bool *ret_changed)
{
    char path[PATH_MAX];
    TRY(end_earlier(root));
    TRY(write_to(root, PLACE_ORG_NEXT, sig, CR_P256_SIG));
    TRY(write_to(root, PLACE_ORG, f->json, f->len));
    *ret_changed = true;
    TRY(write_to(root, PLACE_ORG_SIG, sig, CR_P256_SIG));
    TRY(file_join(root, PLACE_ORG_NEXT, path, sizeof path));
    return unlink(path) == 0 ? ERR_OK : err_from_errno(errno);
}

/* One at a time. */
static int install(const char *root, const char *file, const struct org_file *f)
{
    uint8_t sig[CR_P256_SIG];
    char path[PATH_MAX];
    int held;
    bool changed = false;
    enum err e = file_join(root, PLACE_ORG, path, sizeof path);
    if (e == ERR_OK)
        e = file_hold_folder(path, &held);
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, PLACE_ORG, err_text(e));
    int code = check(root, file, f, sig);
    if (code == KH_EXIT_OK && (e = put(root, f, sig, &changed)) != ERR_OK)
        code = changed ? state_complain(KH_EXIT_FAILED, "org: " PLACE_ORG,
                                        "it is in place, but what goes with it could not be written; run org "
                                        "set with it again")
                       : org_complain(KH_EXIT_FAILED, PLACE_ORG, err_text(e));
    close(held);
    return code;
}

int org_set(const char *root, const char *file, bool json)
{
    ORG_FILE(f);
    enum err e = org_file_load(file, &f);
    if (e != ERR_OK)
        return org_complain(e == ERR_NOT_FOUND || e == ERR_DENIED || e == ERR_IO ? KH_EXIT_FAILED
                                                                                 : KH_EXIT_NO,
                            file, err_text(e));
    int code = install(root, file, &f);
    if (code != KH_EXIT_OK)
        return code;
    if (json)
        printf("{\"version\":%" PRIu64 ",\"revoked\":%zu}\n", f.org.version, f.n_revoked);
    else
        printf("org.json version %" PRIu64 " is in place; devices revoked, in force at once: %zu; keys count "
               "when the server starts next; laptops take it with the bundle\n",
               f.org.version, f.n_revoked);
    return KH_EXIT_OK;
}
