/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_screen.h"
#include "efi/app.h"
#include "efi/copy_list.h"
#include "efi/copy_name.h"
#include "efi/copy_stick.h"
#include "efi/drivers.h"
#include "efi/keyboard.h"
#include "efi/sentence.h"
#include "efi/tree_efi.h"
#include <string.h>

#define LOOK_MS 1000 /* between two looks for a stick */
#define DRAW_MS 100  /* between two pictures of progress */

/* Everything that is needed from choosing to the end; pool memory. */
struct work {
    struct volume *v;
    const char *name; /* of the volume */
    struct tree_efi from_efi, to_efi;
    struct tree from, to;
    struct copy_list list;
    struct copy_choice choice;
    struct copy_stick stick[COPY_STICKS];
    unsigned n_sticks, at; /* the stick that is meant */
    struct disk medium;    /* that stick's */
    struct copy_plan plan;
    char folder[COPY_FOLDER];
    uint16_t base[COPY_FOLDER];
    struct walk walk;
    struct copy_batch batch;
    struct copy copy;
    char notes[COPY_NOTES];
    uint8_t buffer[COPY_BUFFER];
    uint64_t drawn_ms;
};

static struct drivers drivers;
static struct page page;

/* Both are called many times a second. */
static bool time_to_draw(struct work *w)
{
    uint64_t now = firmware_uptime_ms();
    if (now - w->drawn_ms < DRAW_MS)
        return false;
    w->drawn_ms = now;
    return true;
}

static bool escape_pressed(void)
{
    enum key key;
    while ((key = keyboard_poll()) != KEY_NONE)
        if (key == KEY_ESC)
            return true;
    return false;
}

static bool counting(void *ctx, const struct copy_plan *so_far)
{
    struct work *w = ctx;
    if (!time_to_draw(w))
        return true;
    copy_page_counting(&page, so_far);
    screen_page(&page);
    return !escape_pressed();
}

static bool copying(void *ctx, const struct copy_progress *now)
{
    struct work *w = ctx;
    if (time_to_draw(w)) {
        copy_page_progress(&page, &w->plan, now);
        screen_page(&page);
    }
    return !escape_pressed();
}

/* Enter or Esc; the page stands. True: Enter. */
static bool wait_answer(void)
{
    for (;;) {
        enum key key = keyboard_wait();
        if (key == KEY_ENTER || key == KEY_ESC || key == KEY_NO)
            return key == KEY_ENTER;
    }
}

/* The next stick that can be written to, from this one on; false when none can. */
static bool take_stick(struct work *w, unsigned from)
{
    for (unsigned i = 0; i < w->n_sticks; i++) {
        unsigned at = (from + i) % w->n_sticks;
        if (!w->stick[at].place.locked) {
            w->at = at;
            return true;
        }
    }
    return false;
}

/* A key, or none within the time. */
static enum key key_within(unsigned ms)
{
    uint64_t until = firmware_uptime_ms() + ms;
    enum key key;
    while ((key = keyboard_poll()) == KEY_NONE && firmware_uptime_ms() < until)
        keyboard_rest();
    return key;
}

/* Wait until there is one; false when nobody wants to. */
static bool find_stick(struct work *w)
{
    for (;;) {
        w->n_sticks = copy_sticks_find(w->stick);
        if (take_stick(w, 0))
            return true;
        copy_page_no_stick(&page, w->n_sticks ? &w->stick[0].place : NULL);
        screen_page(&page);
        if (key_within(LOOK_MS) == KEY_ESC)
            return false;
    }
}

static bool several_sticks(const struct work *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->n_sticks; i++)
        n += !w->stick[i].place.locked;
    return n > 1;
}

static void tell(const char *sentence)
{
    page_init(&page, "Copy files to a USB stick", "Enter goes back");
    page_say(&page, TONE_BAD, sentence);
    screen_page(&page);
    wait_answer();
}

/* Count for this stick. False: stopped, or it cannot be read. */
static bool count(struct work *w)
{
    w->drawn_ms = 0;
    enum err e =
        copy_plan_make(&w->walk, &w->from, &w->choice, &w->stick[w->at].place.room, counting, w, &w->plan);
    if (e != ERR_OK)
        tell("This folder cannot be read.");
    return e == ERR_OK && !w->plan.stopped;
}

/* Show what would be done until somebody decides. */
static bool agreed(struct work *w)
{
    for (;;) {
        if (!count(w))
            return false;
        copy_page_ask(&page, w->name, &w->plan, &w->stick[w->at].place, w->folder, several_sticks(w));
        screen_page(&page);
        enum key key = keyboard_wait();
        if (key == KEY_ENTER && w->plan.files + w->plan.folders > 0)
            return true;
        if (key == KEY_ESC || key == KEY_NO)
            return false;
        if (key == KEY_TAB)
            take_stick(w, w->at + 1);
    }
}

