/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/agent.h"
#include "agent/state/org_store.h"
#include "agent/state/policy_store.h"
#include "agent/tpm/tpm_module.h"
#include "crypto/host/file.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_ESP "/boot/efi"
#define TPM_DEVICE  "/dev/tpmrm0" /* the kernel's resource manager: other programs use the TPM, too */

static enum err place(const char *given, const char *root, const char *path, char ret[PATH_MAX])
{
    return given ? file_join("", given, ret, PATH_MAX) : file_join(root, path, ret, PATH_MAX);
}

static enum err open_state(struct agent *a, struct problem *why)
{
    char dir[PATH_MAX], path[PATH_MAX];
    TRY(file_join(a->root, KH_AGENT_STATE, dir, sizeof dir));
    enum err e = file_mkdirs(dir, 0700);
    if (e != ERR_OK)
        return problem_set(why, e, "the folder %s cannot be made: %s", dir, err_text(e));
    TRY(file_join(a->root, KH_AGENT_STATE "/cache.db", path, sizeof path));
    e = cache_open(path, &a->cache);
    if (e != ERR_OK)
        return problem_set(why, e, "the cache %s cannot be opened: %s", path, err_text(e));
    return ERR_OK;
}

static enum err open_org(struct agent *a, struct problem *why)
{
    struct org *org = malloc(sizeof *org);
    if (!org)
        return problem_set(why, ERR_NOMEM, "not enough memory");
    enum err e = org_store_load(a->root, org, why);
    if (e == ERR_OK) {
        a->org = org;
        return ERR_OK;
    }
    free(org);
    return e;
}

static enum err choose_tpm(struct agent *a, const char *tcti)
{
    char name[PATH_MAX + 8] = "device:";
    size_t n = strlen(name);
    if (!tcti)
        TRY(file_join(a->root, TPM_DEVICE, name + n, sizeof name - n));
    a->tpm = malloc(sizeof *a->tpm);
    return a->tpm ? tpm_init(a->tpm, &tpm_module, tcti ? tcti : name) : ERR_NOMEM;
}

static enum err open_places(struct agent *a, const struct agent_places *p)
{
    a->root = p->root;
    TRY(place(p->esp, p->root, DEFAULT_ESP, a->esp));
    TRY(place(p->efivars, p->root, KH_EFIVARS, a->efivars));
    return choose_tpm(a, p->tpm);
}

enum err agent_open(struct agent *a, const struct agent_places *places, struct problem *why)
{
    memset(a, 0, sizeof *a);
    policy_defaults(&a->policy);
    enum err e = open_places(a, places);
    if (e != ERR_OK)
        return problem_set(why, e, "a path is too long");
    if (gethostname(a->computer, sizeof a->computer) < 0)
        strcpy(a->computer, "unnamed");
    a->computer[sizeof a->computer - 1] = 0;
    e = open_state(a, why);
    if (e == ERR_OK) {
        /* A missing or broken organisation must not stop the keeper: rotation's clean-up, status and a new
         * enrolment work without; what needs one says why it has none. */
        struct problem ignored;
        e = open_org(a, &ignored);
        policy_store_load(a);
        e = e == ERR_NOMEM ? e : ERR_OK;
    }
    if (e != ERR_OK)
        agent_close(a);
    return e;
}

void agent_close(struct agent *a)
{
    cache_close(a->cache);
    device_key_close(&a->key);
    free(a->org);
    free(a->tpm);
    a->tpm = NULL;
    a->cache = NULL;
    a->org = NULL;
}

static void tell(struct agent *a, bool step, const char *fmt, va_list args)
{
    char text[PROBLEM_MAX];
    (void)vsnprintf(text, sizeof text, fmt, args);
    if (a->progress)
        a->progress(a->progress_ctx, text, step);
    else if (!step)
        (void)fprintf(stderr, "keeper: %s\n", text);
}

void agent_say(struct agent *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    tell(a, false, fmt, args);
    va_end(args);
}

void agent_step(struct agent *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    tell(a, true, fmt, args);
    va_end(args);
}
