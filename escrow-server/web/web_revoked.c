/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web.h"

enum err web_revoked_load(struct web *w)
{
    return revoked_read(&w->revoked, w->child.org_json, w->child.org_json_len);
}

bool web_revoked(const struct web *w, const uint8_t device[static 32])
{
    return revoked_has(&w->revoked, device);
}
