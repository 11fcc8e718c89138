/* SPDX-License-Identifier: GPL-3.0-or-later */
/* judge IMAGE ESCROW_KEY.pem ORG_GUID: what somebody with the locked volume and one escrow key can do.
 * Opens the envelope of every token of type keyholt and tries its password on every keyslot, with
 * libcryptsetup and none of the agent's code. Prints JSON: {"tokens": [{"id", "state", "slot", "key_id",
 * "envelope": bool, "opens": slot or -1, "password"}], "slots": [{"slot", "count", "sha256"}], "loads":
 * bool}. */
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "formats/base.h"
#include "formats/envelope.h"
#include <json-c/json.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void quiet(int level, const char *msg, void *usr)
{
    (void)level;
    (void)msg;
    (void)usr;
}

static struct json_object *get(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    (void)json_object_object_get_ex(o, name, &v);
    return v;
}

static const char *text(struct json_object *o, const char *name)
{
    const char *t = json_object_get_string(get(o, name));
    return t ? t : "";
}

static void add_password(struct crypt_device *cd, const struct secret *bytes, struct json_object *out)
{
    SECRET(shown);
    rp_encode(bytes->bytes, &shown);
    int slot =
        crypt_activate_by_passphrase(cd, NULL, CRYPT_ANY_SLOT, (const char *)shown.bytes, shown.len, 0);
    json_object_object_add(out, "opens", json_object_new_int(slot < 0 ? -1 : slot));
    json_object_object_add(out, "password",
                           json_object_new_string_len((const char *)shown.bytes, (int)shown.len));
}

static struct json_object *judge_token(struct crypt_device *cd, int id, const struct cr_p256_key *key,
                                       const struct guid *org)
{
    const char *json;
    uint8_t envelope[ENVELOPE_MAX];
    size_t len;
    SECRET(bytes);
    if (crypt_token_json_get(cd, id, &json) < 0)
        return NULL;
    struct json_object *token = json_tokener_parse(json), *out = json_object_new_object();
    if (strcmp(text(token, "type"), "keyholt") != 0) {
        json_object_put(token);
        json_object_put(out);
        return NULL;
    }
    const char *b64 = text(token, "envelope");
    json_object_object_add(out, "id", json_object_new_int(id));
    json_object_object_add(out, "state", json_object_new_string(text(token, "state")));
    json_object_object_add(out, "key_id", json_object_new_string(text(token, "key_id")));
    json_object_object_add(out, "slot", json_object_new_int(json_object_get_int(get(token, "slot"))));
    json_object_object_add(out, "count", json_object_new_int(json_object_get_int(get(token, "count"))));
    json_object_object_add(out, "assigned",
                           json_object_new_boolean(json_object_array_length(get(token, "keyslots")) > 0));
    bool good = base64_decode(b64, strlen(b64), envelope, sizeof envelope, &len) == ERR_OK &&
                envelope_open(envelope, len, org, key, &bytes) == ERR_OK;
    json_object_object_add(out, "envelope", json_object_new_boolean(good));
    if (good)
        add_password(cd, &bytes, out);
    else
        json_object_object_add(out, "opens", json_object_new_int(-1));
    json_object_put(token);
    return out;
}

static struct json_object *judge_tokens(struct crypt_device *cd, const struct cr_p256_key *key,
                                        const struct guid *org)
{
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < crypt_token_max(CRYPT_LUKS2); i++) {
        struct json_object *t = judge_token(cd, i, key, org);
        if (t)
            json_object_array_add(list, t);
    }
    return list;
}

static struct json_object *judge_slots(struct crypt_device *cd)
{
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < crypt_keyslot_max(CRYPT_LUKS2); i++) {
        struct crypt_pbkdf_type kdf;
        if (crypt_keyslot_status(cd, i) <= CRYPT_SLOT_INACTIVE || crypt_keyslot_get_pbkdf(cd, i, &kdf) < 0)
            continue;
        bool sha256 = kdf.hash && strcmp(kdf.type, CRYPT_KDF_PBKDF2) == 0 && strcmp(kdf.hash, "sha256") == 0;
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "slot", json_object_new_int(i));
        json_object_object_add(o, "count", json_object_new_int((int)kdf.iterations));
        json_object_object_add(o, "sha256", json_object_new_boolean(sha256));
        json_object_array_add(list, o);
    }
    return list;
}

/* A file that is itself an envelope: what it holds. */
static struct json_object *judge_envelope(const char *path, const struct cr_p256_key *key,
                                          const struct guid *org)
{
    uint8_t *bytes;
    size_t len;
    SECRET(password);
    SECRET(digits);
    struct json_object *o = NULL;
    if (file_read(path, ENVELOPE_MAX, &bytes, &len) != ERR_OK)
        return NULL;
    if (envelope_open(bytes, len, org, key, &password) == ERR_OK) {
        rp_encode(password.bytes, &digits);
        o = json_object_new_string_len((const char *)digits.bytes, (int)digits.len);
    }
    free(bytes);
    return o;
}

static struct cr_p256_key *load_key(const char *path)
{
    uint8_t *pem;
    size_t len;
    struct cr_p256_key *key = NULL;
    if (file_read(path, 8192, &pem, &len) != ERR_OK)
        return NULL;
    if (cr_p256_from_pem((const char *)pem, len, NULL, &key) != ERR_OK)
        key = NULL;
    free(pem);
    return key;
}

int main(int argc, char **argv)
{
    struct crypt_device *cd = NULL;
    struct guid org;
    struct cr_p256_key *key = argc == 4 ? load_key(argv[2]) : NULL;
    if (!key || guid_decode(argv[3], strlen(argv[3]), &org) != ERR_OK) {
        fputs("usage: judge IMAGE ESCROW_KEY.pem ORG_GUID\n", stderr);
        return 2;
    }
    crypt_set_log_callback(NULL, quiet, NULL);
    bool loads = crypt_init(&cd, argv[1]) >= 0 && crypt_load(cd, CRYPT_LUKS2, NULL) >= 0;
    struct json_object *out = json_object_new_object();
    json_object_object_add(out, "loads", json_object_new_boolean(loads));
    json_object_object_add(out, "tokens", loads ? judge_tokens(cd, key, &org) : json_object_new_array());
    json_object_object_add(out, "slots", loads ? judge_slots(cd) : json_object_new_array());
    json_object_object_add(out, "password", judge_envelope(argv[1], key, &org));
    puts(json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
    json_object_put(out);
    crypt_free(cd);
    cr_p256_free(key);
    return 0;
}
