/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk volume decrypt: the decrypted volume in a file, whole or not at all. */
#include "tools/desk_volume_json.h"
#include "tools/desk_volume_open.h"
#include "tools/desk_volume_progress.h"
#include "tools/desk_volume_text.h"
#include "tools/volume_copy.h"
#include "tools/volume_end.h"
#include "tools/volume_out.h"
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

/* Set by SIGINT, SIGTERM and SIGHUP: stop, clean up. */
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* The second one of a kind ends the process at once. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)sigaction(numbers[i], &act, NULL); /* fails for no valid number */
    signal(SIGXFSZ, SIG_IGN);                    /* a limit on file sizes is an error like any other */
}

struct work {
    struct desk_volume_session s;
    struct volume_out out;
    struct desk_progress progress;
};

static enum err read_batch(void *ctx, unsigned lane, uint64_t off, void *buf, size_t len)
{
    const struct work *w = ctx;
    return volume_read(w->s.v, lane, off, buf, len);
}

static enum err write_batch(void *ctx, uint64_t off, const void *buf, size_t len)
{
    struct work *w = ctx;
    return volume_out_write(&w->out, off, buf, len);
}

static bool progress(void *ctx, uint64_t done)
{
    struct work *w = ctx;
    desk_progress_draw(&w->progress, done);
    return !stop;
}

static int say_out(const struct work *w, enum err err, const char *what)
{
    const char *out = w->s.req->out;
    if (err == ERR_CONFLICT)
        desk_say("%s exists already; nothing was written; name another file, or give --force to replace it",
                 out);
    else if (err == ERR_UNSUPPORTED)
        desk_say("%s is no regular file or leads to none; nothing was written; name a file that does not "
                 "exist yet",
                 out);
    else if (err == ERR_FULL)
        desk_say("%s: there is no room left on its file system; nothing of it was kept", out);
    else if (err == ERR_RANGE)
        desk_say("%s: its file system takes no file of this size or name; nothing of it was kept", out);
    else
        desk_say("%s: %s (%s); nothing of it was kept", out, what, err_text(err));
    return KH_EXIT_FAILED;
}

