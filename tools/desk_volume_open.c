/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_volume_open.h"
#include "tools/desk_volume_text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void desk_volume_say(const struct volume_problem *p, const char *tail)
{
    char where[48] = "";
    if (p->off != VOLUME_NO_OFF)
        snprintf(where, sizeof where, " (at offset %llu)", (unsigned long long)p->off);
    desk_say("%s: %s%s%s%s", p->path ? p->path : "the volume", p->what, where, tail[0] ? "; " : "", tail);
}

int desk_volume_load(struct desk_volume_session *s)
{
    struct volume_problem problem;
    if (volume_open(s->req->image, s->req->header, &s->v, &problem) == ERR_OK)
        return KH_EXIT_OK;
    desk_volume_say(&problem, "");
    return KH_EXIT_FAILED;
}

static int no(struct desk_volume_session *s, const char *reason)
{
    s->reason = reason;
    return KH_EXIT_NO;
}

static int cannot_read(const struct desk_volume_request *r, enum err err)
{
    const char *from = strcmp(r->key, "-") == 0 ? "standard input" : r->key, *name = volume_way_name(r->way);
    if (err == ERR_RANGE)
        desk_say("%s: the %s cannot be read: it has more than %zu bytes, and that is the most%s", from, name,
                 volume_key_max(r->way),
                 r->way == VOLUME_PASSPHRASE ? "; is it a key file (--key-file)?" : "");
    else
        desk_say("%s: the %s cannot be read (%s)", from, name,
                 err != ERR_FORMAT             ? err_text(err)
                 : r->way == VOLUME_PASSPHRASE ? "the file is empty; an empty passphrase is an empty line"
                                               : "the file is empty");
    return KH_EXIT_FAILED;
}

static int load_key(struct desk_volume_session *s)
{
    const struct desk_volume_request *r = s->req;
    unsigned group = 0;
    enum err err = volume_key_load(r->way, r->key, &s->key, &group);
    s->key.one_slot = r->keyslot >= 0;
    s->key.slot = s->key.one_slot ? (unsigned)r->keyslot : 0;
    if (err == ERR_OK)
        return KH_EXIT_OK;
    if (err == ERR_AUTH && group == 0) {
        desk_say(
            "this is no recovery password: it has 48 digits, 8 groups of 6, and nothing else; read it again");
        return no(s, "not-48-digits");
    }
    if (err == ERR_AUTH) {
        desk_say("the recovery password has a typing error in group %u of 8; read that group again", group);
        s->group = group;
        return no(s, "typing-error");
    }
    return cannot_read(r, err);
}

/* Text that grows at its end and is cut where there is no room. */
struct text {
    char at[1536];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at + t->len, sizeof t->at - t->len, format, args);
    va_end(args);
    if (n > 0)
        t->len = (size_t)n < sizeof t->at - t->len ? t->len + (size_t)n : sizeof t->at - 1;
}

bool desk_volume_is_for(const struct volume_protector *p, enum volume_way way)
{
    return way == VOLUME_RECOVERY_PASSWORD ? p->recovery : strcmp(p->type, volume_way_name(way)) == 0;
}

#define SHOWN_IDS 16 /* in one sentence */

/* The key IDs of the protectors that this kind of key could open. Returns how many. */
static unsigned add_key_ids(struct text *t, const struct volume_info *info, enum volume_way way)
{
    unsigned n = 0;
    for (unsigned i = 0; i < info->n_protectors; i++) {
        char id[GUID_TEXT];
        const struct volume_protector *p = &info->protector[i];
        if (!p->has_key_id || !desk_volume_is_for(p, way))
            continue;
        guid_encode(&p->key_id, id);
        if (n++ < SHOWN_IDS)
            add(t, "%s%s", n > 1 ? ", " : "", id);
    }
    if (n > SHOWN_IDS)
        add(t, " and %u more, which 'volume show' lists", n - SHOWN_IDS);
    return n;
}

/* What opens it instead: each type once. */
static void add_types(struct text *t, const struct volume_info *info)
{
    unsigned n = 0;
    for (unsigned i = 0; i < info->n_protectors; i++) {
        const struct volume_protector *p = &info->protector[i];
        bool seen = p->why_not[0];
        for (unsigned k = 0; k < i && !seen; k++)
            seen = !info->protector[k].why_not[0] && strcmp(info->protector[k].type, p->type) == 0;
        if (!seen)
            add(t, "%s%s", n++ ? ", " : "", p->type);
    }
    if (!n)
        add(t, "nothing that can be used here");
}

/* What a candidate came to; BUSY: it is none, or was not reached. Of BitLocker it may stand for several. */
static enum err result_of(const struct volume *v, unsigned protector)
{
    for (unsigned k = 0; k < v->n_candidates; k++)
        if (v->candidate[k].protector == protector)
            return v->candidate[k].err;
    return ERR_BUSY;
}

