/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/audit/audit_reading.h"
#include "crypto/host/file.h"
#include "escrow-server/places.h"
#include "formats/base.h"
#include "formats/host/audit_checkpoint.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err read_one(struct audit_reading *r, const char *path, bool foreign)
{
    if (r->n == AUDIT_SOURCES_MAX)
        return ERR_FULL;
    TRY(audit_view_chain(&r->view, path, foreign, &r->source[r->n]));
    r->n++;
    return ERR_OK;
}

static enum err read_foreign(struct audit_reading *r, const char *root)
{
    char dir[PATH_MAX], path[PATH_MAX];
    TRY(file_join(root, PLACE_FOREIGN, dir, sizeof dir));
    DIR *d = opendir(dir);
    enum err e = ERR_OK;
    if (d == NULL)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_DENIED;
    for (const struct dirent *item; e == ERR_OK && (item = readdir(d)) != NULL;) {
        size_t len = strlen(item->d_name);
        if (len < 5 || strcmp(item->d_name + len - 4, ".log") != 0)
            continue;
        int n = snprintf(path, sizeof path, "%s/%s", dir, item->d_name);
        e = n > 0 && (size_t)n < sizeof path ? read_one(r, path, true) : ERR_RANGE;
    }
    closedir(d);
    return e;
}

static enum err read_key(struct audit_reading *r, const char *root)
{
    char path[PATH_MAX];
    uint8_t *pem = NULL;
    size_t len;
    TRY(file_join(root, PLACE_AUDIT_PUB, path, sizeof path));
    enum err e = file_read(path, 1024, &pem, &len);
    if (e == ERR_NOT_FOUND)
        return ERR_OK; /* its absence is judged */
    TRY(e);
    e = cr_p256_pub_from_pem((const char *)pem, len, &r->key);
    free(pem);
    r->has_key = e == ERR_OK;
    return e;
}

enum err audit_read_all(struct audit_reading *r, const char *root)
{
    char path[PATH_MAX];
    TRY(read_key(r, root));
    TRY(file_join(root, PLACE_AUDIT, path, sizeof path));
    TRY(read_one(r, path, false));
    return read_foreign(r, root);
}

static void hash_text(const struct audit_head *h, char ret[static BASE16_LEN(32) + 1])
{
    base16_encode(h->hash, sizeof h->hash, ret);
}

/* Was every foreign chain put on record with the head that its copy has? A copy that was shortened is not
 * what the vault's own entry says. */
static bool is_anchored(const struct audit_reading *r, const struct audit_source *s)
{
    char want[AUDIT_TEXT + 1], hex[BASE16_LEN(32) + 1];
    hash_text(&s->head, hex);
    snprintf(want, sizeof want, "chain=%s entries=%llu head=%s", s->head.chain, (unsigned long long)s->head.n,
             hex);
    const char *last = NULL;
    for (size_t i = 0; i < r->view.n; i++) {
        const struct audit_entry *e = &r->view.line[i].entry;
        if (!r->view.line[i].foreign && strcmp(e->action, AUDIT_IMPORT) == 0 &&
            strncmp(e->note, want, strlen("chain=") + strlen(s->head.chain) + 1) == 0)
            last = e->note;
    }
    return last != NULL && strcmp(last, want) == 0;
}

/* Signed by this server's audit key, on the entry before it? */
static bool is_true_checkpoint(const struct audit_reading *r, const struct audit_entry *e)
{
    struct audit_head_word w;
    return r->has_key && audit_checkpoint_read(e, &w) == ERR_OK &&
           audit_checkpoint_verify(e, &r->key) == ERR_OK;
}

/* Of which organisation is this server? Its own log says so, where its key signed it. */
static bool get_org(const struct audit_reading *r, struct guid *ret)
{
    struct audit_head_word w;
    for (size_t i = 0; i < r->view.n; i++) {
        const struct audit_line *l = &r->view.line[i];
        if (l->foreign || strcmp(l->entry.action, AUDIT_CHECK) != 0 || !is_true_checkpoint(r, &l->entry) ||
            audit_checkpoint_read(&l->entry, &w) != ERR_OK)
            continue;
        *ret = w.org;
        return true;
    }
    return false;
}

/* What is wrong with a checkpoint of an imported chain; NULL: nothing. Each vault signs with a key of its
 * own, which is not known here. org: this server's, NULL: unknown; ret_other: by such a key */
