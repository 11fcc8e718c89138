/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/local.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web_local.h"
#include "formats/base.h"
#include "formats/envelope.h"
#include "formats/host/json_strict.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* find (reader) → disclose (vault: person, reason, quota, audit entry, then the envelope) → order to rotate
 * (writer) → answer. */

static struct json_object *key_object(const struct msg_candidate *c)
{
    struct envelope e;
    char key[GUID_TEXT], volume[GUID_TEXT], device[BASE16_LEN(32) + 1];
    if (envelope_decode(c->envelope.p, c->envelope.len, &e) != ERR_OK)
        return NULL;
    struct json_object *o = json_object_new_object();
    guid_encode(&e.key_id, key);
    guid_encode(&e.volume, volume);
    base16_encode(e.device, sizeof e.device, device);
    json_object_object_add(o, "key_id", json_object_new_string(key));
    json_object_object_add(o, "volume", json_object_new_string(volume));
    json_object_object_add(o, "device", json_object_new_string(device));
    json_object_object_add(o, "computer", json_object_new_string(c->computer));
    json_object_object_add(o, "label", json_object_new_string(c->label));
    json_object_object_add(o, "own", json_object_new_boolean(c->own));
    json_object_object_add(o, "received", json_object_new_int64((int64_t)c->received));
    return o;
}

static void list_keys(struct local *l, const struct msg_found *found)
{
    l->keys = json_object_new_array();
    l->more_keys = found->more;
    for (unsigned i = 0; i < found->n; i++)
        json_object_array_add(l->keys, key_object(&found->item[i]));
}

/* The order is in, or will be: the vault's log is read again until it is. */
static void on_ordered(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    uint64_t open = 0;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_u64(m->body, m->len, &open);
    if (e != ERR_OK) {
        slog(SLOG_WARN, "recover", "warning=\"the order to rotate waits\" reason=\"%s\"", err_text(e));
        l->web->replay.again = true;
    }
    struct json_object *o = json_object_get(json_object_array_get_idx(l->keys, 0)); /* which key it is */
    json_object_object_add(o, "status", json_object_new_string("ok"));
    json_object_object_add(o, "chain", json_object_new_string(l->entry.chain));
    json_object_object_add(o, "entry", json_object_new_int64((int64_t)l->entry.n));
    json_object_object_add(o, "rotation",
                           json_object_new_string(e != ERR_OK ? "pending"
                                                  : open      ? "ordered"
                                                              : "done"));
    local_answer(l, o, &l->digits);
}

static void answer_wanted(struct local *l, const struct msg_frame *m)
{
    struct msg_wanted wanted;
    enum err e = msg_get_wanted(m->body, m->len, &wanted);
    if (e != ERR_OK)
        return local_failed(l, e, NULL);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string("failed"));
    json_object_object_add(o, "err", json_object_new_string(LOCAL_APPROVAL));
    json_object_object_add(o, "entry", json_object_new_uint64(wanted.n));
    json_object_object_add(o, "detail", json_object_new_string(wanted.detail));
    local_answer(l, o, NULL);
}

/* The store looked for both, and the vault knows only of the key. */
static void fail_unknown(struct local *l)
{
    char detail[MSG_DETAIL + 1];
    snprintf(
        detail, sizeof detail,
        "No key with the ID %s of a device that begins with %s is known here: compare the ID with the screen "
        "once more, and leave --device out if that is right.",
        l->find.key, l->find.device);
    local_fail(l, ERR_NOT_FOUND, detail);
}

static void on_opened(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_opened opened;
    l->waiting = 0;
    if (e == ERR_OK && m->type == MSG_WANTED)
        return answer_wanted(l, m);
    if (e == ERR_OK)
        e = msg_get_opened(m->body, m->len, &opened);
    if (e == ERR_NOT_FOUND && l->find.device[0] != '\0')
        return fail_unknown(l);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    memcpy(l->digits.bytes, opened.digits, sizeof opened.digits);
    l->digits.len = sizeof opened.digits;
    l->entry = opened.entry;
    cr_wipe(&opened, sizeof opened);
    struct writer *body = back_begin(l->web, BACK_WRITER, MSG_DISCLOSED, on_ordered, l, &l->waiting);
    if (body == NULL)
        return on_ordered(l, ERR_OFFLINE, NULL);
    msg_put_entry(body, &l->entry);
    back_send(l->web, BACK_WRITER);
}

/* Texts were checked when the request came in. */
static void copy_text(struct local *l, const char *name, char *ret, size_t cap)
{
    const char *text;
    if (json_get_text(l->request, name, cap - 1, &text) == ERR_OK)
        snprintf(ret, cap, "%s", text);
}

static void on_found(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_disclose d = {0};
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_found(m->body, m->len, &d.found);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    list_keys(l, &d.found);
    copy_text(l, "as", d.who, sizeof d.who);
    copy_text(l, "reason", d.reason, sizeof d.reason);
    copy_text(l, "user", d.user, sizeof d.user);
    copy_text(l, "code", d.code, sizeof d.code);
    snprintf(d.asked, sizeof d.asked, "%s", l->find.key);
    d.password = (struct msg_blob){l->secret.bytes, l->secret.len};
    struct writer *body = local_begin(l, BACK_VAULT, MSG_DISCLOSE, on_opened);
    if (body == NULL)
        return;
    msg_put_disclose(body, &d);
    secret_wipe(&l->secret);
    back_send(l->web, BACK_VAULT);
}

static bool take_device(struct local *l)
{
    const char *text;
    if (json_get_text(l->request, "device", MSG_NAME, &text) != ERR_OK)
        return false;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (!isxdigit((unsigned char)text[i]))
            return false;
        l->find.device[i] = (char)toupper((unsigned char)text[i]);
    }
    return true;
}

/* What is wrong with the request; NULL: nothing. */
static const char *check_texts(struct local *l)
{
    const char *text;
    char code[MSG_CODE + 1];
    if (local_code(l->request, code) != ERR_OK)
        return "The one-time code (--code-file) is longer than 8 characters.";
    if (json_get_text(l->request, "as", MSG_NAME, &text) != ERR_OK)
        return "The name of who asks (--as) is missing, or longer than 64 bytes.";
    if (json_get_text(l->request, "reason", MSG_REASON, &text) != ERR_OK)
        return "The reason (--reason) is missing, or longer than 256 bytes.";
    if (json_get_text(l->request, "user", MSG_USER, &text) != ERR_OK)
        return "The name of the user (--user) is longer than 128 bytes.";
    if (!take_device(l))
        return "The device (--device) is not named by hexadecimal digits, at most 64.";
    return NULL;
}

void local_recover(struct local *l)
{
    if (local_key(l->request, l->find.key) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A key ID, or the beginning of one, has hexadecimal digits only.");
    if (l->find.key[0] == '\0')
        return local_fail(l, ERR_FORMAT, "A key ID (--key-id), or the beginning of one, is wanted.");
    const char *wrong = check_texts(l);
    if (wrong != NULL)
        return local_fail(l, ERR_FORMAT, wrong);
    struct writer *body = local_begin(l, BACK_READER, MSG_FIND, on_found);
    if (body == NULL)
        return;
    msg_put_find(body, &l->find);
    back_send(l->web, BACK_READER);
}
