/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/audit/audit_import.h"
#include "crypto/host/file.h"
#include "escrow-server/places.h"
#include "escrow-server/process/local.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHAIN_MAX (256u << 20)

/* Where the vault looks for what is to be imported. */
static enum err place_of(const char *root, const char *chain, char ret[static PATH_MAX])
{
    char place[PATH_MAX];
    if (strlen(chain) != 32) /* no more than a file name: the chain's ID was checked when it was read */
        return ERR_FORMAT;
    snprintf(place, sizeof place, PLACE_FOREIGN "/%s.new", chain);
    return file_join(root, place, ret, PATH_MAX);
}

static enum err lay_down(const char *root, const char *file, const char *path)
{
    struct conf conf;
    uint8_t *bytes = NULL;
    size_t len;
    TRY(conf_load(root, &conf));
    TRY(file_read(file, CHAIN_MAX, &bytes, &len));
    enum err e = file_write(path, bytes, len, 0600);
    free(bytes);
    TRY(e);
    uid_t uid = conf.uid[PROCESS_VAULT];
    return geteuid() != 0 || chown(path, uid, uid) == 0 ? ERR_OK : ERR_DENIED;
}

static enum err ask(const char *root, const char *who, const char *chain, uint64_t *ret_added,
                    const char **ret_detail)
{
    static char detail[1025];
    const char *text = "";
    struct json_object *answer = NULL, *o = json_object_new_object();
    json_object_object_add(o, "op", json_object_new_string("import"));
    json_object_object_add(o, "as", json_object_new_string(who));
    json_object_object_add(o, "chain", json_object_new_string(chain));
    enum err e = local_ask(root, o, NULL, &answer, NULL);
    json_object_put(o);
    *ret_detail = local_why(e);
    if (e == ERR_NOT_FOUND || e == ERR_TRUNCATED) /* not the file's */
        return ERR_OFFLINE;
    TRY(e);
    e = local_result(answer, &text);
    if (e == ERR_OK)
        e = json_get_u64(answer, "added", ret_added);
    else {
        snprintf(detail, sizeof detail, "%s", text);
        *ret_detail = detail;
    }
    json_object_put(answer);
    return e;
}

enum err audit_import(const char *root, const char *file, const char *who, struct audit_head *ret_head,
                      uint64_t *ret_added, const char **ret_detail)
{
    char path[PATH_MAX];
    size_t torn;
    enum err e = audit_verify(file, NULL, NULL, ret_head, &torn);
    *ret_detail = err_text(e);
    if (e == ERR_AUTH || e == ERR_FORMAT || (e == ERR_OK && ret_head->n == 0)) {
        *ret_detail = "the chain is broken: an entry is no entry or does not follow the one before; nothing "
                      "was imported";
        return ERR_FORMAT;
    }
    TRY(e);
    *ret_detail = "the chain cannot be laid down for the vault";
    TRY(place_of(root, ret_head->chain, path));
    TRY(lay_down(root, file, path));
    e = ask(root, who, ret_head->chain, ret_added, ret_detail);
    (void)unlink(path);
    return e;
}