static bool is_same(const char *key, const char *out)
{
    struct stat a, b;
    return key && stat(key, &a) == 0 && stat(out, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* OUT must not be what is read. */
static int check_out(const struct work *w)
{
    const struct desk_volume_request *r = w->s.req;
    const struct volume *v = w->s.v;
    if (volume_image_is(&v->image, r->out) || volume_image_is(&v->header, r->out))
        desk_say("%s is what is to be decrypted, and that is never written; nothing was done", r->out);
    else if (is_same(r->key, r->out))
        desk_say("%s is what it is to be opened with, and that is never written; nothing was done", r->out);
    else
        return KH_EXIT_OK;
    return KH_EXIT_FAILED;
}

/* The end is missing: on purpose that is a warning, and else a refusal that names the way. */
static int cut(const struct work *w, const struct volume_problem *p)
{
    bool wanted = w->s.req->cut_short;
    desk_volume_say(p, wanted ? "what is there is decrypted"
                              : "nothing was written; --cut-short decrypts what is there");
    return wanted ? KH_EXIT_OK : KH_EXIT_FAILED;
}

/* A volume whose end is missing opens like any other. */
static int check_end(struct work *w)
{
    struct volume *v = w->s.v;
    uint8_t head[VOLUME_END_HEAD];
    const char *name;
    uint64_t claimed;
    struct volume_problem p = {.path = v->image.path};
    if (v->missing) {
        volume_problem_set(&p, v->image.len, "its end is missing: %llu bytes that the header names",
                           (unsigned long long)v->missing);
        return cut(w, &p);
    }
    if (v->info.size < sizeof head || volume_read(v, 0, 0, head, sizeof head) != ERR_OK)
        return KH_EXIT_OK; /* copying will tell */
    enum err err = volume_end_claimed(head, sizeof head, &name, &claimed);
    cr_wipe(head, sizeof head);
    if (err != ERR_OK || claimed <= v->info.size)
        return KH_EXIT_OK;
    v->missing = claimed - v->info.size;
    volume_problem_set(&p, v->image.len,
                       "its end is missing: the %s file system in it has %llu bytes, here are %llu", name,
                       (unsigned long long)claimed, (unsigned long long)v->info.size);
    return cut(w, &p);
}

static int copy_failed(const struct work *w, enum err err, const struct volume_copy_failure *f)
{
    struct volume_problem p = {.off = w->s.v->image.bad_off, .path = w->s.v->image.path};
    if (err == ERR_BUSY) {
        desk_say("stopped by a signal; nothing of %s was kept", w->s.req->out);
        return KH_EXIT_FAILED;
    }
    if (err == ERR_NOMEM)
        return say_out(w, err, "it cannot be written");
    if (f->writing)
        return say_out(w, err, "writing failed");
    if (p.off != VOLUME_NO_OFF)
        volume_problem_set(&p, p.off,
                           w->s.v->image.bad_errno ? "it cannot be read: %s" : "it ends too early%s",
                           w->s.v->image.bad_errno ? strerror(w->s.v->image.bad_errno) : "");
    else
        volume_problem_set(&p, f->off, "it cannot be decrypted there: %s", err_text(err));
    desk_volume_say(&p, "nothing was written");
    return KH_EXIT_FAILED;
}

static int copy(struct work *w)
{
    struct volume_copy_failure failure = {0};
    struct volume_copy c = {.size = w->s.v->info.size,
                            .lanes = volume_lanes(),
                            .read = read_batch,
                            .write = write_batch,
                            .progress = progress,
                            .ctx = w};
    desk_progress_begin(c.size, &w->progress);
    enum err err = volume_copy(&c, &failure);
    if (err == ERR_OK && stop)
        err = ERR_BUSY;
    if (err != ERR_OK) {
        desk_progress_end(&w->progress);
        return copy_failed(w, err, &failure);
    }
    desk_progress_sync(&w->progress);
    err = volume_out_finish(&w->out);
    desk_progress_end(&w->progress);
    return err == ERR_OK ? KH_EXIT_OK : say_out(w, err, "it could not be brought to disk");
}

static int create(struct work *w)
{
    const struct desk_volume_request *r = w->s.req;
    catch_signals(); /* until here one may end us: nothing is there to be cleaned up */
    enum err err = volume_out_create(r->out, r->force, w->s.v->info.size, &w->out);
    return err == ERR_OK ? KH_EXIT_OK : say_out(w, err, "it cannot be created");
}

static int answer(const struct work *w)
{
    const struct volume_info *info = &w->s.v->info;
    char size[SIZE_TEXT], holes[SIZE_TEXT], what[256];
    if (w->s.req->json)
        return desk_volume_json_decrypt(&w->s, info->size - w->out.written);
    desk_text_size(info->size, size);
    desk_text_size(info->size - w->out.written, holes);
    desk_text_protector(info, w->s.v->opened_by, what, sizeof what);
    printf("decrypted: %s, of which %s are holes; opened by %s\n", size, holes, what);
    if (fflush(stdout) == 0)
        return KH_EXIT_OK;
    desk_say("the answer cannot be written");
    return KH_EXIT_FAILED;
}

/* That OUT is there is said where standard output is not, too. */
static int report(const struct work *w)
{
    int code = answer(w);
    if (code != KH_EXIT_OK)
        desk_say("%s is complete all the same", w->s.req->out);
    return code;
}

static int prepare(struct work *w)
{
    struct volume *v = w->s.v;
    struct volume_problem problem;
    v->cut_short = w->s.req->cut_short;
    if (volume_prepare(v, volume_lanes(), &problem) == ERR_OK)
        return KH_EXIT_OK;
    if (v->is_cut && !v->cut_short)
        return cut(w, &problem);
    desk_volume_say(&problem, "nothing was written");
    return KH_EXIT_FAILED;
}

static int decrypt(struct work *w)
{
    int code = desk_volume_unlock(&w->s);
    if (code == KH_EXIT_OK)
        code = prepare(w);
    if (code == KH_EXIT_OK)
        code = check_out(w);
    if (code == KH_EXIT_OK)
        code = check_end(w);
    if (code == KH_EXIT_OK)
        code = create(w);
    return code == KH_EXIT_OK ? copy(w) : code;
}

int desk_volume_decrypt(const struct desk_volume_request *req)
{
    struct work w = {.s = {.req = req}, .out = {.fd = -1}};
    int code = decrypt(&w);
    volume_out_discard(&w.out);
    if (code == KH_EXIT_OK)
        code = report(&w);
    else if (code == KH_EXIT_NO && req->json)
        (void)desk_volume_json_test(&w.s, false);
    desk_volume_end(&w.s);
    return code;
}
