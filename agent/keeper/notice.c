/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/notice.h"
#include "crypto/host/file.h"
#include "formats/names.h"
#include "formats/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTICE_MAX 4096
#define LINE       1024

/* Of a LUKS2 volume: what BitLocker wants is done in Windows. */
static bool add_volume(struct agent *a, const struct cache_volume *v, char *text, size_t cap)
{
    char device[512];
    struct cache_life l;
    size_t len = strlen(text);
    if (v->state != VOLUME_NEEDS_SECRET || cache_get_life(a->cache, &v->uuid, &l) != ERR_OK ||
        cap - len < LINE)
        return false;
    text_clean(v->device, strlen(v->device), device, sizeof device);
    (void)snprintf(
        text + len, cap - len,
        "Keyholt: %s of %.400s %s, which takes a passphrase once%s:\n    sudo keyholt-agent rotate %.400s\n",
        v->rotate ? "the recovery password" : "the management key", device,
        v->rotate ? "waits to be replaced" : "is gone and waits to be made again",
        l.management == MANAGEMENT_AWAY ? " (or the TPM, which is away)" : "", device);
    return true;
}

static bool compose(struct agent *a, char *text, size_t cap)
{
    struct cache_volume *v = NULL;
    unsigned n = 0;
    bool any = false;
    if (cache_volumes(a->cache, &v, &n) != ERR_OK)
        n = 0;
    for (unsigned i = 0; i < n; i++)
        any = add_volume(a, &v[i], text, cap) || any;
    free(v);
    return any;
}

static bool is_there(const char *path, const char *text)
{
    uint8_t *p;
    size_t len;
    if (file_read(path, NOTICE_MAX, &p, &len) != ERR_OK)
        return false;
    bool same = len == strlen(text) && memcmp(p, text, len) == 0;
    free(p);
    return same;
}

void notice_update(struct agent *a)
{
    char path[PATH_MAX], text[NOTICE_MAX] = "";
    if (file_join(a->root, KH_RUN "/notice", path, sizeof path) != ERR_OK)
        return;
    if (!compose(a, text, sizeof text))
        (void)unlink(path);
    else if (!is_there(path, text) && file_write(path, text, strlen(text), 0644) != ERR_OK)
        (void)fprintf(stderr, "keeper: %s cannot be written\n", path); /* status says the same */
}
