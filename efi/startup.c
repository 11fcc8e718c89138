/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/startup.h"
#include "crypto/random.h"
#include "efi/app.h"
#include "efi/files.h"
#include "efi/keyboard.h"
#include "efi/variables.h"

#define LOOKING            "Looking for disks. This takes a moment."
#define ORG_SCRATCH_FACTOR 16 /* formats/org.h */

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
    app_show();
}

void startup_look_again(void)
{
    model_progress(&app.model, MODEL_OPENING, LOOKING);
    screen_update(&app.model);
    find_volumes(true);
    show_found();
}

void startup(void)
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
    app.model.may_copy = app.content.may_copy;
    model_progress(&app.model, MODEL_OPENING, LOOKING);
    screen_begin(&app.content, &app.model);
    find_volumes(false);
    show_found();
}
