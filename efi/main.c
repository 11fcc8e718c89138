/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-recovery.efi: from the firmware's boot menu to an opened disk. The loop only; its parts are listed
 * in app.h. */
#include "efi/app.h"
#include "efi/copy_screen.h"
#include "efi/keyboard.h"
#include "efi/leave.h"
#include "efi/opened.h"
#include "efi/startup.h"
#include "efi/unlock.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

/* What the model cannot do itself, each action in the part that it belongs to; true when it is time to leave.
 */
static bool act(enum model_action action)
{
    switch (action) {
    case MODEL_OPEN:
        opened_try();
        break;
    case MODEL_NEXT_LOCKED:
        opened_next_locked();
        break;
    case MODEL_NEXT_VOLUME:
        if (app.volumes.n > 1)
            app_choose_volume((app.at + 1) % app.volumes.n);
        break;
    case MODEL_RESCAN:
        startup_look_again();
        break;
    case MODEL_OPEN_LIST:
        leave_list();
        break;
    case MODEL_RESTART:
        leave_for_clean_start();
        break;
    case MODEL_PICKED:
        leave_picked();
        break;
    case MODEL_SETUP:
        leave_for_setup();
        break;
    case MODEL_TAKE:
        opened_use_stick();
        break;
    case MODEL_COPY:
        copy_screen();
        break;
    case MODEL_RECOLOR:
        screen_recolor();
        screen_show(&app.content, &app.model);
        break;
    default:
        break;
    }
    return action == MODEL_BOOT || action == MODEL_OFF || action == MODEL_GO_ON ||
           app.model.phase == MODEL_OPENED;
}

/* While nobody types: a stick may have been pushed in. */
static enum key wait_key(void)
{
    for (;;) {
        enum key key = keyboard_poll();
        if (key != KEY_NONE)
            return key;
        if (app.model.phase == MODEL_ENTRY && stick_news())
            opened_offer_stick();
        keyboard_rest();
    }
}

/* Keys are taken as fast as they come; the screen is drawn when none is waiting. */
static enum model_action converse(void)
{
    for (;;) {
        enum key key = wait_key();
        while (key != KEY_NONE) {
            enum model_action action = model_key(&app.model, key);
            screen_hear(&app.model);
            if (act(action))
                return action;
            key = keyboard_poll();
        }
        screen_update(&app.model);
    }
}

/* The one that a boot event has room for; NULL when nobody tried any. */
static const struct volume *most_tried(void)
{
    const struct volume *most = NULL;
    for (unsigned i = 0; i < app.volumes.n; i++)
        if (app.volumes.at[i]->attempts > (most ? most->attempts : 0))
            most = app.volumes.at[i];
    return most;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    startup();
    for (;;) {
        enum model_action last = converse();
        const struct volume *tried = most_tried();
        if (app.model.phase != MODEL_OPENED && last != MODEL_GO_ON && tried)
            unlock_gave_up(tried, app.reason.reason);
        model_wipe(&app.model);
        if (last == MODEL_OFF) {
            screen_close();
            firmware_power_off();
        }
        if (!leave())
            app_notice("Nothing that can be started was found. ", "",
                       "Press Enter to come back to the recovery screen.");
        app.chosen = NULL;
        model_again(&app.model, true);
        startup_look_again();
    }
}
