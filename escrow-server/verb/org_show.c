/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/org_file.h"
#include "escrow-server/verb/verb_org.h"
#include "formats/base.h"
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

enum verdict { UNCHECKED, GOOD, BAD };

#define HEX_TEXT (BASE16_LEN(32) + 1)

static const char *hex_of(const uint8_t id[static 32], char ret[static HEX_TEXT])
{
    base16_encode(id, 32, ret);
    return ret;
}

static const char *use_of(const struct org_key *k)
{
    return k->use == ORG_VAULT ? "vault" : "desk";
}

static void add(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

static struct json_object *array_in(struct json_object *o, const char *name)
{
    struct json_object *list = json_object_new_array();
    json_object_object_add(o, name, list);
    return list;
}

static void add_key(struct json_object *list, const struct org_key *k)
{
    char hex[HEX_TEXT];
    struct json_object *o = json_object_new_object();
    add(o, "id", hex_of(k->id, hex));
    if (k->use != 0)
        add(o, "use", use_of(k));
    json_object_array_add(list, o);
}

static void add_lists(struct json_object *o, const struct org_file *f)
{
    const struct org *org = &f->org;
    char hex[HEX_TEXT];
    struct json_object *list = array_in(o, "servers");
    for (unsigned i = 0; i < org->n_servers; i++)
        json_object_array_add(list, json_object_new_string(org->server[i]));
    list = array_in(o, "escrow_keys");
    for (unsigned i = 0; i < org->n_escrow; i++)
        add_key(list, &org->escrow[i]);
    list = array_in(o, "receipt_keys");
    for (unsigned i = 0; i < org->n_receipt; i++)
        add_key(list, &org->receipt[i]);
    add(o, "policy_key", hex_of(org->policy.id, hex));
    list = array_in(o, "revoked");
    for (size_t i = 0; i < f->n_revoked; i++)
        json_object_array_add(list, json_object_new_string(hex_of(f->revoked[i], hex)));
}

static void print_json(const struct org_file *f, enum verdict v)
{
    static const char *const word[] = {[UNCHECKED] = "unchecked", [GOOD] = "good", [BAD] = "bad"};
    char id[GUID_TEXT];
    struct json_object *o = json_object_new_object();
    guid_encode(&f->org.id, id);
    add(o, "signature", word[v]);
    json_object_object_add(o, "version", json_object_new_uint64(f->org.version));
    add(o, "id", id);
    add(o, "name", f->org.name);
    add(o, "message", f->org.message);
    add(o, "url", f->org.url);
    json_object_object_add(o, "copy_files", json_object_new_boolean(!f->org.no_copying));
    add_lists(o, f);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static void print_text(const struct org_file *f, enum verdict v)
{
    static const char *const sentence[] = {[UNCHECKED] = "NOT CHECKED: no root.pub lies beside the file",
                                           [GOOD] = "verifies under the root key",
                                           [BAD] = "DOES NOT VERIFY under the root key"};
    const struct org *org = &f->org;
    char id[GUID_TEXT], hex[HEX_TEXT];
    guid_encode(&org->id, id);
    printf("signature    %s\nversion      %" PRIu64
           "\norganisation %s  %s\nmessage      %s\nself-service %s\n",
           sentence[v], org->version, id, org->name, org->message, org->url);
    printf("copy files   %s\n", org->no_copying ? "no" : "yes");
    for (unsigned i = 0; i < org->n_servers; i++)
        printf("server       %s\n", org->server[i]);
    for (unsigned i = 0; i < org->n_escrow; i++)
        printf("escrow key   %s  %s\n", hex_of(org->escrow[i].id, hex), use_of(&org->escrow[i]));
    for (unsigned i = 0; i < org->n_receipt; i++)
        printf("receipt key  %s\n", hex_of(org->receipt[i].id, hex));
    printf("policy key   %s\n", hex_of(org->policy.id, hex));
    for (size_t i = 0; i < f->n_revoked; i++)
        printf("revoked      %s\n", hex_of(f->revoked[i], hex));
}

/* The server's, or the one beside the file. err: RANGE */
static enum err root_pub(const char *root, const char *file, char ret[static PATH_MAX])
{
    if (root != NULL)
        return file_join(root, PLACE_ROOT_PUB, ret, PATH_MAX);
    const char *slash = strrchr(file, '/');
    int n = snprintf(ret, PATH_MAX, "%.*sroot.pub", slash != NULL ? (int)(slash - file) + 1 : 0, file);
    return n > 0 && n < PATH_MAX ? ERR_OK : ERR_RANGE;
}

/* A server has a root.pub; beside a file there may be none. err: of reading root.pub */
static enum err judge(const char *root, const char *file, const struct org_file *f, enum verdict *ret)
{
    uint8_t sig[CR_P256_SIG];
    char path[PATH_MAX];
    struct cr_p256_pub pub;
    TRY(root_pub(root, file, path));
    enum err e = org_file_pub(path, &pub);
    *ret = UNCHECKED;
    if (e == ERR_NOT_FOUND && root == NULL)
        return ERR_OK;
    TRY(e);
    *ret = state_org_signed(file, f->json, f->len, &pub, sig) == ERR_OK ? GOOD : BAD;
    return ERR_OK;
}

int org_show(const char *root, const char *file, bool json)
{
    char path[PATH_MAX];
    enum verdict verdict;
    ORG_FILE(f);
    enum err e = ERR_OK;
    if (file == NULL) {
        e = file_join(root, PLACE_ORG, path, sizeof path);
        file = path;
    }
    if (e == ERR_OK)
        e = org_file_load(file, &f);
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, file, err_text(e));
    e = judge(root, file, &f, &verdict);
    if (e != ERR_OK)
        return org_complain(KH_EXIT_FAILED, "root.pub", err_text(e));
    if (json)
        print_json(&f, verdict);
    else
        print_text(&f, verdict);
    return verdict == BAD ? KH_EXIT_NO : KH_EXIT_OK;
}
