#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one run of the app knows, and showing it. The parts of its flow share it: startup.h (from the firmware
 * to the first prompt), opened.h (a volume is opened), leave.h (something else is started), main.c (the
 * loop).
 */

#include "efi/boot_list.h"
#include "efi/screen.h"
#include "efi/stick.h"
#include "efi/volumes.h"

/* Static, because a firmware's stack is small. */
struct app {
    struct volumes volumes;
    unsigned at; /* the volume on the screen */
    struct handoff_reason reason;
    struct content content;
    struct model model;
    struct boot_list list; /* what can be started; empty until somebody asks */
    struct menu menu;
    const struct boot_entry *chosen; /* of the list, NULL none */
    struct stick_key stick;          /* what was offered */
};
extern struct app app;

/* The volume on the screen, NULL without any. */
struct volume *app_current(void);
/* What is known of each volume, as many as there are. */
void app_facts(const struct facts *ret[static VOLUMES_MAX]);
/* Draw everything. */
void app_show(void);
/* Put that one on the screen. */
void app_choose_volume(unsigned at);
/* Say a sentence, in three parts, and wait for Enter. */
void app_notice(const char *before, const char *name, const char *after);
