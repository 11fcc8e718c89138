/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/org_store.h"
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "formats/base.h"
#include "formats/names.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON_FILE       KH_ORG_DIR "/org.json"
#define SIG_FILE        KH_ORG_DIR "/org.json.sig"
#define ROOT_FILE       KH_ORG_DIR "/root.pub"
#define PIN_FILE        KH_ORG_DIR "/pin"
#define NEW_DIR         KH_ORG_DIR ".new"
#define SIG_LEN         64
#define TOKENS_PER_BYTE 16 /* formats/org.h */

static enum err read_file(const char *root, const char *name, uint8_t **ret, size_t *ret_len)
{
    char path[PATH_MAX];
    TRY(file_join(root, name, path, sizeof path));
    return file_read(path, ORG_STORE_FILE_MAX, ret, ret_len);
}

static enum err write_file(const char *root, const char *name, const void *p, size_t len)
{
    char path[PATH_MAX];
    TRY(file_join(root, name, path, sizeof path));
    return file_write(path, p, len, 0644);
}

static enum err decode(const struct org_files *f, struct org *ret)
{
    size_t len = f->json_len * TOKENS_PER_BYTE + 4096;
    void *scratch = malloc(len);
    if (!scratch)
        return ERR_NOMEM;
    enum err e = org_decode((const char *)f->json, f->json_len, scratch, len, ret);
    free(scratch);
    return e;
}

enum err org_store_check(const struct org_files *f, struct org *ret, uint8_t ret_pin[static 32],
                         struct problem *why)
{
    struct cr_p256_pub pub;
    uint8_t pin[32];
    if (cr_p256_pub_from_pem((const char *)f->root, f->root_len, &pub) != ERR_OK)
        return problem_set(why, ERR_FORMAT,
                           "root.pub is not a P-256 public key in PEM; nothing was changed; ask for a new "
                           "enrolment bundle");
    if (f->sig_len != SIG_LEN || org_verify(f->json, f->json_len, f->sig, &pub) != ERR_OK)
        return problem_set(why, ERR_AUTH,
                           "org.json: its signature does not verify with the organisation's root key; "
                           "nothing was changed; ask for a new enrolment bundle");
    enum err e = decode(f, ret);
    if (e != ERR_OK)
        return problem_set(why, e, "org.json cannot be read: %s; nothing was changed", err_text(e));
    TRY(cr_sha256(f->root, f->root_len, pin));
    memcpy(ret_pin, pin, sizeof pin);
    return ERR_OK;
}

enum err org_store_pin(const char *root, uint8_t ret[static 32])
{
    uint8_t *text, pin[32];
    size_t len, n;
    TRY(read_file(root, PIN_FILE, &text, &len));
    while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    enum err e = base16_decode((const char *)text, len, pin, sizeof pin, &n);
    free(text);
    if (e != ERR_OK || n != sizeof pin)
        return ERR_FORMAT;
    memcpy(ret, pin, sizeof pin);
    return ERR_OK;
}

static enum err check_stored(const char *root, const struct org_files *f, struct org *ret,
                             struct problem *why)
{
    uint8_t pin[32], kept[32];
    TRY(org_store_check(f, ret, pin, why));
    enum err e = org_store_pin(root, kept);
    if (e == ERR_OK && memcmp(pin, kept, sizeof pin) == 0)
        return ERR_OK;
    return problem_set(why, ERR_AUTH,
                       "root.pub is not the one that was pinned at enrolment (" PIN_FILE
                       "); nothing was changed; enrol again if the organisation has a new root");
}

enum err org_store_load(const char *root, struct org *ret, struct problem *why)
{
    uint8_t *json = NULL, *sig = NULL, *pub = NULL;
    struct org_files f = {0};
    enum err e = read_file(root, JSON_FILE, &json, &f.json_len);
    if (e == ERR_OK)
        e = read_file(root, SIG_FILE, &sig, &f.sig_len);
    if (e == ERR_OK)
        e = read_file(root, ROOT_FILE, &pub, &f.root_len);
    f.json = json;
    f.sig = sig;
    f.root = pub;
    if (e == ERR_OK)
        e = check_stored(root, &f, ret, why);
    else if (e == ERR_NOT_FOUND)
        e = problem_set(why, e,
                        "this computer knows no organisation yet; nothing was changed; first: "
                        "keyholt-agent enroll --bundle DIR");
    else
        e = problem_set(why, e,
                        "the organisation's files in " KH_ORG_DIR " cannot be read: %s; nothing was changed",
                        err_text(e));
    free(json);
    free(sig);
    free(pub);
    return e;
}

