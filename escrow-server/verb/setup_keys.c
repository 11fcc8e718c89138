/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/random.h"
#include "escrow-server/verb/setup.h"
#include "formats/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err host_of(const char *url, char ret[static PKI_HOST_MAX])
{
    if (strncmp(url, "https://", 8) != 0)
        return ERR_FORMAT;
    const char *at = url + 8;
    bool brackets = at[0] == '[';
    size_t len = brackets ? strcspn(++at, "]") : strcspn(at, ":/");
    const char *port = at + len + brackets;
    if (len == 0 || len >= PKI_HOST_MAX || *port != ':')
        return ERR_FORMAT;
    size_t digits = strspn(port + 1, "0123456789");
    if (digits == 0 || digits > 5 || port[1 + digits] != '\0')
        return ERR_FORMAT;
    unsigned long number = strtoul(port + 1, NULL, 10);
    if (number < 1 || number > 65535)
        return ERR_RANGE;
    memcpy(ret, at, len);
    ret[len] = '\0';
    return ERR_OK;
}

enum err setup_hosts(struct setup *s)
{
    for (unsigned i = 0; i < s->urls->n; i++) {
        enum err e = host_of(s->urls->item[i], s->hosts[s->n_hosts]);
        if (e != ERR_OK) {
            fprintf(stderr, "keyholt-server: --url %s: %s\n", s->urls->item[i],
                    e == ERR_RANGE ? "the port must be 1 to 65535"
                                   : "an address like https://keys.example.org:8443 is wanted");
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
