/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/state.h"
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int state_complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: %s: %s\n", what, reason);
    return code;
}

const char *state_text(enum err e)
{
    return e == ERR_NOT_FOUND ? STATE_NO_SERVER : err_text(e);
}

bool state_has_organisation(const char *root)
{
    char path[PATH_MAX];
    return file_join(root, PLACE_ORG, path, sizeof path) == ERR_OK && access(path, F_OK) == 0;
}

int state_begin(const char *root, char ret_root[static PATH_MAX], struct conf *ret_conf)
{
    enum err e = place_absolute(root, ret_root);
    if (e == ERR_OK)
        e = conf_load(ret_root, ret_conf);
    if (e == ERR_OK)
        return 0;
    if (e == ERR_FORMAT) /* conf_load() said what is wrong */
        return KH_EXIT_FAILED;
    return state_complain(KH_EXIT_FAILED, root, state_text(e));
}

int state_no_org(const char *root, enum err e)
{
    char dir[PATH_MAX];
    if (e == ERR_NOT_FOUND && !state_has_organisation(root))
        return state_complain(KH_EXIT_FAILED, root, STATE_NO_SERVER);
    if (file_join(root, KH_ORG_DIR, dir, sizeof dir) != ERR_OK)
        return state_complain(KH_EXIT_FAILED, root, "the path is too long");
    if (e == ERR_NOT_FOUND || e == ERR_AUTH || e == ERR_FORMAT || e == ERR_RANGE)
        return state_complain(
            KH_EXIT_FAILED, dir,
            "org.json, org.json.sig and root.pub do not belong together, or one is damaged or "
            "missing; put them back from the bundle");
    return state_complain(KH_EXIT_FAILED, dir, err_text(e));
}

/* Two supervisors over one state would fight for the stores. The lock goes with the process. */
enum err state_lock(const char *root)
{
    char path[PATH_MAX];
    TRY(file_join(root, PLACE_LOCK, path, sizeof path));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_from_errno(errno);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK; /* kept open on purpose */
    close(fd);
    return ERR_BUSY;
}

#define READINGS 3 /* somebody may be putting another version in its place */

struct file {
    uint8_t *p;
    size_t len;
};

static void file_free(struct file *f)
{
    free(f->p);
}
#define FILE_OF(name) __attribute__((cleanup(file_free))) struct file name = {.p = NULL}

static enum err load(const char *root, const char *place, size_t max, struct file *ret)
{
    char path[PATH_MAX];
    TRY(file_join(root, place, path, sizeof path));
    return file_read(path, max, &ret->p, &ret->len);
}

static enum err verify(const char *path, const char *ending, const void *json, size_t len,
                       const struct cr_p256_pub *pub, uint8_t ret_sig[static CR_P256_SIG])
{
    FILE_OF(sig);
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s%s", path, ending) >= (int)sizeof beside)
        return ERR_RANGE;
    TRY(file_read(beside, CR_P256_SIG, &sig.p, &sig.len));
    if (sig.len != CR_P256_SIG)
        return ERR_FORMAT;
    memcpy(ret_sig, sig.p, CR_P256_SIG);
    return org_verify(json, len, ret_sig, pub);
}

enum err state_org_signed(const char *path, const void *json, size_t len, const struct cr_p256_pub *pub,
                          uint8_t ret_sig[static CR_P256_SIG])
{
    enum err e = verify(path, ORG_SIG, json, len, pub, ret_sig);
    return e != ERR_OK && verify(path, ORG_SIG_NEXT, json, len, pub, ret_sig) == ERR_OK ? ERR_OK : e;
}

static enum err load_signed(const char *root, struct file *ret, uint8_t ret_sig[static CR_P256_SIG])
{
    FILE_OF(pem);
    struct cr_p256_pub pub;
    char path[PATH_MAX];
    TRY(load(root, PLACE_ROOT_PUB, 1024, &pem));
    TRY(cr_p256_pub_from_pem((const char *)pem.p, pem.len, &pub));
    TRY(file_join(root, PLACE_ORG, path, sizeof path));
    enum err e = ERR_AUTH;
    for (unsigned i = 0; i < READINGS && e == ERR_AUTH; i++) {
        file_free(ret);
        *ret = (struct file){.p = NULL};
        TRY(load(root, PLACE_ORG, ORG_MAX, ret));
        e = state_org_signed(path, ret->p, ret->len, &pub, ret_sig);
    }
    return e;
}

enum err state_org_bytes(const char *root, uint8_t **ret_json, size_t *ret_len,
                         uint8_t ret_sig[static CR_P256_SIG])
{
    FILE_OF(json);
    TRY(load_signed(root, &json, ret_sig));
    *ret_json = json.p;
    *ret_len = json.len;
    json.p = NULL; /* handed over */
    return ERR_OK;
}

enum err state_org(const char *root, struct org *ret, uint8_t **ret_json, size_t *ret_len)
{
    FILE_OF(json);
    FILE_OF(scratch);
    uint8_t sig[CR_P256_SIG];
    TRY(load_signed(root, &json, sig));
    scratch.len = 16 * json.len + 1024;
    scratch.p = malloc(scratch.len);
    if (scratch.p == NULL)
        return ERR_NOMEM;
    TRY(org_decode((const char *)json.p, json.len, scratch.p, scratch.len, ret));
    if (ret_json == NULL)
        return ERR_OK;
    *ret_json = json.p;
    *ret_len = json.len;
    json.p = NULL; /* handed over */
    return ERR_OK;
}
