/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The next start is the recovery app's, once: to see that it works before it is needed, or when the help desk
 * asks. */
#include "agent/boot/handoff.h"
#include "agent/command/command.h"
#include "crypto/host/file.h"
#include <limits.h>
#include <stdio.h>

static int show(const struct command_args *a, uint16_t number)
{
    if (!a->json) {
        printf("the next start of this computer is the recovery app (Boot%04X), once: systemctl reboot\n",
               number);
        return KH_EXIT_OK;
    }
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "entry", json_object_new_int(number));
    command_print_json(o);
    json_object_put(o);
    return KH_EXIT_OK;
}

static int explain(enum err e)
{
    if (e == ERR_NOT_FOUND)
        command_say("this computer has no boot entry \"" KH_BOOT_ENTRY "\"; 'keyholt-agent doctor' says why");
    else if (e == ERR_DENIED)
        command_say("the firmware's variables cannot be written: run it as root; nothing was changed");
    else
        command_say("the firmware does not take the next start: %s; nothing was changed", err_text(e));
    return e == ERR_NOT_FOUND ? KH_EXIT_NO : KH_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    bool helpdesk = false;
    const struct command_option own[] = {{"for-help-desk", NULL, &helpdesk}, {NULL, NULL, NULL}};
    struct command_args a;
    char efivars[PATH_MAX];
    uint16_t number;
    int code;
    if (!command_parse(&command_recovery, argc, argv, own, &a, &code))
        return code;
    if (a.n_devices)
        return command_usage(&command_recovery, "recovery takes no device");
    enum err e = file_join(a.root, KH_EFIVARS, efivars, sizeof efivars);
    if (e == ERR_OK)
        e = handoff_entry_find(efivars, &number);
    if (e == ERR_OK)
        e = handoff_entry_next(efivars, number, helpdesk ? KH_REASON_HELPDESK : KH_REASON_USER);
    return e == ERR_OK ? show(&a, number) : explain(e);
}

const struct command command_recovery = {
    "recovery", run, "start the recovery app at the next boot, once",
    "[--for-help-desk] [--json]\n\n"
    "The app shows why it was started: because the user asked for it, or, with\n"
    "--for-help-desk, because the help desk did. Nothing is changed on any disk.\n\n"
    "Exit codes: 0 the next start is the recovery app; 1 failed; 2 wrong use;\n"
    "3 this computer has no boot entry for it.\n"};