static enum err check_successor(const char *root, const struct org *new, const uint8_t pin[static 32],
                                struct problem *why)
{
    uint8_t kept[32];
    enum err e = org_store_pin(root, kept);
    if (e == ERR_NOT_FOUND)
        return ERR_OK; /* the first organisation */
    if (e != ERR_OK || memcmp(kept, pin, sizeof kept) != 0)
        return problem_set(why, ERR_DENIED,
                           "this computer belongs to an organisation with another root key; nothing was "
                           "changed; compare the root's SHA-256 with your administrator");
    struct org *old = malloc(sizeof *old);
    struct problem ignored; /* stored files that do not verify are replaced by ones that do */
    if (!old)
        return problem_set(why, ERR_NOMEM, "not enough memory");
    e = org_store_load(root, old, &ignored);
    if (e == ERR_OK && new->version < old->version)
        e = problem_set(why, ERR_CONFLICT,
                        "this bundle is older (version %llu) than the one in use (version %llu); nothing was "
                        "changed; ask for the current bundle",
                        (unsigned long long)new->version, (unsigned long long)old->version);
    else
        e = ERR_OK;
    free(old);
    return e;
}

/* The policy outlives a new org.json: copied over, byte for byte; its version is what keeps an older one out.
 * It is checked whenever it is read, so one that the new organisation does not certify is none. */
static enum err carry_over(const char *root, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    uint8_t *p;
    size_t len;
    if (snprintf(from, sizeof from, "%s" KH_ORG_DIR "/%s", root, name) >= (int)sizeof from ||
        snprintf(to, sizeof to, "%s" NEW_DIR "/%s", root, name) >= (int)sizeof to)
        return ERR_RANGE;
    enum err e = file_read(from, ORG_STORE_FILE_MAX, &p, &len);
    if (e == ERR_NOT_FOUND)
        return unlink(to) == 0 || errno == ENOENT ? ERR_OK : err_from_errno(errno);
    if (e != ERR_OK)
        return e;
    e = file_write(to, p, len, 0644);
    free(p);
    return e;
}

/* The four files change together or not at all: a new folder beside, then one rename. */
static enum err keep(const char *root, const struct org_files *f, const uint8_t pin[static 32])
{
    char hex[BASE16_LEN(32) + 2], dir[PATH_MAX], beside[PATH_MAX];
    TRY(file_join(root, KH_ORG_DIR, dir, sizeof dir));
    TRY(file_join(root, NEW_DIR, beside, sizeof beside));
    TRY(file_mkdirs(dir, 0755));
    TRY(file_mkdirs(beside, 0755));
    base16_encode(pin, 32, hex);
    strcat(hex, "\n");
    TRY(write_file(root, NEW_DIR "/root.pub", f->root, f->root_len));
    TRY(write_file(root, NEW_DIR "/pin", hex, strlen(hex)));
    TRY(write_file(root, NEW_DIR "/org.json.sig", f->sig, f->sig_len));
    TRY(write_file(root, NEW_DIR "/org.json", f->json, f->json_len));
    TRY(carry_over(root, "policy.json"));
    TRY(carry_over(root, "policy.json.sig"));
    if (renameat2(AT_FDCWD, beside, AT_FDCWD, dir, RENAME_EXCHANGE) < 0)
        return err_from_errno(errno);
    return ERR_OK; /* the old files stay in the folder beside until the next change */
}

enum err org_store_install(const char *root, const struct org_files *files, struct org *ret,
                           uint8_t ret_pin[static 32], struct problem *why)
{
    uint8_t pin[32];
    TRY(org_store_check(files, ret, pin, why));
    TRY(check_successor(root, ret, pin, why));
    enum err e = keep(root, files, pin);
    if (e != ERR_OK)
        return problem_set(why, e, "the organisation's files cannot be written to " KH_ORG_DIR ": %s",
                           err_text(e));
    memcpy(ret_pin, pin, sizeof pin);
    return ERR_OK;
}

enum err org_store_bytes(const char *root, uint8_t **ret_json, size_t *ret_len, uint8_t **ret_sig,
                         size_t *ret_sig_len)
{
    uint8_t *json, *sig;
    size_t len, sig_len;
    TRY(read_file(root, JSON_FILE, &json, &len));
    enum err e = read_file(root, SIG_FILE, &sig, &sig_len);
    if (e != ERR_OK) {
        free(json);
        return e;
    }
    *ret_json = json;
    *ret_len = len;
    *ret_sig = sig;
    *ret_sig_len = sig_len;
    return ERR_OK;
}
