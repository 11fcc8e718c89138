/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/random.h"
#include "escrow-server/verb/org_text.h"
#include "escrow-server/verb/setup.h"
#include "formats/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err setup_hosts(struct setup *s)
{
    for (unsigned i = 0; i < s->urls->n; i++) {
        if (org_server_host(s->urls->item[i], s->hosts[s->n_hosts]) != ERR_OK) {
            fprintf(stderr, "keyholt-server: --url %s: " ORG_SERVER_WANTED "\n", s->urls->item[i]);
            return ERR_FORMAT;
        }
        s->n_hosts++;
    }
    snprintf(s->conf.listen, sizeof s->conf.listen, "0.0.0.0%s", strrchr(s->urls->item[0], ':'));
    return ERR_OK;
}

enum err setup_make_keys(struct setup *s)
{
    uint8_t random[16];
    char name[128];
    TRY(cr_random(random, sizeof random));
    guid_from_random(random, &s->id);
    for (unsigned i = 0; i < SETUP_KEYS; i++)
        TRY(cr_p256_generate(&s->key[i]));
    const struct pki_ca ca = {s->key[SETUP_CA], s->ca_pem};
    snprintf(name, sizeof name, "Keyholt CA of %.48s", s->org_name);
    TRY(pki_make_ca(s->key[SETUP_CA], name, s->ca_pem));
    return pki_make_server(&ca, s->key[SETUP_TLS], (const char(*)[PKI_HOST_MAX])s->hosts, s->n_hosts,
                           s->tls_pem);
}

void setup_wipe(struct setup *s)
{
    for (unsigned i = 0; i < SETUP_KEYS; i++)
        cr_p256_free(s->key[i]);
    cr_wipe(s, sizeof *s);
}

enum err setup_token(char ret_text[static TOKEN_TEXT], uint8_t ret_hash[static 32])
{
    uint8_t random[20];
    TRY(cr_random(random, sizeof random));
    base32_encode(random, sizeof random, ret_text);
    return cr_sha256(ret_text, strlen(ret_text), ret_hash);
}
