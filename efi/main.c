/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-recovery.efi: from the firmware's boot menu to an opened disk. Flow only. */
#include "crypto/random.h"
#include "efi/boot_next.h"
#include "efi/files.h"
#include "efi/keyboard.h"
#include "efi/screen.h"
#include "efi/sentence.h"
#include "efi/started.h"
#include "efi/stick.h"
#include "efi/unlock.h"
#include "efi/variables.h"
#include <string.h>

#define LOOKING            "Looking for disks. This takes a moment."
#define ORG_SCRATCH_FACTOR 16 /* formats/org.h */

/* Everything that one run knows; static, because a firmware's stack is small. */
static struct app {
    struct volumes volumes;
    unsigned at; /* the volume on the screen */
    struct handoff_reason reason;
    struct content content;
    struct model model;
    struct boot_list list; /* what can be started; empty until somebody asks */
    struct menu menu;
    const struct boot_entry *chosen; /* of the list, NULL none */
    struct stick_key stick;          /* what was offered */
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

/* The name that the agent left beside the app; pool memory, NULL without. */
static char *load_computer(void)
{
    char *name = NULL;
    size_t len;
    if (files_read(fw.self->DeviceHandle, KH_ESP_COMPUTER, CONTENT_COMPUTER, &name, &len) != ERR_OK)
        return NULL;
    for (char *end = name; *end; end++)
        if ((unsigned char)*end < 0x20)
            *end = '\0';
    return name;
}

static struct volume *current(void)
{
    return app.volumes.n ? app.volumes.at[app.at] : NULL;
}

static void show_volume(void)
{
    const struct facts *at[VOLUMES_MAX];
    for (unsigned i = 0; i < app.volumes.n; i++)
        at[i] = &app.volumes.at[i]->facts;
    const struct content_volumes shown = {.at = at,
                                          .n = app.volumes.n,
                                          .current = app.at,
                                          .n_damaged = app.volumes.n_damaged,
                                          .more = app.volumes.more,
                                          .cut_short = app.volumes.cut_short};
    content_set_volumes(&app.content, &shown);
    app.model.keyless = app.volumes.n && !current()->facts.open && current()->facts.suspended;
}

static void show_all(void)
{
    show_volume();
    screen_show(&app.content, &app.model);
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
    keyboard_num_lock();
    model_has_volume(&app.model, app.volumes.n > 0);
    show_all();
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
    char *computer = load_computer();
    variables_start(&app.reason);
    keyboard_open();
    stick_open();
    content_init(&app.content, org, computer ? computer : "", app.reason.reason,
                 cr_random(&probe, 1) == ERR_OK);
    firmware_free(org);
    firmware_free(computer);
    screen_open();
    model_init(&app.model, true);
    model_progress(&app.model, MODEL_OPENING, LOOKING);
    screen_begin(&app.content, &app.model);
    find_volumes(false);
    show_found();
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

static void choose_volume(unsigned at)
{
    app.at = at;
    app.model.tried = false;
    show_all();
}

/* One that is still locked comes next; when none is, the one that was opened stays. */
static void next_locked(void)
{
    for (unsigned i = 1; i < app.volumes.n; i++) {
        unsigned at = (app.at + i) % app.volumes.n;
        if (!app.volumes.at[at]->facts.open && !app.volumes.at[at]->facts.retired) {
            app.at = at;
            return;
        }
    }
}

/* A volume can be read now; what it holds is read by a person, then the others have their turn. */
static void after(enum unlocked u)
{
    if (u != UNLOCK_STAY) {
        screen_update(&app.model);
        return;
    }
    show_all();
    while (model_key(&app.model, keyboard_wait()) != MODEL_GO_ON)
        ;
    next_locked();
    model_again(&app.model, app.volumes.n > 0);
    show_all();
}

static void open_current(void)
{
    struct volume *v = current();
    if (v && v->facts.open)
        model_failed(&app.model, false,
                     "This volume is open already. Tab shows the next, B starts the computer.");
    else if (v && v->facts.suspended && model_is_empty(&app.model))
        after(unlock_with_file(v, NULL, 0, &app.model, app.reason.reason));
    else if (v)
        after(unlock_try(v, &app.model, app.reason.reason));
    screen_update(&app.model);
}

static void open_list(void)
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

/* Chosen for afterwards; whether to start it now, locked, is asked. */
static void picked(void)
{
    app.chosen = &app.list.at[app.model.menu_at];
    if (app.chosen->restart)
        firmware_restart();
    model_next(&app.model, app.chosen->name, true);
    screen_update(&app.model);
}

static void setup(void)
{
    enum err e = variables_can_setup() ? variables_ask_setup() : ERR_UNSUPPORTED;
    if (e == ERR_OK)
        firmware_restart();
    model_failed(
        &app.model, false,
        "This firmware cannot be asked for its settings: restart, and press the key that it names (F2, F10, "
        "Del or Esc on most computers).");
}

/* Say whose key it is and ask. */
static void offer_stick(void)
{
    struct sentence s;
    char line[MODEL_MESSAGE], id[9];
    if (stick_find(&app.volumes, &app.stick) != ERR_OK)
        return;
    const struct facts *f = &app.volumes.at[app.stick.volume]->facts;
    guid_short(&app.stick.key_id, id);
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, app.stick.startup_key ? "A stick has a startup key ("
                                           : "A stick has the recovery password (");
    sentence_add(&s, id);
    sentence_add(&s, ") of ");
    sentence_add(&s, f->label[0] ? f->label : f->id_text);
    sentence_add(&s, ".  Enter: open the volume with it.  Esc or N: no.");
    if (model_offer(&app.model, line))
        screen_update(&app.model);
}

/* The digits of a file, as if they had been typed; who looks over a shoulder sees them no longer than those.
 */
static enum err fill_from(const char *text, size_t len)
{
    SECRET(password);
    SECRET(shown);
    SECRET(digits);
    unsigned wrong;
    TRY(rp_decode_file(text, len, &password, &wrong));
    rp_encode(password.bytes, &shown);
    for (size_t i = 0; i < shown.len; i++)
        if (shown.bytes[i] != '-')
            digits.bytes[digits.len++] = shown.bytes[i];
    model_fill(&app.model, &digits);
    return ERR_OK;
}

static void use_stick(void)
{
    char *text = NULL;
    size_t len = 0;
    choose_volume(app.stick.volume);
    enum err e = stick_read(&app.stick, &text, &len);
    if (e == ERR_OK && app.stick.startup_key)
        after(unlock_with_file(current(), text, len, &app.model, app.reason.reason));
    else if (e == ERR_OK)
        e = fill_from(text, len);
    if (text)
        cr_wipe(text, len);
    firmware_free(text);
    if (e != ERR_OK)
        model_failed(&app.model, false, "The file on the stick cannot be read, or does not hold 48 digits.");
    else if (!app.stick.startup_key)
        open_current();
    screen_update(&app.model);
}

/* What the model cannot do itself; true when it is time to leave. */
static bool act(enum model_action action)
{
    switch (action) {
    case MODEL_OPEN:
        open_current();
        break;
    case MODEL_NEXT_VOLUME:
        if (app.volumes.n > 1)
            choose_volume((app.at + 1) % app.volumes.n);
        break;
    case MODEL_RESCAN:
        look_again();
        break;
    case MODEL_OPEN_LIST:
        open_list();
        break;
    case MODEL_PICKED:
        picked();
        break;
    case MODEL_SETUP:
        setup();
        break;
    case MODEL_TAKE:
        use_stick();
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
        if (stick_news() && app.model.phase == MODEL_ENTRY)
            offer_stick();
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
            if (act(action))
                return action;
            key = keyboard_poll();
        }
        screen_update(&app.model);
    }
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
    notice("\"", next->name, line);
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

/* Try what can be started, one after the other; when what a person chose has ended, that person goes on.
 * Returns only then, or when nothing is left: false. */
static bool boot_on(void)
{
    struct boot_next next = {.opened = variables_handed_off() ? current()->disk.handle : NULL,
                             .chosen = app.chosen};
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
        if (boot_next_is_chosen(&next))
            return true;
    }
    take_back();
    return false;
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
        if (!boot_on())
            notice("Nothing that can be started was found. ", "",
                   "Press Enter to come back to the recovery screen.");
        app.chosen = NULL;
        model_again(&app.model, true);
        look_again();
    }
}
