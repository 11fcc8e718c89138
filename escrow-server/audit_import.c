/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/audit_import.h"
#include "crypto/host/file.h"
#include "escrow-server/local.h"
#include "escrow-server/places.h"
#include "formats/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX (256u << 20)

/* What the file must pass before it is believed, and what is kept of it: whole lines. */
struct incoming {
    uint8_t *bytes;
    size_t len;
    struct audit_head head;
    char path[PATH_MAX]; /* where its copy belongs */
};

static enum err check_all(struct incoming *in)
{
    for (size_t off = 0; off < in->len;) {
        const char *line = (const char *)in->bytes + off, *end = memchr(line, '\n', in->len - off);
        if (end == NULL) { /* torn by a crash over there: nothing happened for it */
            in->len = off;
            break;
        }
        size_t len = (size_t)(end - line) + 1;
        TRY(audit_check_line(&in->head, line, len, NULL));
        off += len;
    }
    return in->head.n > 0 ? ERR_OK : ERR_FORMAT;
}

static bool is_chain_id(const char *id)
{
    size_t len = strlen(id);
    return len == 32 && strspn(id, "0123456789abcdef") == len;
}

static enum err own_chain(const char *root, const char *chain)
{
    char path[PATH_MAX];
    struct audit_head head;
    size_t torn;
    TRY(file_join(root, PLACE_AUDIT, path, sizeof path));
    if (audit_verify(path, NULL, NULL, &head, &torn) == ERR_NOT_FOUND)
        return ERR_OK;
    return strcmp(head.chain, chain) == 0 ? ERR_CONFLICT : ERR_OK;
}

/* A copy that is there must be the beginning of what comes. ret_had: entries it has */
static enum err compare(const struct incoming *in, uint64_t *ret_had)
{
    uint8_t *old = NULL;
    size_t len, torn;
    struct audit_head head;
    enum err e = file_read(in->path, CHAIN_MAX, &old, &len);
    if (e == ERR_NOT_FOUND) {
        *ret_had = 0;
        return ERR_OK;
    }
    TRY(e);
    size_t common = len < in->len ? len : in->len;
    bool same = memcmp(old, in->bytes, common) == 0;
    free(old);
    if (!same)
        return ERR_CONFLICT;
    TRY(audit_verify(in->path, NULL, NULL, &head, &torn));
    *ret_had = head.n;
    return ERR_OK;
}

static enum err put_on_record(const char *root, const char *who, const struct audit_head *head,
                              const char **ret_detail)
{
    static char detail[1025];
    char hex[BASE16_LEN(32) + 1];
    const char *text = "";
    struct json_object *answer = NULL, *o = json_object_new_object();
    base16_encode(head->hash, sizeof head->hash, hex);
    json_object_object_add(o, "op", json_object_new_string("import"));
    json_object_object_add(o, "as", json_object_new_string(who));
    json_object_object_add(o, "chain", json_object_new_string(head->chain));
    json_object_object_add(o, "n", json_object_new_int64((int64_t)head->n));
    json_object_object_add(o, "head", json_object_new_string(hex));
    enum err e = local_ask(root, o, NULL, &answer, NULL);
    json_object_put(o);
    if (e != ERR_OK)
        return e;
    e = local_result(answer, &text);
    if (e != ERR_OK) {
        snprintf(detail, sizeof detail, "%s", text);
        *ret_detail = detail;
    }
    json_object_put(answer);
    return e;
}

static enum err import(const char *root, const char *who, struct incoming *in, uint64_t *ret_added,
                       const char **ret_detail)
{
    char place[PATH_MAX];
    uint64_t had = 0;
    *ret_detail =
        "the chain is broken: an entry is no entry or does not follow the one before; nothing was imported";
    TRY(check_all(in));
    if (!is_chain_id(in->head.chain))
        return ERR_FORMAT;
    *ret_detail = "this is the vault's own log; nothing was imported";
    TRY(own_chain(root, in->head.chain));
    snprintf(place, sizeof place, PLACE_FOREIGN "/%s.log", in->head.chain);
    TRY(file_join(root, place, in->path, sizeof in->path));
    *ret_detail =
        "the chain contradicts what was imported from it earlier: one of the two was changed; nothing was "
        "imported";
    TRY(compare(in, &had));
    *ret_added = in->head.n > had ? in->head.n - had : 0;
    if (*ret_added == 0)
        return ERR_OK;
    *ret_detail =
        "the server is not running here, so the import cannot be put on record; start it and repeat";
    TRY(put_on_record(root, who, &in->head, ret_detail));
    *ret_detail = "the copy cannot be written";
    return file_write(in->path, in->bytes, in->len, 0600);
}

enum err audit_import(const char *root, const char *file, const char *who, struct audit_head *ret_head,
                      uint64_t *ret_added, const char **ret_detail)
{
    struct incoming in = {.len = 0};
    enum err e = file_read(file, CHAIN_MAX, &in.bytes, &in.len);
    if (e != ERR_OK) {
        *ret_detail = err_text(e);
        return e;
    }
    e = import(root, who, &in, ret_added, ret_detail);
    *ret_head = in.head;
    free(in.bytes);
    return e;
}
