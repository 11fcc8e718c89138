/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-recovery.efi: from the firmware's boot menu to an opened disk. Flow only. */
#include "crypto/random.h"
#include "efi/boot_next.h"
#include "efi/files.h"
#include "efi/keyboard.h"
#include "efi/screen.h"
#include "efi/sentence.h"
#include "efi/unlock.h"
#include "efi/variables.h"

#define LOOKING            "Looking for disks. This takes a moment."
#define ORG_SCRATCH_FACTOR 16 /* formats/org.h */

/* Everything that one run knows; static, because a firmware's stack is small. */
static struct app {
    struct volumes volumes;
    unsigned at; /* the volume on the screen */
    struct handoff_reason reason;
    struct content content;
    struct model model;
} app;

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

/* Absent or damaged: the screen works without it. */
static struct org *load_org(void)
{
    char *json;
    size_t len;
    if (files_read(fw.self->DeviceHandle, KH_ESP_ORG, ORG_MAX, &json, &len) != ERR_OK)
        return NULL;
    struct org *org = firmware_alloc(sizeof *org);
    void *scratch = firmware_alloc(len * ORG_SCRATCH_FACTOR);
    if (!org || !scratch || org_decode(json, len, scratch, len * ORG_SCRATCH_FACTOR, org) != ERR_OK) {
        firmware_free(org);
        org = NULL;
    }
    firmware_free(scratch);
    firmware_free(json);
    return org;
}

static struct volume *current(void)
{
    return app.volumes.n ? app.volumes.at[app.at] : NULL;
}

static void show_volume(void)
{
    const struct volume *v = current();
    if (!v) {
        content_clear_volume(&app.content);
        return;
    }
    const struct content_volume shown = {.luks = &v->luks,
                                         .key = v->key,
                                         .n_keys = v->n_keys,
                                         .size = v->disk.size,
                                         .index = app.at,
                                         .count = app.volumes.n,
                                         .more = app.volumes.more,
                                         .cut_short = app.volumes.cut_short};
    content_set_volume(&app.content, &shown);
}

/* Firmware connects only the disks it boots from; connecting everything is slow and rarely needed. */
static void find_volumes(bool thoroughly)
{
    if (thoroughly)
        firmware_connect_all();
    else
        firmware_connect_storage();
    volumes_find(&app.volumes);
    app.at = 0;
    if (app.volumes.n == 0 && !thoroughly)
        find_volumes(true);
}

/* After looking; what was typed stays. */
static void show_found(void)
{
    model_has_volume(&app.model, app.volumes.n > 0);
    show_volume();
    screen_show(&app.content, &app.model);
}

static void look_again(void)
{
    model_progress(&app.model, MODEL_OPENING, LOOKING);
    screen_update(&app.model);
    find_volumes(true);
    show_found();
}

static void start(void)
{
    uint8_t probe;
    struct org *org = load_org();
    variables_start(&app.reason);
    keyboard_open();
    content_init(&app.content, org, app.reason.reason, cr_random(&probe, 1) == ERR_OK);
    firmware_free(org);
    screen_open();
    model_init(&app.model, true);
    model_progress(&app.model, MODEL_OPENING, LOOKING);
    screen_begin(&app.content, &app.model);
    find_volumes(false);
    show_found();
}

/* What the model cannot do itself; true when it is time to leave. */
static bool act(enum model_action action)
{
    if (action == MODEL_OPEN && current()) {
        unlock_try(current(), &app.model, app.reason.reason);
        screen_update(&app.model);
    } else if (action == MODEL_NEXT_VOLUME && app.volumes.n > 1) {
        app.at = (app.at + 1) % app.volumes.n;
        app.model.tried = false;
        show_volume();
        screen_show(&app.content, &app.model);
    } else if (action == MODEL_RESCAN) {
        look_again();
    }
    return action == MODEL_BOOT || action == MODEL_OFF || action == MODEL_GO_ON ||
           app.model.phase == MODEL_OPENED;
}

/* Keys are taken as fast as they come; the screen is drawn when none is waiting. */
static enum model_action converse(void)
{
    for (;;) {
        enum key key = keyboard_wait();
        while (key != KEY_NONE) {
            enum model_action action = model_key(&app.model, key);
            if (act(action))
                return action;
            key = keyboard_poll();
        }
        screen_update(&app.model);
    }
}

static void notice(const char *before, const char *name, const char *after)
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

/* What was handed over is for the next stage alone. A pad that the firmware keeps dies with the power. */
static void take_back(void)
{
    if (!variables_handed_off() || variables_withdraw() == ERR_OK)
        return;
    notice("The firmware does not give the password back, so ", "nothing else",
           " is started. Enter turns the computer off.");
    firmware_power_off();
}

/* Start it, and come back when it does. */
static void start_image(const struct boot_next *next, EFI_HANDLE image)
{
    keyboard_drain();
    screen_close();
    enum err e = boot_next_start(image);
    bool handed_off = variables_handed_off();
    screen_open();
    content_clear_volume(&app.content);
    screen_show(&app.content, &app.model);
    take_back();
    if (handed_off)
        notice("\"", next->name,
               "\" did not stay, so the password is no longer passed on: the system will ask for it. Enter "
               "tries "
               "what comes next.");
    else
        notice("\"", next->name,
               e == ERR_OK ? "\" has ended. Enter tries what comes next."
                           : "\" did not start. Enter tries what comes next.");
}

/* Try what can be started, one after the other. Returns only when nothing is left. */
static void boot_on(void)
{
    struct boot_next next = {.opened = variables_handed_off() ? current()->disk.handle : NULL};
    EFI_HANDLE image = NULL;
    for (;;) {
        enum err e = boot_next_load(&next, &image);
        if (e == ERR_DENIED) {
            notice(
                "Secure Boot does not allow \"", next.name,
                "\" to start: it is not signed by a key that is trusted here. Enter tries what comes next.");
            continue;
        }
        if (e != ERR_OK)
            break;
        if (variables_handed_off() && !boot_next_is_known(&next)) {
            take_back();
            notice("\"", next.name,
                   "\" is not on the disk that was opened, so the password is not passed on: the system will "
                   "ask "
                   "for it. Enter starts it.");
        }
        start_image(&next, image);
    }
    take_back();
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
    start();
    for (;;) {
        enum model_action last = converse();
        const struct volume *tried = most_tried();
        if (app.model.phase != MODEL_OPENED && last != MODEL_GO_ON && tried)
            unlock_gave_up(tried, app.reason.reason);
        model_wipe(&app.model);
        if (last == MODEL_OFF)
            firmware_power_off();
        boot_on();
        notice("Nothing that can be started was found. ", "",
               "Press Enter to come back to the recovery screen.");
        model_init(&app.model, true);
        look_again();
    }
}