const char *desk_volume_untried(const struct desk_volume_session *s, unsigned i)
{
    const struct volume_protector *p = &s->v->info.protector[i];
    enum volume_way way = s->req->way;
    bool luks2 = strcmp(s->v->info.format, "LUKS2") == 0;
    bool any = luks2 && way != VOLUME_STARTUP_KEY && way != VOLUME_CLEAR_KEY;
    enum err err = result_of(s->v, i);
    if (s->key.one_slot && p->number != s->key.slot)
        return NULL;
    if ((!any && !desk_volume_is_for(p, way)) || err == ERR_AUTH || err == ERR_OK)
        return NULL;
    if (p->why_not[0])
        return p->why_not;
    if (luks2 && p->note[0])
        return p->note;
    return err == ERR_BUSY ? NULL : err_text(err);
}

/* Is there something that this kind of key is for, and only we cannot try it? Says so. */
static bool cannot_try(const struct desk_volume_session *s)
{
    const struct volume_info *info = &s->v->info;
    for (unsigned i = 0; i < info->n_protectors; i++) {
        char what[256];
        const char *reason = desk_volume_untried(s, i);
        if (!reason)
            continue;
        desk_text_protector(info, i, what, sizeof what);
        desk_say("%s: nothing could be tried; %s: %s", s->req->image, what, reason);
        return true;
    }
    return false;
}

static int none_of_this_kind(struct desk_volume_session *s)
{
    struct text t = {.len = 0};
    if (cannot_try(s))
        return KH_EXIT_FAILED;
    add_types(&t, &s->v->info);
    if (s->req->way == VOLUME_CLEAR_KEY && strcmp(s->v->info.format, "BitLocker") == 0)
        desk_say("%s has no clear key: its protection is not suspended; what opens it: %s", s->req->image,
                 t.at);
    else
        desk_say("%s has no %s; what opens it: %s", s->req->image, volume_way_name(s->req->way), t.at);
    return no(s, "none-of-this-kind");
}

/* The key is fit and proper, but not of this volume. */
static int not_of_this_volume(struct desk_volume_session *s)
{
    const struct volume_info *info = &s->v->info;
    enum volume_way way = s->req->way;
    const char *name = volume_way_name(way), *image = s->req->image;
    struct text ids = {.len = 0};
    if (s->key.one_slot) {
        desk_say("the %s does not open keyslot %u of %s", name, s->key.slot, image);
        return no(s, "not-of-this-keyslot");
    }
    unsigned n = add_key_ids(&ids, info, way);
    if (way == VOLUME_RECOVERY_PASSWORD && n)
        desk_say(
            "the recovery password has no typing error, but it is not of this volume; %s opens with the one "
            "whose key ID is %s",
            image, ids.at);
    else if (way == VOLUME_RECOVERY_PASSWORD)
        desk_say(
            "the recovery password has no typing error, but it opens none of the keyslots of %s, and Keyholt "
            "made none of them",
            image);
    else if (way == VOLUME_STARTUP_KEY)
        desk_say("the startup key is not of this volume; %s opens with the one whose key ID is %s", image,
                 ids.at);
    else
        desk_say("the %s does not open %s", name, image);
    return no(s, "not-of-this-volume");
}

/* One that nobody tried may be the one that it opens. */
static void say_untried(const struct desk_volume_session *s)
{
    for (unsigned i = 0; i < s->v->info.n_protectors; i++) {
        char what[256];
        const char *reason = desk_volume_untried(s, i);
        if (!reason)
            continue;
        desk_text_protector(&s->v->info, i, what, sizeof what);
        desk_say("note: %s was not tried: %s", what, reason);
    }
}

int desk_volume_unlock(struct desk_volume_session *s)
{
    struct volume_problem problem;
    int code = load_key(s);
    if (code == KH_EXIT_OK || code == KH_EXIT_NO) { /* a broken volume is the worse news */
        int opened = desk_volume_load(s);
        code = opened == KH_EXIT_OK ? code : opened;
    }
    if (code != KH_EXIT_OK)
        return code;
    enum err err = volume_unlock(s->v, &s->key, &problem);
    if (err == ERR_OK) {
        volume_key_wipe(&s->key); /* a key file may be large */
        return KH_EXIT_OK;
    }
    if (err == ERR_NOT_FOUND)
        return none_of_this_kind(s);
    if (err != ERR_AUTH) {
        desk_volume_say(&problem, "");
        return KH_EXIT_FAILED;
    }
    code = not_of_this_volume(s);
    say_untried(s);
    return code;
}

void desk_volume_end(struct desk_volume_session *s)
{
    volume_key_wipe(&s->key);
    volume_close(s->v);
    s->v = NULL;
}
