/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/org_change.h"
#include "escrow-server/verb/org_text.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void say(struct org_edit *x, const char *format, va_list args)
{
    char text[sizeof x->problem + 3 * ORG_MESSAGE];
    vsnprintf(text, sizeof text, format, args);
    json_object_array_add(x->said, json_object_new_string(text));
}

void org_edit_say(struct org_edit *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(x, format, args);
    va_end(args);
    x->n_changes++;
}

void org_edit_note(struct org_edit *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(x, format, args);
    va_end(args);
}

enum err org_edit_refuse(struct org_edit *x, enum err e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(x->problem, sizeof x->problem, format, args);
    va_end(args);
    return e;
}

void org_edit_wipe(struct org_edit *x)
{
    json_object_put(x->o);
    json_object_put(x->said);
    *x = (struct org_edit){.o = NULL};
}

const char *org_edit_text(const struct org_edit *x)
{
    return json_object_to_json_string_ext(x->o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static enum err put(struct org_edit *x, const char *name, struct json_object *value)
{
    return value != NULL && json_object_object_add(x->o, name, value) == 0 ? ERR_OK : ERR_NOMEM;
}

struct text {
    const char *name, *was, *is, *wrong; /* wrong: NULL, or what is wanted */
};

static enum err change_text(struct org_edit *x, const struct text *t)
{
    if (t->is == NULL)
        return ERR_OK;
    if (t->wrong != NULL)
        return org_edit_refuse(x, ERR_FORMAT, "--%s: %s", t->name, t->wrong);
    if (strcmp(t->was, t->is) == 0)
        return ERR_OK;
    org_edit_say(x, "%s becomes \"%s\"; it was \"%s\"", t->name, t->is, t->was);
    return put(x, t->name, json_object_new_string(t->is));
}

static enum err change_texts(struct org_edit *x, const struct org *was, const struct org_change *c)
{
    const struct text texts[] = {
        {"name", was->name, c->name, c->name != NULL ? org_name_wrong(c->name) : NULL},
        {"message", was->message, c->message, c->message != NULL ? org_message_wrong(c->message) : NULL},
        {"url", was->url, c->url, c->url != NULL ? org_url_wrong(c->url) : NULL}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        TRY(change_text(x, &texts[i]));
    return ERR_OK;
}

static enum err change_copying(struct org_edit *x, const struct org *was, const char *word)
{
    if (word == NULL)
        return ERR_OK;
    bool no = strcmp(word, "yes") == 0;
    if (!no && strcmp(word, "no") != 0)
        return org_edit_refuse(x, ERR_FORMAT, "--no-copying: yes or no is wanted");
    if (no == was->no_copying)
        return ERR_OK;
    org_edit_say(x, "the recovery screen %s to copy files", no ? "no longer offers" : "offers again");
    json_object_object_del(x->o, "copy_files");
    return no ? put(x, "copy_files", json_object_new_boolean(0)) : ERR_OK;
}

static enum err check_server(struct org_edit *x, const struct option_list *urls, unsigned i)
{
    char host[PKI_HOST_MAX];
    if (org_server_host(urls->item[i], host) != ERR_OK)
        return org_edit_refuse(x, ERR_FORMAT, "--server %s: " ORG_SERVER_WANTED, urls->item[i]);
    for (unsigned other = 0; other < i; other++)
        if (strcmp(urls->item[other], urls->item[i]) == 0)
            return org_edit_refuse(x, ERR_FORMAT, "--server %s: given twice", urls->item[i]);
    return ERR_OK;
}

static enum err change_servers(struct org_edit *x, const struct org *was, const struct option_list *urls)
{
    bool same = urls->n == was->n_servers;
    for (unsigned i = 0; i < urls->n; i++) {
        TRY(check_server(x, urls, i));
        same = same && strcmp(urls->item[i], was->server[i]) == 0;
    }
    if (urls->n == 0 || same)
        return ERR_OK;
    struct json_object *list = json_object_new_array();
    TRY(put(x, "servers", list));
    for (unsigned i = 0; i < urls->n; i++) {
        if (json_object_array_add(list, json_object_new_string(urls->item[i])) != 0)
            return ERR_NOMEM;
        org_edit_say(x, "server %u is %s", i + 1, urls->item[i]);
    }
    return ERR_OK;
}

#define DEVICE_DIGITS BASE16_LEN(32)

/* As org.json has it. */
static enum err device_id(struct org_edit *x, const char *word, char ret[static DEVICE_DIGITS + 1])
{
    uint8_t id[32];
    size_t len;
    if (base16_decode(word, strlen(word), id, sizeof id, &len) != ERR_OK || len != sizeof id)
        return org_edit_refuse(x, ERR_FORMAT, "%s: the whole ID of a device is wanted, 64 digits", word);
    base16_encode(id, sizeof id, ret);
    return ERR_OK;
}

/* Its place in the list; the length of that where it is not there. */
static size_t find_device(struct json_object *list, const char *id)
{
    size_t i = 0, n = json_object_array_length(list);
    while (i < n && strcasecmp(json_object_get_string(json_object_array_get_idx(list, i)), id) != 0)
        i++;
    return i;
}

static enum err allow(struct org_edit *x, struct json_object *list, const char *word)
{
    char id[DEVICE_DIGITS + 1];
    TRY(device_id(x, word, id));
    size_t at = find_device(list, id);
    if (at == json_object_array_length(list))
        return org_edit_refuse(x, ERR_CONFLICT, "%s: org.json does not revoke this device", id);
    do {
        json_object_array_del_idx(list, at, 1);
        at = find_device(list, id);
    } while (at < json_object_array_length(list)); /* a list may name one twice */
    org_edit_say(x, "device %s is no longer revoked", id);
    return ERR_OK;
}

/* One that is revoked already keeps no other from being. */
static enum err revoke(struct org_edit *x, struct json_object *list, const char *word)
{
    char id[DEVICE_DIGITS + 1];
    TRY(device_id(x, word, id));
    if (find_device(list, id) < json_object_array_length(list)) {
        org_edit_note(x, "device %s was revoked already", id);
        return ERR_OK;
    }
    org_edit_say(x, "device %s is revoked", id);
    return json_object_array_add(list, json_object_new_string(id)) == 0 ? ERR_OK : ERR_NOMEM;
}

static enum err change_devices(struct org_edit *x, const struct org_change *c)
{
    struct json_object *list;
    TRY(json_get_array(x->o, "revoked", ORG_REVOKED_MAX, &list));
    for (unsigned i = 0; i < c->allow.n; i++) {
        for (unsigned k = 0; k < c->revoke.n; k++)
            if (strcasecmp(c->allow.item[i], c->revoke.item[k]) == 0)
                return org_edit_refuse(x, ERR_FORMAT, "%s: --revoke or --allow, not both", c->allow.item[i]);
        TRY(allow(x, list, c->allow.item[i]));
    }
    for (unsigned i = 0; i < c->revoke.n; i++)
        TRY(revoke(x, list, c->revoke.item[i]));
    return ERR_OK;
}

static enum err change_all(struct org_edit *x, const struct org *was, const struct org_change *c)
{
    TRY(change_texts(x, was, c));
    TRY(change_copying(x, was, c->no_copying));
    TRY(change_servers(x, was, &c->servers));
    TRY(org_change_keys(x, c));
    TRY(change_devices(x, c));
    if (x->n_changes == 0)
        return org_edit_refuse(x, ERR_CONFLICT,
                               "org.json: this changes nothing, so it stays version %" PRIu64, was->version);
    if (was->version == UINT64_MAX)
        return org_edit_refuse(x, ERR_CONFLICT, "org.json: there is no higher version");
    return put(x, "version", json_object_new_uint64(was->version + 1));
}

/* What everybody will read must be what everybody can read. */
static enum err check(struct org_edit *x)
{
    ORG_FILE(made);
    const char *text = org_edit_text(x);
    if (text == NULL)
        return ERR_NOMEM;
    enum err e = org_file_decode(text, strlen(text), &made);
    if (e == ERR_RANGE && strlen(text) > ORG_MAX)
        return org_edit_refuse(x, ERR_CONFLICT,
                               "org.json: it would be larger than %u KiB; take revoked devices "
                               "out that are no more",
                               ORG_MAX >> 10);
    if (e == ERR_OK || e == ERR_NOMEM)
        return e;
    return org_edit_refuse(x, ERR_CONFLICT, "org.json: nobody could read it: %s", err_text(e));
}

enum err org_change(const struct org_file *from, const struct org_change *c, struct org_edit *ret)
{
    *ret = (struct org_edit){.said = json_object_new_array()};
    if (ret->said == NULL)
        return ERR_NOMEM;
    enum err e = json_strict_parse((const char *)from->json, from->len, &ret->o);
    if (e != ERR_OK)
        return org_edit_refuse(ret, ERR_CONFLICT, "org.json: it is not strict JSON: %s", err_text(e));
    TRY(change_all(ret, &from->org, c));
    return check(ret);
}
