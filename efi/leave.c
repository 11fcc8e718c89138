/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/leave.h"
#include "efi/app.h"
#include "efi/boot_next.h"
#include "efi/keyboard.h"
#include "efi/sentence.h"
#include "efi/started.h"
#include "efi/variables.h"
#include <string.h>

void leave_list(void)
{
    const char *chosen = app.chosen ? app.chosen->name : NULL;
    char name[BOOT_NAME] = "";
    struct sentence s;
    unsigned at = 0;
    sentence_init(&s, name, sizeof name);
    sentence_add(&s, chosen ? chosen : "");
    app.chosen = NULL;
    firmware_connect_all(); /* a disk that the firmware did not need may have something to start */
    boot_list_free(&app.list);
    boot_list_make(&app.list);
    boot_list_menu(&app.list, &app.menu);
    for (unsigned i = 0; name[0] && i < app.list.n; i++)
        if (strcmp(app.list.at[i].name, name) == 0) {
            app.chosen = &app.list.at[i];
            at = i;
        }
    model_list(&app.model, &app.menu, at);
    screen_update(&app.model);
}

void leave_picked(void)
{
    app.chosen = &app.list.at[app.model.menu_at];
    if (app.chosen->restart)
        firmware_restart();
    model_next(&app.model, app.chosen->name, true);
    screen_update(&app.model);
}

void leave_for_setup(void)
{
    enum err e = variables_can_setup() ? variables_ask_setup() : ERR_UNSUPPORTED;
    if (e == ERR_OK)
        firmware_restart();
    model_failed(
        &app.model, false,
        "This firmware cannot be asked for its settings: restart, and press the key that it names (F2, F10, "
        "Del or Esc on most computers).");
}

/* What was handed over is for the next stage alone. A pad that the firmware keeps dies with the power. */
static void take_back(void)
{
    if (!variables_handed_off() || variables_withdraw() == ERR_OK)
        return;
    app_notice("The firmware does not give the password back, so ", "nothing else",
               " is started. Enter turns the computer off.");
    firmware_power_off();
}

void leave_for_clean_start(void)
{
    take_back();
    screen_close();
    firmware_restart();
}

/* It is back: what that means, and what Enter does now. */
static void say_it_came_back(const struct boot_next *next, enum err e, bool handed_off)
{
    const char *then = boot_next_is_chosen(next) ? " Enter comes back to the recovery screen."
                                                 : " Enter tries what comes next.";
    struct sentence s;
    char line[MODEL_MESSAGE];
    sentence_init(&s, line, sizeof line);
    sentence_add(&s,
                 handed_off
                     ? "\" did not stay, so the password is no longer passed on: the system will ask for it."
                 : e == ERR_OK ? "\" has ended."
                               : "\" did not start.");
    sentence_add(&s, then);
    app_notice("\"", next->name, line);
}

/* Start it, and come back when it does. */
static void start_image(const struct boot_next *next, EFI_HANDLE image)
{
    keyboard_drain();
    started_tell();
    screen_close();
    enum err e = boot_next_start(image);
    bool handed_off = variables_handed_off();
    keyboard_num_lock();
    screen_open();
    screen_show(&app.content, &app.model);
    take_back();
    say_it_came_back(next, e, handed_off);
}

bool leave(void)
{
    struct boot_next next = {.opened = variables_handed_off() ? app_current()->disk.handle : NULL,
                             .chosen = app.chosen};
    EFI_HANDLE image = NULL;
    for (;;) {
        enum err e = boot_next_load(&next, &image);
        if (e == ERR_DENIED) {
            app_notice(
                "Secure Boot does not allow \"", next.name,
                "\" to start: it is not signed by a key that is trusted here. Enter tries what comes next.");
            continue;
        }
        if (e != ERR_OK)
            break;
        if (variables_handed_off() && !boot_next_is_known(&next)) {
            take_back();
            app_notice(
                "\"", next.name,
                "\" is not on the disk that was opened, so the password is not passed on: the system will "
                "ask "
                "for it. Enter starts it.");
        }
        start_image(&next, image);
        if (boot_next_is_chosen(&next))
            return true;
    }
    take_back();
    return false;
}
