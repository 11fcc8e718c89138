/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_screen.h"
#include "efi/app.h"
#include "efi/copy_work.h"
#include "efi/drivers.h"
#include "efi/keyboard.h"

static struct drivers drivers;

/* Into another folder, or, where that cannot be read, back to the first. */
static bool load(struct work *w)
{
    if (copy_list_load(&w->list, &w->from) == ERR_OK)
        return true;
    copy_tell("This folder cannot be read.");
    w->list.folder[0] = 0;
    return copy_list_load(&w->list, &w->from) == ERR_OK;
}

static void choose(struct work *w)
{
    bool more = load(w);
    while (more) {
        copy_list_page(&w->list, w->name, &copy_page);
        screen_page(&copy_page);
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
    copy_page_no_driver(&copy_page, w->name, file_system_name(v->published->plain->file_system),
                        drivers.refused);
    screen_page(&copy_page);
    copy_wait_answer();
}

/* A system's volume is handed over when it opens; U, before, has it opened to be read. */
static void prepare(const struct volume *v)
{
    if (app.model.phase != MODEL_ENTRY)
        copy_tell("This volume cannot be read here, so nothing can be copied from it.");
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
        copy_tell("There is too little memory to copy files.");
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
        copy_tell("Your organisation does not want files to be copied here.");
    else if (!v->published)
        prepare(v);
    else
        copy_from(v);
    cr_wipe(&copy_page, sizeof copy_page);
    app_show();
}
