/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/keeper.h"
#include "agent/state/policy_store.h"
#include "agent/sync/enrollment.h"
#include "formats/base.h"
#include <stdio.h>

/* The organisation's files are in use whatever becomes of its policy; but whoever enrols shall hear of it. */
static void take_policy(struct keeper *k, const struct msg *m)
{
    struct problem why;
    policy_store_load(&k->agent); /* a new org.json may certify another policy key */
    if (m->enroll.policy.len &&
        policy_store_install(&k->agent, m->enroll.policy.p, m->enroll.policy.len, m->enroll.policy_sig.p,
                             m->enroll.policy_sig.len, &why) != ERR_OK)
        agent_say(&k->agent, "warning: %s", why.text);
}

void verb_enroll(struct keeper *k, struct client *c, const struct msg *m)
{
    const struct org_files files = {.json = m->enroll.org.p,
                                    .json_len = m->enroll.org.len,
                                    .sig = m->enroll.sig.p,
                                    .sig_len = m->enroll.sig.len,
                                    .root = m->enroll.root.p,
                                    .root_len = m->enroll.root.len};
    uint8_t pin[32];
    char hex[BASE16_LEN(32) + 1], text[ORG_TEXT + 200];
    struct problem why;
    enum err e = enrollment_begin(&k->agent, &files, m->enroll.token, pin, &why);
    if (e != ERR_OK) {
        keeper_reply_error(c, e, why.text);
        return;
    }
    take_policy(k, m);
    base16_encode(pin, sizeof pin, hex);
    agent_say(&k->agent, "organisation: %s; SHA-256 of its root key: %s", k->agent.org->name, hex);
    if (!enrollment_waits(&k->agent)) {
        (void)snprintf(text, sizeof text, "the files of %s (version %llu) are in use", k->agent.org->name,
                       (unsigned long long)k->agent.org->version);
        keeper_reply(c, KH_EXIT_OK, text, NULL);
        return;
    }
    keeper_await(k, c, ERRAND_ENROLL,
                 "volumes can be protected now; the enrolment is queued, because the courier is not "
                 "running; it goes out when it starts: systemctl start keyholt-courier");
}
