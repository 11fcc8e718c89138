/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/keeper.h"
#include "agent/sync/enrollment.h"

void verb_sync(struct keeper *k, struct client *c, const struct msg *m)
{
    (void)m;
    if (!k->agent.org) {
        keeper_reply_error(
            c, ERR_NOT_FOUND,
            "this computer knows no organisation yet; first: keyholt-agent enroll --bundle DIR");
        return;
    }
    keeper_await(k, c, ERRAND_SYNC,
                 "the courier is not running; what waits goes out when it starts: systemctl start "
                 "keyholt-courier");
}
