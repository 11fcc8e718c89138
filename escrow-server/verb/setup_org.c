/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/verb/org_change.h"
#include "escrow-server/verb/setup.h"
#include "formats/base.h"
#include "formats/org.h"
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum err key_object(const struct cr_p256_key *key, const char *use, struct json_object **ret)
{
    struct cr_p256_pub pub;
    TRY(cr_p256_public(key, &pub));
    return org_key_object(&pub, use, ret);
}

static enum err add_key(struct json_object *array, const struct cr_p256_key *key, const char *use)
{
    struct json_object *o;
    TRY(key_object(key, use, &o));
    return json_object_array_add(array, o) == 0 ? ERR_OK : ERR_NOMEM;
}

static struct json_object *add_array(struct json_object *o, const char *name)
{
    struct json_object *a = json_object_new_array();
    return a != NULL && json_object_object_add(o, name, a) == 0 ? a : NULL;
}

static enum err add_texts(const struct setup *s, struct json_object *o)
{
    char id[GUID_TEXT];
    guid_encode(&s->id, id);
    TRY(org_add_text(o, "format", "keyholt-org"));
    if (json_object_object_add(o, "version", json_object_new_int(1)) != 0)
        return ERR_NOMEM;
    TRY(org_add_text(o, "id", id));
    TRY(org_add_text(o, "name", s->org_name));
    TRY(org_add_text(o, "message", s->message));
    TRY(org_add_text(o, "url", s->recovery_url));
    if (s->no_copying && json_object_object_add(o, "copy_files", json_object_new_boolean(0)) != 0)
        return ERR_NOMEM;
    return org_add_text(o, "ca", s->ca_pem);
}

static enum err fill(const struct setup *s, struct json_object *o)
{
    TRY(add_texts(s, o));
    struct json_object *servers = add_array(o, "servers"), *escrow = add_array(o, "escrow_keys"),
                       *receipt = add_array(o, "receipt_keys"), *policy;
    if (servers == NULL || escrow == NULL || receipt == NULL || add_array(o, "revoked") == NULL)
        return ERR_NOMEM;
    for (unsigned i = 0; i < s->urls->n; i++)
        if (json_object_array_add(servers, json_object_new_string(s->urls->item[i])) != 0)
            return ERR_NOMEM;
    TRY(add_key(escrow, s->key[SETUP_VAULT], "vault"));
    TRY(add_key(escrow, s->key[SETUP_DESK], "desk"));
    TRY(add_key(receipt, s->key[SETUP_RECEIPT], NULL));
    TRY(key_object(s->key[SETUP_POLICY], NULL, &policy));
    return json_object_object_add(o, "policy_key", policy) == 0 ? ERR_OK : ERR_NOMEM;
}

/* What everybody will read must be what everybody can read. */
static enum err check(const char *json, size_t len)
{
    struct org org;
    void *scratch = malloc(16 * len + 1024);
    if (scratch == NULL)
        return ERR_NOMEM;
    enum err e = org_decode(json, len, scratch, 16 * len + 1024, &org);
    free(scratch);
    return e;
}

struct org_files {
    const char *json; /* borrowed */
    size_t len;
    uint8_t sig[CR_P256_SIG];
    char pub[512];
    size_t pub_len;
};

static enum err write_in(const char *dir, const struct org_files *f)
{
    char path[PATH_MAX];
    const struct {
        const char *name;
        const void *p;
        size_t len;
    } files[] = {{"/root.pub", f->pub, f->pub_len},
                 {"/org.json.sig", f->sig, sizeof f->sig},
                 {"/org.json", f->json, f->len}};
    TRY(file_mkdirs(dir, 0755));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        TRY(file_join(dir, files[i].name, path, sizeof path));
        TRY(file_write(path, files[i].p, files[i].len, 0644));
    }
    return ERR_OK;
}

static enum err write_token(const struct setup *s)
{
    char path[PATH_MAX], text[TOKEN_TEXT + 1], hex[BASE16_LEN(32) + 1], line[160];
    uint8_t hash[32];
    TRY(setup_token(text, hash));
    base16_encode(hash, sizeof hash, hex);
    snprintf(line, sizeof line, "%s %llu %llu\n", hex,
             (unsigned long long)time(NULL) + s->token_days * 86400ull, (unsigned long long)s->token_uses);
    TRY(file_join(s->root, PLACE_WRITER "/" NAME_FIRST_TOKEN, path, sizeof path));
    TRY(file_write(path, line, strlen(line), 0600));
    if (s->as_root && chown(path, s->conf.uid[PROCESS_WRITER], s->conf.uid[PROCESS_WRITER]) != 0)
        return err_from_errno(errno);
    TRY(file_join(s->bundle_dir, "/token", path, sizeof path));
    size_t len = strlen(text);
    text[len++] = '\n';
    return file_write(path, text, len, 0600);
}

static enum err write_all(struct setup *s, const char *json, size_t len)
{
    struct org_files f = {.json = json, .len = len};
    struct cr_p256_pub pub;
    char path[PATH_MAX];
    TRY(check(json, len));
    TRY(cr_p256_sign(s->key[SETUP_ROOT], json, len, f.sig));
    TRY(cr_p256_public(s->key[SETUP_ROOT], &pub));
    TRY(cr_p256_pub_to_pem(&pub, f.pub, sizeof f.pub, &f.pub_len));
    TRY(write_in(s->bundle_dir, &f));
    TRY(write_token(s));
    TRY(write_in(s->desk_dir, &f));
    TRY(file_join(s->root, KH_ORG_DIR, path, sizeof path));
    return write_in(path, &f);
}

enum err setup_write_org(struct setup *s)
{
    struct json_object *o = json_object_new_object();
    if (o == NULL)
        return ERR_NOMEM;
    enum err e = fill(s, o);
    if (e == ERR_OK) {
        const char *json =
            json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
        e = json == NULL ? ERR_NOMEM : write_all(s, json, strlen(json));
    }
    json_object_put(o);
    return e;
}
