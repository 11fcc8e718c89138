#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What init makes: keys, certificates, org.json, the first token. The keys of one setup live only while it
 * runs. */

#include "crypto/err.h"
#include "crypto/p256.h"
#include "escrow-server/pki.h"
#include "escrow-server/places.h"
#include "escrow-server/verb/options.h"
#include "formats/guid.h"

enum setup_key {
    SETUP_ROOT,
    SETUP_POLICY,
    SETUP_DESK,
    SETUP_VAULT,
    SETUP_AUDIT,
    SETUP_RECEIPT,
    SETUP_CA,
    SETUP_TLS,
    SETUP_KEYS
};

struct setup {
    const char *root; /* of the server's files, absolute */
    struct conf conf;
    const char *org_name, *recovery_url, *message;
    const struct option_list *urls;
    const char *bundle_dir;
    char desk_dir[PATH_MAX];
    bool no_copying; /* at the recovery screen */
    bool as_root;    /* files can be given to other users */
    uint64_t token_days, token_uses;
    struct secret root_passphrase, desk_passphrase, vault_passphrase, user_password;
    const char *user;

    struct guid id;
    struct cr_p256_key *key[SETUP_KEYS];
    char ca_pem[PKI_PEM_MAX], tls_pem[PKI_PEM_MAX];
    char hosts[PKI_HOSTS_MAX][PKI_HOST_MAX];
    unsigned n_hosts;
};

/* Hosts out of the --url list. err: FORMAT (not https://host:port; the list's bad one is named on stderr) */
MUST_CHECK enum err setup_hosts(struct setup *s);
/* The folders of the two keys and of the bundle: apart from each other, the bundle's empty, no key there yet;
 * they are made. Sets the paths in conf. Returns an exit code, after a word on standard error. */
int setup_places(struct setup *s, const char *offline_dir, const char *desk_dir);
/* Of an init that failed half-way: the keys and the bundle. */
void setup_take_back(const struct setup *s);
/* That word. Returns code. */
int setup_complain(int code, const char *what, const char *reason);
MUST_CHECK enum err setup_make_keys(struct setup *s);
void setup_wipe(struct setup *s);

/* Folders with their owners, keys and certificates, the first user, server.conf. */
MUST_CHECK enum err setup_write_state(struct setup *s);
/* org.json and its signature in three places (server, bundle, desk), last of all the server's own: until
 * that is there, init can be run again. Also the bundle's token. */
MUST_CHECK enum err setup_write_org(struct setup *s);

/* A random enrolment token: the text for people, and its hash for the store. */
#define TOKEN_TEXT 33
MUST_CHECK enum err setup_token(char ret_text[static TOKEN_TEXT], uint8_t ret_hash[static 32]);