static const char *judge_foreign(const struct audit_reading *r, const struct audit_entry *e,
                                 const struct guid *org, bool *ret_other)
{
    struct audit_head_word w;
    uint8_t id[CR_KEY_ID];
    if (audit_checkpoint_read(e, &w) != ERR_OK)
        return "FALSE CHECKPOINT: it does not speak of the entry before it";
    if (org != NULL && !guid_equal(org, &w.org))
        return "ANOTHER ORGANISATION'S: a checkpoint in it names that one";
    if (!r->has_key || cr_p256_id(&r->key, id) != ERR_OK || memcmp(id, w.key, sizeof id) != 0) {
        *ret_other = true;
        return NULL;
    }
    return audit_checkpoint_verify(e, &r->key) == ERR_OK ? NULL : "FALSE CHECKPOINT: its signature is none";
}

/* Does an order in this list name the entry? "chain=HEX entries=1,2" */
static bool orders(const struct audit_entry *order, const struct audit_entry *e)
{
    char want[64];
    int len = snprintf(want, sizeof want, "chain=%s entries=", e->chain);
    if (strcmp(order->action, AUDIT_ERASE) != 0 || strncmp(order->note, want, (size_t)len) != 0)
        return false;
    for (const char *at = order->note + len; *at != '\0' && *at != ' ';) {
        char *end;
        if (strtoull(at, &end, 10) == e->n)
            return true;
        if (end == at)
            return false;
        at = end + (*end == ',');
    }
    return false;
}

static bool is_ordered(const struct audit_reading *r, const struct audit_entry *e)
{
    for (size_t i = 0; i < r->view.n; i++)
        if (orders(&r->view.line[i].entry, e))
            return true;
    return false;
}

/* NULL where it is no alarm of a loss, or one that was acknowledged: then ret_gap. */
static const char *judge_alarm(const struct audit_reading *r, const struct audit_entry *e, bool *ret_gap)
{
    struct audit_gap_note note;
    if (strcmp(e->action, AUDIT_ALARM) != 0 || strncmp(e->note, "lost=", 5) != 0)
        return NULL;
    if (audit_gap_decode(e, &note) != ERR_OK || !audit_is_acknowledged(r, e, &note.gap, NULL))
        return "ENTRIES WERE LOST: a device proved it (see the entry \"alarm\")";
    *ret_gap = true;
    return NULL;
}

/* Of one chain. What makes a good one less than simply good: */
struct shades {
    const struct guid *org; /* this server's; NULL: unknown */
    bool gap;               /* one that was acknowledged */
    bool other_key;         /* signs its checkpoints */
};

/* What is wrong with a checkpoint, or an alarm; NULL: nothing */
static const char *judge_line(const struct audit_reading *r, const struct audit_line *l, struct shades *ret)
{
    bool check = strcmp(l->entry.action, AUDIT_CHECK) == 0;
    if (l->foreign)
        return check ? judge_foreign(r, &l->entry, ret->org, &ret->other_key) : NULL;
    if (check && !is_true_checkpoint(r, &l->entry))
        return "FALSE CHECKPOINT: a signature in it is not by this server's audit key (audit.pub)";
    return judge_alarm(r, &l->entry, &ret->gap);
}

/* What is wrong with the entries of one whole chain; NULL: nothing. */
static const char *find_wrong(const struct audit_reading *r, const struct audit_source *s, struct shades *ret)
{
    for (size_t i = 0; i < r->view.n; i++) {
        const struct audit_entry *e = &r->view.line[i].entry;
        if (strcmp(e->chain, s->head.chain) != 0)
            continue;
        if (e->erased && !is_ordered(r, e))
            return "ERASED WITHOUT ORDER: the personal part of an entry is gone";
        const char *wrong = judge_line(r, &r->view.line[i], ret);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *audit_judge(const struct audit_reading *r, unsigned i, bool *ret_good)
{
    const struct audit_source *s = &r->source[i];
    *ret_good = false;
    if (s->err == ERR_NOT_FOUND)
        return "there is no log";
    if (s->err == ERR_DENIED || s->err == ERR_IO)
        return err_text(s->err);
    if (s->err != ERR_OK)
        return "BROKEN: the next entry is none, or does not follow";
    if (s->head.n == 0)
        return "EMPTY: a log begins with an entry when it is made, so all of it was lost";
    if (i > 0 && !is_anchored(r, s))
        return "NOT AS IMPORTED: the vault's own log names another head";
    struct guid org;
    struct shades shades = {.org = i > 0 && get_org(r, &org) ? &org : NULL};
    const char *wrong = find_wrong(r, s, &shades);
    if (wrong != NULL)
        return wrong;
    *ret_good = true;
    if (shades.gap)
        return "complete except for the acknowledged gap (see the entries \"alarm\" and \"acknowledge\")";
    if (shades.other_key)
        return "good (another vault's key, which is not known here, signs its checkpoints)";
    return s->torn > 0 ? "good (a line torn by a crash follows; nothing was disclosed for it)" : "good";
}
