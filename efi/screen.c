/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/screen.h"
#include "efi/firmware.h"
#include "efi/gop_page.h"
#include "efi/speaker.h"
#include "efi/text_page.h"

static bool graphics, paging; /* paging: a page stands in place of the rest */

void screen_open(void)
{
    /* the firmware's own cursor must not blink in the picture; a text console switches its own on again */
    fw.st->ConOut->EnableCursor(fw.st->ConOut, FALSE);
    graphics = screen_gop_open() == ERR_OK;
    screen_text_open(!graphics);
    speaker_open();
}

void screen_begin(const struct content *c, const struct model *m)
{
    if (graphics)
        screen_gop_show(c, m);
    screen_text_update(m);
}

void screen_show(const struct content *c, const struct model *m)
{
    paging = false;
    if (graphics)
        screen_gop_show(c, m);
    screen_text_show(c, m);
    speaker_follow(m);
}

void screen_hear(const struct model *m)
{
    speaker_follow(m);
}

void screen_update(const struct model *m)
{
    speaker_follow(m);
    if (graphics)
        screen_gop_update(m);
    screen_text_update(m);
}

void screen_page(const struct page *p)
{
    if (graphics)
        gop_page_draw(p, !paging);
    text_page_print(p, !paging);
    paging = true;
}

void screen_recolor(void)
{
    if (graphics)
        screen_gop_recolor();
}

void screen_remark(const char *line)
{
    screen_text_remark(line);
}

void screen_close(void)
{
    speaker_finish();
    if (graphics)
        screen_gop_close();
    screen_text_close();
    fw.st->ConOut->EnableCursor(fw.st->ConOut, TRUE);
    if (graphics)
        fw.st->ConOut->ClearScreen(fw.st->ConOut);
}
