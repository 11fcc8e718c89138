/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_name.h"
#include "efi/copy_work.h"
#include "efi/keyboard.h"
#include "efi/screen.h"
#include <string.h>

struct page copy_page;

#define LOOK_MS 1000 /* between two looks for a stick */
#define DRAW_MS 100  /* between two pictures of progress */

/* Progress is told many times a second; drawing each would cost more than copying. */
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
    copy_page_counting(&copy_page, so_far);
    screen_page(&copy_page);
    return !escape_pressed();
}

static bool copying(void *ctx, const struct copy_progress *now)
{
    struct work *w = ctx;
    if (time_to_draw(w)) {
        copy_page_progress(&copy_page, &w->plan, now);
        screen_page(&copy_page);
    }
    return !escape_pressed();
}

bool copy_wait_answer(void)
{
    for (;;) {
        enum key key = keyboard_wait();
        if (key == KEY_ENTER || key == KEY_ESC || key == KEY_NO)
            return key == KEY_ENTER;
    }
}

/* Another stick that can be written to, if there is one. */
static void next_stick(struct work *w)
{
    do
        w->at = (w->at + 1) % w->n_sticks;
    while (w->stick[w->at].place.locked);
}

/* The one with the most room, so that after a full one another comes first; false when none can be written
 * to. */
static bool best_stick(struct work *w)
{
    bool found = false;
    for (unsigned i = 0; i < w->n_sticks; i++) {
        const struct copy_place *p = &w->stick[i].place;
        if (p->locked || (found && p->room.free <= w->stick[w->at].place.room.free))
            continue;
        w->at = i;
        found = true;
    }
    return found;
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
        if (best_stick(w))
            return true;
        copy_page_no_stick(&copy_page, w->n_sticks ? &w->stick[0].place : NULL);
        screen_page(&copy_page);
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

void copy_tell(const char *sentence)
{
    page_init(&copy_page, COPY_TITLE, "Enter goes back");
    page_say(&copy_page, TONE_BAD, sentence);
    screen_page(&copy_page);
    copy_wait_answer();
}

/* Count for this stick. False: stopped, or it cannot be read. */
static bool count(struct work *w)
{
    w->drawn_ms = 0;
    enum err e =
        copy_plan_make(&w->walk, &w->from, &w->choice, &w->stick[w->at].place.room, counting, w, &w->plan);
    if (e != ERR_OK)
        copy_tell("This folder cannot be read.");
    return e == ERR_OK && !w->plan.stopped;
}

/* One that the stick does not have yet. */
static void name_folder(struct work *w)
{
    uint16_t wanted[COPY_FOLDER], name[TREE_NAME];
    bool other;
    EFI_TIME t = {.Year = 0};
    if (fw.rt->GetTime(&t, NULL) != EFI_SUCCESS)
        t.Year = 0;
    copy_folder_name(t.Year, t.Month, t.Day, w->folder);
    copy_name_wide(w->folder, wanted, COPY_FOLDER);
    copy_name_wide(w->folder, w->base, COPY_FOLDER);
    if (tree_efi_init(&w->to_efi, w->stick[w->at].device, &w->medium, &w->to) != ERR_OK ||
        copy_free_name(&w->to, NULL, wanted, name, &other) != ERR_OK || tree_len(name) >= COPY_FOLDER)
        return; /* copying will find one, or say what is wrong */
    memcpy(w->base, name, sizeof w->base);
    copy_name_utf8(w->base, w->folder, sizeof w->folder);
}

/* Show what would be done until somebody decides. */
static bool agreed(struct work *w)
{
    for (;;) {
        if (!count(w))
            return false;
        name_folder(w);
        copy_page_ask(&copy_page, w->name, &w->plan, &w->stick[w->at].place, w->folder, several_sticks(w));
        screen_page(&copy_page);
        enum key key = keyboard_wait();
        if (key == KEY_ENTER && w->plan.files + w->plan.folders > 0)
            return true;
        if (key == KEY_ESC || key == KEY_NO)
            return false;
        if (key == KEY_TAB)
            next_stick(w);
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
        copy_page_result(&copy_page, &w->copy, &w->plan, end, w->folder);
        screen_page(&copy_page);
        if (!copy_wait_answer() || !copy_can_go_on(end) || !find_stick(w))
            return;
    }
}

bool copy_chosen(struct work *w)
{
    w->choice = (struct copy_choice){.folder = w->list.folder, .wanted = copy_list_wanted, .ctx = &w->list};
    if (!find_stick(w) || !agreed(w))
        return false;
    transfer(w);
    return true;
}
