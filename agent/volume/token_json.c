/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/token_json.h"
#include "formats/names.h"
#include <stdio.h>

static const char *state_name(uint8_t state)
{
    switch (state) {
    case LUKS2_TOKEN_PENDING:
        return "pending";
    case LUKS2_TOKEN_LIVE:
        return "live";
    case LUKS2_TOKEN_RETIRED:
        return "retired";
    default:
        return NULL;
    }
}

static const char *const cause_name[] = {NULL,      "protect",  "used", "disclosed",
                                         "command", "schedule", "drift"};

/* What became of the key: only what there is to say. */
static enum err put_life(const struct luks2_token *t, char *ret, size_t cap)
{
    char replaces[GUID_TEXT] = "";
    if (t->cause >= sizeof cause_name / sizeof cause_name[0])
        return ERR_RANGE;
    if (t->has_replaces)
        guid_encode(&t->replaces, replaces);
    (void)snprintf(ret, cap, "%s%s%s%s%s%s%s", t->cause ? ",\"cause\":\"" : "",
                   t->cause ? cause_name[t->cause] : "", t->cause ? "\"" : "",
                   t->has_replaces ? ",\"replaces\":\"" : "", replaces, t->has_replaces ? "\"" : "",
                   t->receipted ? ",\"receipted\":true" : "");
    return ERR_OK;
}

enum err token_json_encode(const struct luks2_token *t, char ret[static TOKEN_JSON_MAX])
{
    char key_id[GUID_TEXT], envelope[BASE64_LEN(ENVELOPE_MAX) + 1], slots[8] = "";
    char fingerprint[BASE64_LEN(32) + 1], last[BASE64_LEN(32) + 32] = "", life[128];
    const char *state = state_name(t->state);
    if (!state || t->slot < 0 || t->slot >= LUKS2_SLOTS || t->envelope_len > ENVELOPE_MAX)
        return ERR_RANGE;
    TRY(put_life(t, life, sizeof life));
    guid_encode(&t->key_id, key_id);
    base64_encode(t->envelope, t->envelope_len, envelope);
    if (t->assigned)
        (void)snprintf(slots, sizeof slots, "\"%d\"", t->slot);
    if (t->has_fingerprint) {
        base64_encode(t->fingerprint, sizeof t->fingerprint, fingerprint);
        (void)snprintf(last, sizeof last, ",\"fingerprint\":\"%s\"", fingerprint);
    }
    int n = snprintf(ret, TOKEN_JSON_MAX,
                     "{\"type\":\"" KH_TOKEN_TYPE "\",\"keyslots\":[%s],\"version\":1,\"state\":\"%s\","
                     "\"slot\":%d,\"count\":%u,\"key_id\":\"%s\",\"envelope\":\"%s\"%s%s}",
                     slots, state, t->slot, t->count, key_id, envelope, life, last);
    return n > 0 && n < (int)TOKEN_JSON_MAX ? ERR_OK : ERR_RANGE;
}