static enum copy_end run_once(struct work *w)
{
    const struct copy_stick *s = &w->stick[w->at];
    if (disk_open(&w->medium, s->device) != ERR_OK)
        return COPY_STICK_GONE;
    enum copy_end end = COPY_STICK_GONE;
    if (tree_efi_init(&w->to_efi, s->device, &w->medium, &w->to) == ERR_OK) {
        w->copy.room = &s->place.room;
        w->drawn_ms = 0;
        end = copy_run(&w->copy);
    }
    disk_close(&w->medium);
    return end;
}

/* Copy, onto one stick after the other when that is what a person wants. */
static void transfer(struct work *w)
{
    memset(&w->copy, 0, sizeof w->copy);
    w->copy = (struct copy){.from = &w->from,
                            .to = &w->to,
                            .choice = &w->choice,
                            .base = w->base,
                            .go_on = copying,
                            .ctx = w,
                            .walk = &w->walk,
                            .batch = &w->batch,
                            .buffer = w->buffer,
                            .notes = w->notes};
    for (;;) {
        enum copy_end end = run_once(w);
        copy_page_result(&page, &w->copy, &w->plan, end, w->folder);
        screen_page(&page);
        if (!wait_answer() || !copy_can_go_on(end) || !find_stick(w))
            return;
    }
}

static void name_folder(struct work *w)
{
    EFI_TIME t = {.Year = 0};
    if (fw.rt->GetTime(&t, NULL) != EFI_SUCCESS)
        t.Year = 0;
    copy_folder_name(t.Year, t.Month, t.Day, w->folder);
    copy_name_wide(w->folder, w->base, COPY_FOLDER);
}

/* True when something was copied, or tried to be. */
static bool copy_chosen(struct work *w)
{
    w->choice = (struct copy_choice){.folder = w->list.folder, .wanted = copy_list_wanted, .ctx = &w->list};
    name_folder(w);
    if (!find_stick(w) || !agreed(w))
        return false;
    transfer(w);
    return true;
}

/* Into another folder, or, where that cannot be read, back to the first. */
static bool load(struct work *w)
{
    if (copy_list_load(&w->list, &w->from) == ERR_OK)
        return true;
    tell("This folder cannot be read.");
    w->list.folder[0] = 0;
    return copy_list_load(&w->list, &w->from) == ERR_OK;
}

static void choose(struct work *w)
{
    bool more = load(w);
    while (more) {
        copy_list_page(&w->list, w->name, &page);
        screen_page(&page);
        enum copy_list_action a = copy_list_key(&w->list, keyboard_wait());
        if (a == COPY_LIST_LOAD)
            more = load(w);
        else if (a == COPY_LIST_COPY)
            more = !copy_chosen(w);
        else
            more = a != COPY_LIST_LEAVE;
    }
}

/* The firmware's own driver, or one that the organisation put beside us. */
static enum err mount(struct work *w)
{
    EFI_HANDLE h = w->v->published->handle;
    if (tree_efi_init(&w->from_efi, h, &w->v->disk, &w->from) == ERR_OK)
        return ERR_OK;
    drivers_start(&drivers);
    fw.bs->ConnectController(h, NULL, NULL, TRUE);
    return tree_efi_init(&w->from_efi, h, &w->v->disk, &w->from);
}

static void work_on(struct work *w, struct volume *v)
{
    w->v = v;
    w->name = v->facts.label[0] ? v->facts.label : v->facts.id_text;
    if (mount(w) == ERR_OK) {
        choose(w);
        return;
    }
    copy_page_no_driver(&page, w->name, file_system_name(v->published->plain->file_system), drivers.refused);
    screen_page(&page);
    wait_answer();
}

/* A system's volume is handed over when it opens; U, before, has it opened to be read. */
static void prepare(const struct volume *v)
{
    if (app.model.phase != MODEL_ENTRY)
        tell("This volume cannot be read here, so nothing can be copied from it.");
    else if (v->luks && v->facts.os)
        model_copying(&app.model, !app.model.copying);
    else
        model_failed(&app.model, false,
                     "Open this volume first, with its digits: then U copies files from it.");
}

static void copy_from(struct volume *v)
{
    struct work *w = firmware_alloc(sizeof *w);
    if (!w) {
        tell("There is too little memory to copy files.");
        return;
    }
    work_on(w, v);
    cr_wipe(w, sizeof *w); /* names and bytes of files that are encrypted where they come from */
    firmware_free(w);
}

void copy_screen(void)
{
    struct volume *v = app_current();
    if (!v)
        return;
    if (!app.content.may_copy)
        tell("Your organisation does not want files to be copied here.");
    else if (!v->published)
        prepare(v);
    else
        copy_from(v);
    cr_wipe(&page, sizeof page);
    app_show();
}
