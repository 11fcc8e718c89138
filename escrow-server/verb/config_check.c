/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/config_check.h"
#include "escrow-server/conf_table.h"
#include "escrow-server/process/address.h"
#include "escrow-server/process/passphrase.h"
#include "escrow-server/store/store_db.h"
#include "escrow-server/vault/people.h"
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const user_keys[] = {[PROCESS_WEB] = "web-uid",
                                        [PROCESS_WRITER] = "writer-uid",
                                        [PROCESS_VAULT] = "vault-uid",
                                        [PROCESS_EXPORT] = "export-uid"};

static bool user_counts(const struct conf *c, unsigned kind)
{
    return kind != PROCESS_EXPORT || c->audit_file[0] != '\0' || c->audit_syslog[0] != '\0';
}

static bool user_is_good(const struct conf *c, unsigned kind)
{
    bool good = c->uid[kind] != 0;
    for (unsigned other = PROCESS_WEB; other < PROCESS_USERS; other++)
        good = good && (other == kind || !user_counts(c, other) || c->uid[other] != c->uid[kind]);
    return good || !user_counts(c, kind);
}

bool config_users_differ(const struct conf *c)
{
    bool differ = true;
    for (unsigned kind = PROCESS_WEB; kind < PROCESS_USERS; kind++)
        differ = differ && user_is_good(c, kind);
    return differ;
}

static unsigned line_of(const unsigned *lines, const char *key)
{
    for (unsigned i = 0; i < CONF_SETTINGS; i++)
        if (strcmp(conf_settings[i].name, key) == 0)
            return lines[i];
    return 0;
}

/* Of two that are the same, one that the file has: the other may be a default. */
static const char *wrong_user(const struct conf *c, const unsigned *lines)
{
    const char *found = NULL;
    for (unsigned kind = PROCESS_WEB; kind < PROCESS_USERS; kind++)
        if (!user_is_good(c, kind) && (found == NULL || line_of(lines, found) == 0))
            found = user_keys[kind];
    return found != NULL ? found : user_keys[PROCESS_WEB];
}

static bool is_address(const char *text)
{
    return text[0] == '\0' || address_is_good(text);
}

static bool is_receiver(const char *text)
{
    const struct sockaddr_un *local = NULL;
    bool net = strncmp(text, "tcp://", 6) == 0 || strncmp(text, "udp://", 6) == 0;
    return text[0] == '\0' || (text[0] == '/' && strlen(text) < sizeof local->sun_path) ||
           (net && address_is_good(text + 6));
}

/* Each process reads it from a folder of its own. */
static bool is_path(const char *text)
{
    return text[0] == '\0' || text[0] == '/';
}

static bool is_passphrase(const char *text)
{
    const size_t len = strlen(PASSPHRASE_CREDENTIAL);
    bool credential = strncmp(text, PASSPHRASE_CREDENTIAL, len) == 0;
    return is_path(text) || (credential && text[len] != '\0' && strchr(text + len, '/') == NULL);
}

enum err config_check(const struct conf *c, const unsigned *lines, struct conf_mistake *ret_mistake)
{
    const char *const whole = "an absolute path is wanted, or nothing";
    const char *const store[] = {store_pg_wrong(c->store[0]), store_pg_wrong(c->store[1])};
    const struct {
        const char *key;
        bool good;
        const char *wanted;
    } checks[] = {
        {wrong_user(c, lines), geteuid() != 0 || config_users_differ(c),
         "web, writer and vault, and export where audit is exported, need different users above 0"},
        {"listen", is_address(c->listen), "a numeric address and a port are wanted, as 0.0.0.0:8443"},
        {"metrics", is_address(c->metrics),
         "a numeric address and a port are wanted, as 127.0.0.1:9464, or nothing"},
        {"approval", people_are_askers(c->approval),
         "roles that may read keys are wanted: helpdesk, advanced; or nothing"},
        {"audit-file", is_path(c->audit_file), whole},
        {"audit-syslog", is_receiver(c->audit_syslog),
         "tcp://192.0.2.7:601, udp://192.0.2.7:514 or the path of a socket is wanted"},
        {"recovery", store[0] == NULL, store[0]},
        {"compliance", store[1] == NULL, store[1]},
        {"offline-root-key", is_path(c->root_key), whole},
        {"offline-desk-key", is_path(c->desk_key), whole},
        {"vault-passphrase-file", is_passphrase(c->passphrase_file),
         "an absolute path or credential:NAME is wanted, or nothing"},
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!checks[i].good) {
            *ret_mistake =
                (struct conf_mistake){.line = line_of(lines, checks[i].key), .reason = checks[i].wanted};
            snprintf(ret_mistake->key, sizeof ret_mistake->key, "%s", checks[i].key);
            return ERR_FORMAT;
        }
    return ERR_OK;
}
