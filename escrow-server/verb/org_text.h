#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What may stand in org.json, for those who write it. */

#include "crypto/err.h"
#include "escrow-server/pki.h"

/* NULL, or what is wanted instead, as a sentence. */
const char *org_name_wrong(const char *name);
const char *org_message_wrong(const char *message);
const char *org_url_wrong(const char *url); /* of self-service */

/* Host of https://host:port. err: FORMAT (no such address, or a port that is none) */
MUST_CHECK enum err org_server_host(const char *url, char ret[static PKI_HOST_MAX]);
#define ORG_SERVER_WANTED "an address like https://keys.example.org:8443 is wanted, its port 1 to 65535"
