/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The graphics look: what is drawn anew, and when. At 800 × 600 the eight boxes stand in two rows with the
 * message beside them. */
#include "efi/canvas.h"
#include "efi/gop_boxes.h"
#include "efi/gop_look.h"
#include "efi/gop_words.h"
#include "efi/screen.h"
#include <string.h>

static char shown[MODEL_MESSAGE];
static enum model_tone shown_tone;
static bool boxes_shown, listing, paged;
static unsigned listed_at;
static const struct content *content; /* borrowed until the next one is shown */
static const char *resting =
    ""; /* stands where messages stand when there is none; borrowed from the content */

enum err screen_gop_open(void)
{
    TRY(canvas_open());
    gop_make_layout(canvas_width(), canvas_height());
    return ERR_OK;
}

static void draw_message(const struct model *m)
{
    struct color c = m->tone == TONE_BAD    ? gop_paint->red
                     : m->tone == TONE_GOOD ? gop_paint->green
                     : m->tone == TONE_ASK  ? gop_paint->amber
                                            : gop_paint->quiet;
    struct rect r = m->phase == MODEL_UNLOCKED ? gop_lay.below : gop_lay.message;
    canvas_fill(r, gop_paint->night);
    canvas_paragraph(r, m->message[0] ? m->message : resting,
                     gop_ink(m->message[0] ? c : gop_paint->white, 1));
}

static void refresh_main(const struct model *m, bool all)
{
    bool list = m->phase == MODEL_LIST;
    if (!all && list == listing && (!list || m->menu_at == listed_at))
        return;
    struct rect clear = {0, gop_lay.main.y, canvas_width(), gop_lay.main.h};
    canvas_fill(clear, gop_paint->night);
    if (list)
        gop_words_list(m);
    else if (content)
        gop_words_main(content, &resting);
    listing = list;
    listed_at = m->menu_at;
}

/* After opening there is more to say and nothing to type. Returns true when the lower part is to be drawn
 * anew. */
static bool turn_page(const struct model *m, bool all)
{
    bool page = m->phase == MODEL_UNLOCKED, turned = all || page != paged;
    paged = page;
    if (!turned || page)
        return turned;
    canvas_fill(gop_lay.below, gop_paint->night);
    if (content)
        gop_words_footer(content);
    return true;
}

/* Draw what differs; everything when all is set. */
static void refresh(const struct model *m, bool all)
{
    refresh_main(m, all);
    all = turn_page(m, all);
    if (boxes_shown && !paged)
        gop_boxes_draw(m, all);
    if (all || m->tone != shown_tone || strcmp(m->message, shown) != 0)
        draw_message(m);
    shown_tone = m->tone;
    memcpy(shown, m->message, sizeof shown);
}

void screen_gop_show(const struct content *c, const struct model *m)
{
    content = c;
    canvas_fill((struct rect){0, 0, canvas_width(), canvas_height()}, gop_paint->night);
    gop_words_head(c);
    boxes_shown = c->has_volume;
    refresh(m, true);
}

void screen_gop_recolor(void)
{
    gop_recolor();
}

void screen_gop_update(const struct model *m)
{
    refresh(m, false);
}

void screen_gop_close(void)
{
    canvas_close();
    gop_boxes_wipe();
}
