/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/config_check.h"
#include "escrow-server/process/address.h"
#include "escrow-server/vault/people.h"
#include <string.h>
#include <unistd.h>

bool config_users_differ(const struct conf *c)
{
    uid_t web = c->uid[PROCESS_WEB], writer = c->uid[PROCESS_WRITER], vault = c->uid[PROCESS_VAULT];
    uid_t export = c->uid[PROCESS_EXPORT];
    bool exports = c->audit_file[0] != '\0' || c->audit_syslog[0] != '\0';
    if (exports && (export == 0 || export == web || export == writer || export == vault))
        return false;
    return web != 0 && writer != 0 && vault != 0 && web != writer && web != vault && writer != vault;
}

static bool is_address(const char *text)
{
    return text[0] == '\0' || address_is_good(text);
}

static bool is_receiver(const char *text)
{
    bool net = strncmp(text, "tcp://", 6) == 0 || strncmp(text, "udp://", 6) == 0;
    return text[0] == '\0' || text[0] == '/' || (net && address_is_good(text + 6));
}

const char *config_wrong(const struct conf *c, const char **ret_key)
{
    const struct {
        const char *key;
        bool good;
        const char *wanted;
    } checks[] = {
        {"vault-uid", geteuid() != 0 || config_users_differ(c),
         "web, writer and vault, and export where audit is exported, need different users above 0"},
        {"listen", is_address(c->listen), "a numeric address and a port are wanted, as 0.0.0.0:8443"},
        {"metrics", is_address(c->metrics),
         "a numeric address and a port are wanted, as 127.0.0.1:9464, or nothing"},
        {"approval", people_are_roles(c->approval),
         "roles are wanted: helpdesk, advanced, reader, auditor, administrator"},
        {"audit-syslog", is_receiver(c->audit_syslog),
         "tcp://192.0.2.7:601, udp://192.0.2.7:514 or the path of a socket is wanted"},
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!checks[i].good) {
            *ret_key = checks[i].key;
            return checks[i].wanted;
        }
    return NULL;
}
