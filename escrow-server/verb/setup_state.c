/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/vault/escrow_key.h"
#include "escrow-server/vault/people.h"
#include "escrow-server/verb/setup.h"
#include "formats/host/audit_chain.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PEM_MAX 4096

/* owner: an enum process_kind, or 0 for whoever runs init */
static enum err give(const struct setup *s, const char *path, unsigned owner)
{
    if (!s->as_root || owner == 0)
        return ERR_OK;
    uid_t uid = s->conf.uid[owner];
    return lchown(path, uid, uid) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err make_dir(const struct setup *s, const char *place, mode_t mode, unsigned owner)
{
    char path[PATH_MAX];
    TRY(file_join(s->root, place, path, sizeof path));
    TRY(file_mkdirs(path, mode));
    if (chmod(path, mode) != 0)
        return err_from_errno(errno);
    return give(s, path, owner);
}

static enum err put_file(const struct setup *s, const char *place, const void *p, size_t len, unsigned owner)
{
    char path[PATH_MAX];
    TRY(file_join(s->root, place, path, sizeof path));
    TRY(file_write(path, p, len, 0600));
    return give(s, path, owner);
}

static const struct secret *unless_empty(const struct secret *s)
{
    return s->len > 0 ? s : NULL;
}

/* PEM of a private key, wiped with its scope. */
struct secret_pem {
    char text[PEM_MAX];
    size_t len;
};

static void wipe_pem(struct secret_pem *p)
{
    cr_wipe(p, sizeof *p);
}
#define SECRET_PEM(name) __attribute__((cleanup(wipe_pem))) struct secret_pem name = {.len = 0}

static enum err key_pem(const struct setup *s, enum setup_key which, const struct secret *passphrase,
                        struct secret_pem *ret)
{
    return cr_p256_to_pem(s->key[which], passphrase, ret->text, sizeof ret->text, &ret->len);
}

static enum err put_key(const struct setup *s, enum setup_key which, const struct secret *passphrase,
                        const char *place, unsigned owner)
{
    SECRET_PEM(pem);
    TRY(key_pem(s, which, passphrase, &pem));
    return put_file(s, place, pem.text, pem.len, owner);
}

/* Outside the server's folders, wherever the person wants it. */
static enum err put_offline(const struct setup *s, enum setup_key which, const struct secret *passphrase,
                            const char *path)
{
    SECRET_PEM(pem);
    TRY(key_pem(s, which, passphrase, &pem));
    return file_write(path, pem.text, pem.len, 0600);
}

static enum err put_vault_key(const struct setup *s)
{
    char dir[PATH_MAX];
    TRY(file_join(s->root, PLACE_VAULT "/" NAME_ESCROW_KEYS, dir, sizeof dir));
    return escrow_key_put(dir, s->key[SETUP_VAULT], &s->id, &s->vault_passphrase, (uint64_t)time(NULL),
                          s->as_root ? s->conf.uid[PROCESS_VAULT] : geteuid());
}

/* For whoever verifies the log: beside the organisation's files. */
static enum err put_audit_pub(const struct setup *s)
{
    struct cr_p256_pub pub;
    char pem[512], path[PATH_MAX];
    size_t len;
    TRY(cr_p256_public(s->key[SETUP_AUDIT], &pub));
    TRY(cr_p256_pub_to_pem(&pub, pem, sizeof pem, &len));
    TRY(file_join(s->root, PLACE_AUDIT_PUB, path, sizeof path));
    return file_write(path, pem, len, 0644);
}

static enum err put_keys(const struct setup *s)
{
    TRY(put_offline(s, SETUP_ROOT, unless_empty(&s->root_passphrase), s->conf.root_key));
    TRY(put_offline(s, SETUP_DESK, &s->desk_passphrase, s->conf.desk_key));
    TRY(put_key(s, SETUP_POLICY, NULL, PLACE_POLICY, 0));
    TRY(put_key(s, SETUP_RECEIPT, NULL, PLACE_WRITER "/" NAME_RECEIPT_KEY, PROCESS_WRITER));
    TRY(put_key(s, SETUP_CA, NULL, PLACE_WRITER "/" NAME_CA_KEY, PROCESS_WRITER));
    TRY(put_key(s, SETUP_TLS, NULL, PLACE_WEB "/" NAME_TLS_KEY, PROCESS_WEB));
    TRY(put_file(s, PLACE_WEB "/" NAME_TLS_CERT, s->tls_pem, strlen(s->tls_pem), PROCESS_WEB));
    TRY(put_key(s, SETUP_AUDIT, unless_empty(&s->vault_passphrase), PLACE_VAULT "/" NAME_AUDIT_KEY,
                PROCESS_VAULT));
    TRY(put_audit_pub(s));
    return put_vault_key(s);
}

static enum err put_user(const struct setup *s)
{
    char path[PATH_MAX];
    TRY(file_join(s->root, PLACE_USERS, path, sizeof path));
    (void)unlink(path); /* of an init that failed half-way; there is no organisation yet */
    TRY(people_begin(path));
    TRY(people_add(path, s->user, PEOPLE_ADVANCED, &s->user_password));
    return give(s, path, PROCESS_VAULT);
}

/* The log is made once, here: to the vault a missing one is a loss, and never a new beginning. */
static enum err put_log(const struct setup *s)
{
    char path[PATH_MAX];
    struct audit_chain *log = NULL;
    TRY(file_join(s->root, PLACE_AUDIT, path, sizeof path));
    TRY(audit_open(path, (uint64_t)time(NULL), &log));
    audit_close(log);
    return give(s, path, PROCESS_VAULT);
}

enum err setup_write_state(struct setup *s)
{
    TRY(make_dir(s, KH_ETC, 0755, 0));
    TRY(make_dir(s, KH_ORG_DIR, 0755, 0));
    TRY(make_dir(s, KH_SERVER_STATE, 0755, 0));
    TRY(make_dir(s, KH_SERVER_STATE "/policy", 0700, 0));
    TRY(make_dir(s, PLACE_WEB, 0700, PROCESS_WEB));
    TRY(make_dir(s, PLACE_WRITER, 0700, PROCESS_WRITER));
    TRY(make_dir(s, PLACE_VAULT, 0700, PROCESS_VAULT));
    TRY(make_dir(s, PLACE_EXPORT, 0700, PROCESS_EXPORT));
    TRY(make_dir(s, PLACE_VAULT "/" NAME_ESCROW_KEYS, 0700, PROCESS_VAULT));
    TRY(make_dir(s, PLACE_FOREIGN, 0700, PROCESS_VAULT));
    TRY(put_keys(s));
    TRY(put_user(s));
    TRY(put_log(s));
    return conf_save(s->root, &s->conf);
}
