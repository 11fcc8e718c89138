/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_log.h"
#include "crypto/host/file.h"
#include "formats/base.h"
#include "formats/names.h"
#include "formats/text.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum err desk_log_path(const char *root, char ret[static PATH_MAX])
{
    return file_join(root, KH_DESK_STATE "/audit.log", ret, PATH_MAX);
}

enum err desk_log_open(struct desk_log *log, const char *root)
{
    char folder[PATH_MAX];
    TRY(desk_log_path(root, log->path));
    TRY(file_join(root, KH_DESK_STATE, folder, sizeof folder));
    TRY(file_mkdirs(folder, 0700));
    return audit_open(log->path, (uint64_t)time(NULL), &log->chain);
}

static void describe(const struct envelope *envelope, struct audit_entry *e)
{
    guid_encode(&envelope->key_id, e->key_id);
    guid_encode(&envelope->volume, e->volume);
    base16_encode(envelope->device, sizeof envelope->device, e->device);
}

enum err desk_log_write(struct desk_log *log, const char *action, const struct envelope *envelope,
                        const char *detail)
{
    struct audit_entry e = {.time = (uint64_t)time(NULL), .role = "desk"};
    char text[2 * AUDIT_TEXT];
    snprintf(e.action, sizeof e.action, "%s", action);
    text_clean(log->who, strlen(log->who), e.who, sizeof e.who);
    text_clean(log->reason, strlen(log->reason), e.reason, sizeof e.reason);
    snprintf(text, sizeof text, "%s%s%s%s", log->user ? "for user " : "", log->user ? log->user : "",
             log->user && detail[0] ? "; " : "", detail);
    text_clean(text, strlen(text), e.detail, sizeof e.detail);
    if (envelope)
        describe(envelope, &e);
    return audit_append(log->chain, &e);
}

void desk_log_close(struct desk_log *log)
{
    audit_close(log->chain);
    log->chain = NULL;
}
