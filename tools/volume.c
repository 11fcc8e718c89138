/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* BitLocker first: its signature stands where a LUKS header begins, so both are only there when a LUKS2
 * volume was overwritten and its secondary header is still around. */
static const struct volume_ops *const formats[] = {&volume_bitlocker_ops, &volume_luks2_ops};
#define N_FORMATS (sizeof formats / sizeof *formats)

void volume_problem_set(struct volume_problem *p, uint64_t off, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->what, sizeof p->what, format, args);
    va_end(args);
    p->off = off;
}

void *volume_alloc(size_t len)
{
    void *p = calloc(1, len);
    if (p)
        (void)mlock(p, len); /* over the limit it works without, as process_harden() */
    return p;
}

void volume_free(void *p, size_t len)
{
    if (!p)
        return;
    cr_wipe(p, len);
    (void)munlock(p, len);
    free(p);
}

const struct volume_image *volume_header(const struct volume *v)
{
    return v->header.fd >= 0 ? &v->header : &v->image;
}

static void forget_failures(struct volume *v)
{
    volume_image_forget(&v->image);
    volume_image_forget(&v->header);
}

static enum err open_image(const char *path, struct volume_image *ret, struct volume_problem *problem)
{
    enum err err = volume_image_open(path, ret);
    problem->path = path;
    if (err == ERR_UNSUPPORTED)
        volume_problem_set(problem, VOLUME_NO_OFF, "this is neither a file nor a block device");
    else if (err != ERR_OK)
        volume_problem_set(problem, VOLUME_NO_OFF, "it cannot be opened (%s)", err_text(err));
    return err;
}

/* Why is it neither: help with the two mistakes that are easily made. */
static enum err neither(struct volume *v, struct volume_problem *problem)
{
    static const struct {
        uint64_t off;
        const char *magic, *what;
    } known[] = {
        {512, "EFI PART", "this is a whole disk with a GPT partition table; name the partition"},
        {4096, "EFI PART", "this is a whole disk with a GPT partition table; name the partition"},
        {3, "NTFS    ", "this is an NTFS file system in clear, not encrypted"},
    };
    const struct volume_image *image = volume_header(v);
    char seen[8];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (image->len >= known[i].off + sizeof seen &&
            v->header_io.read(v->header_io.ctx, known[i].off, seen, sizeof seen) == ERR_OK &&
            memcmp(seen, known[i].magic, sizeof seen) == 0) {
            volume_problem_set(problem, known[i].off, "%s", known[i].what);
            return ERR_NOT_FOUND;
        }
    if (image->len < 512)
        volume_problem_set(problem, image->len, "it ends too early to be a volume");
    else
        volume_problem_set(problem, 0, "there is neither a LUKS2 nor a BitLocker volume");
    return ERR_NOT_FOUND;
}

static enum err recognise(struct volume *v, struct volume_problem *problem)
{
    for (size_t i = 0; i < N_FORMATS; i++) {
        bool is = false;
        forget_failures(v);
        enum err err = formats[i]->probe(&v->header_io, &is);
        if (err != ERR_OK && err != ERR_TRUNCATED) {
            volume_problem_set(problem, volume_header(v)->bad_off, "it cannot be read (%s)", err_text(err));
            return err;
        }
        if (is && err == ERR_OK) {
            v->ops = formats[i];
            return ERR_OK;
        }
    }
    return neither(v, problem);
}

static enum err open_volume(const char *path, const char *header, struct volume *v,
                            struct volume_problem *problem)
{
    TRY(open_image(path, &v->image, problem));
    if (header)
        TRY(open_image(header, &v->header, problem));
    problem->path = header ? header : path;
    v->data_io = volume_image_io(&v->image);
    v->header_io = header ? volume_image_io(&v->header) : v->data_io;
    TRY(recognise(v, problem));
    if (header && v->ops != &volume_luks2_ops) {
        volume_problem_set(problem, VOLUME_NO_OFF,
                           "this is no LUKS2 header, and only LUKS2 has detached ones");
        return ERR_NOT_FOUND;
    }
    return v->ops->open(v, problem);
}

enum err volume_open(const char *path, const char *header, struct volume **ret,
                     struct volume_problem *ret_problem)
{
    struct volume *v = volume_alloc(sizeof *v);
    *ret_problem = (struct volume_problem){.off = VOLUME_NO_OFF, .path = path};
    if (!v) {
        volume_problem_set(ret_problem, VOLUME_NO_OFF, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    v->image.fd = v->header.fd = -1;
    enum err err = open_volume(path, header, v, ret_problem);
    if (err == ERR_OK)
        *ret = v;
    else
        volume_close(v);
    return err;
}

/* Which protector opened, by candidate: attempts run side by side. */
struct attempts {
    const struct volume *v;
    const struct volume_key *key;
    unsigned opened_by[TRY_MAX + 1];
};

static enum err attempt(void *ctx, unsigned protector, struct secret *ret)
{
    struct attempts *a = ctx;
    return a->v->ops->attempt(a->v, a->key, protector, &a->opened_by[protector], ret);
}

/* Why nothing opened, when that says nothing about the key. */
static enum err why_untried(const struct volume *v, struct volume_problem *problem)
{
    for (unsigned i = 0; i < v->n_candidates; i++) {
        const struct volume_protector *p = &v->info.protector[v->candidate[i].protector];
        enum err err = v->candidate[i].err;
        if (err == ERR_AUTH || err == ERR_NOT_FOUND || err == ERR_UNSUPPORTED)
            continue;
        if (err == ERR_NOMEM)
            volume_problem_set(
                problem, VOLUME_NO_OFF,
                "keyslot %u could not be tried: it needs %u MiB of memory, which cannot be had here",
                p->number, p->kdf.memory_kib >> 10);
        else
            volume_problem_set(problem, volume_header(v)->bad_off, "%s %u could not be tried (%s)", p->type,
                               p->number, err_text(err));
        return err;
    }
    return ERR_AUTH;
}

enum err volume_unlock(struct volume *v, const struct volume_key *key, struct volume_problem *ret_problem)
{
    SECRET(opened);
    unsigned which = 0;
    struct attempts a = {.v = v, .key = key};
    struct volume_try t = {.candidate = v->candidate, .attempt = attempt, .ctx = &a};
    *ret_problem = (struct volume_problem){.off = VOLUME_NO_OFF, .path = volume_header(v)->path};
    forget_failures(v);
    v->n_candidates = 0;
    TRY(v->ops->candidates(v, key, v->candidate, &t.n, ret_problem));
    v->n_candidates = t.n;
    enum err err = volume_try(&t, &opened, &which);
    if (err == ERR_AUTH)
        err = why_untried(v, ret_problem);
    TRY(err);
    v->opened_by = a.opened_by[v->candidate[which].protector];
    return v->ops->unlock(v, &opened, ret_problem);
}

enum err volume_prepare(struct volume *v, unsigned lanes, struct volume_problem *ret_problem)
{
    *ret_problem = (struct volume_problem){.off = VOLUME_NO_OFF, .path = v->image.path};
    TRY(v->ops->prepare(v, lanes, ret_problem));
    forget_failures(v);
    return ERR_OK;
}

enum err volume_read(const struct volume *v, unsigned lane, uint64_t off, void *buf, size_t len)
{
    return v->ops->read(v, lane, off, buf, len);
}

void volume_close(struct volume *v)
{
    if (!v)
        return;
    if (v->ops)
        v->ops->close(v);
    free(v->info.protector);
    volume_image_close(&v->image);
    volume_image_close(&v->header);
    volume_free(v, sizeof *v);
}
