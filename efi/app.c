/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/app.h"
#include "efi/keyboard.h"
#include "efi/sentence.h"

struct app app;

struct volume *app_current(void)
{
    return app.volumes.n ? app.volumes.at[app.at] : NULL;
}

void app_facts(const struct facts *ret[static VOLUMES_MAX])
{
    for (unsigned i = 0; i < app.volumes.n; i++)
        ret[i] = &app.volumes.at[i]->facts;
}

static void show_volume(void)
{
    const struct facts *at[VOLUMES_MAX];
    app_facts(at);
    const struct content_volumes shown = {.at = at,
                                          .n = app.volumes.n,
                                          .current = app.at,
                                          .n_damaged = app.volumes.n_damaged,
                                          .more = app.volumes.more,
                                          .cut_short = app.volumes.cut_short};
    content_set_volumes(&app.content, &shown);
    app.model.keyless = app.volumes.n && !app_current()->facts.open && app_current()->facts.suspended;
}

void app_show(void)
{
    show_volume();
    screen_show(&app.content, &app.model);
}

void app_choose_volume(unsigned at)
{
    app.at = at;
    app.model.tried = false;
    app_show();
}

void app_notice(const char *before, const char *name, const char *after)
{
    struct sentence s;
    char line[MODEL_MESSAGE];
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, before);
    sentence_add(&s, name);
    sentence_add(&s, after);
    model_notice(&app.model, TONE_ASK, line);
    screen_update(&app.model);
    while (model_key(&app.model, keyboard_wait()) != MODEL_GO_ON)
        ;
}
