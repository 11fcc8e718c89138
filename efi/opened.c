/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/opened.h"
#include "efi/app.h"
#include "efi/sentence.h"
#include "efi/unlock.h"

#define NAME_SHOWN 40 /* bytes of a label */

/* The system is about to start with its password, and a chip will not open a data volume then. The pad of the
 * hand-off dies with a restart, as it must, so who restarts types once more. */
static void offer_clean_start(const struct facts *left)
{
    struct sentence s;
    char line[MODEL_MESSAGE], name[NAME_SHOWN];
    sentence_init(&s, name, sizeof name);
    sentence_add(&s, left->label[0] ? left->label : left->id_text);
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, "The disk is opened. The security chip will not open \"");
    sentence_add(&s, name);
    sentence_add(&s,
                 "\" in a system started from here.  Enter: start now, and restart later for that volume.  "
                 "X: restart now, from a clean start; the system then asks for these 48 digits, with a dash "
                 "between the groups.");
    model_unlocked(&app.model, TONE_ASK, line, MODEL_GO_ON);
}

/* The page about what was opened stands until a person goes on. Whatever else can be done there is a key of
 * that page (model_pages.c) and an action of its own (main.c). */
static void after(enum unlocked u)
{
    const struct facts *at[VOLUMES_MAX];
    app_facts(at);
    const struct facts *left = facts_left_to_chip(at, app.volumes.n);
    if (u == UNLOCK_START && app.model.phase == MODEL_OPENED && left)
        offer_clean_start(left);
    if (u == UNLOCK_STAY)
        app_show();
    else
        screen_update(&app.model);
}

void opened_try(void)
{
    struct volume *v = app_current();
    if (v && v->facts.open)
        model_failed(&app.model, false,
                     "This volume is open already. Tab shows the next, B starts the computer.");
    else if (v && v->facts.suspended && model_is_empty(&app.model))
        after(unlock_with_file(v, NULL, 0, &app.model, app.reason.reason));
    else if (v)
        after(unlock_try(v, &app.model, app.reason.reason));
    screen_update(&app.model);
}

/* When none is, the one that was opened stays. */
static unsigned first_locked(void)
{
    for (unsigned i = 1; i < app.volumes.n; i++) {
        unsigned at = (app.at + i) % app.volumes.n;
        if (!app.volumes.at[at]->facts.open && !app.volumes.at[at]->facts.retired)
            return at;
    }
    return app.at;
}

void opened_next_locked(void)
{
    app.at = first_locked();
    model_again(&app.model, app.volumes.n > 0);
    app_show();
}

/* Say whose key it is and ask. */
void opened_offer_stick(void)
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

void opened_use_stick(void)
{
    char *text = NULL;
    size_t len = 0;
    app_choose_volume(app.stick.volume);
    enum err e = stick_read(&app.stick, &text, &len);
    if (e == ERR_OK && app.stick.startup_key)
        after(unlock_with_file(app_current(), text, len, &app.model, app.reason.reason));
    else if (e == ERR_OK)
        e = fill_from(text, len);
    if (text)
        cr_wipe(text, len);
    firmware_free(text);
    if (e != ERR_OK)
        model_failed(&app.model, false, "The file on the stick cannot be read, or does not hold 48 digits.");
    else if (!app.stick.startup_key)
        opened_try();
    screen_update(&app.model);
}
