/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hosted: only the agent writes one. */
#include "formats/luks2.h"
#include "formats/management.h"
#include <stdio.h>

enum err management_encode(const struct management *m, char ret[static MANAGEMENT_JSON_MAX])
{
    static const char *const state[] = {NULL, "pending", "live"};
    char id[GUID_TEXT], device[BASE16_LEN(32) + 1], slots[8] = "";
    char fingerprint[BASE64_LEN(32) + 1], last[BASE64_LEN(32) + 32] = "";
    if (m->state < MANAGEMENT_PENDING || m->state > MANAGEMENT_LIVE || m->slot < 0 ||
        m->slot >= LUKS2_SLOTS || (m->state == MANAGEMENT_LIVE && !m->has_fingerprint))
        return ERR_RANGE;
    guid_encode(&m->id, id);
    base16_encode(m->device, sizeof m->device, device);
    if (m->assigned)
        (void)snprintf(slots, sizeof slots, "\"%d\"", m->slot);
    if (m->has_fingerprint) {
        base64_encode(m->fingerprint, sizeof m->fingerprint, fingerprint);
        (void)snprintf(last, sizeof last, ",\"fingerprint\":\"%s\"", fingerprint);
    }
    int n = snprintf(ret, MANAGEMENT_JSON_MAX,
                     "{\"type\":\"" KH_TOKEN_MANAGEMENT "\",\"keyslots\":[%s],\"version\":1,\"state\":\"%s\","
                     "\"slot\":%d,\"count\":%u,\"id\":\"%s\",\"device\":\"%s\"%s}",
                     slots, state[m->state], m->slot, m->count, id, device, last);
    return n > 0 && n < MANAGEMENT_JSON_MAX ? ERR_OK : ERR_RANGE;
}
