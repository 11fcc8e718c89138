/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/page.h"
#include <string.h>

static void set(char *to, size_t cap, const char *text)
{
    struct sentence s;
    sentence_init(&s, to, cap);
    sentence_add(&s, text);
}

void page_init(struct page *p, const char *title, const char *keys)
{
    memset(p, 0, sizeof *p); /* compared as bytes */
    p->tone = TONE_QUIET;
    set(p->title, sizeof p->title, title);
    set(p->keys, sizeof p->keys, keys);
}

char *page_add(struct page *p, const char *text)
{
    unsigned at = p->n < PAGE_LINES ? p->n++ : PAGE_LINES - 1;
    set(p->line[at], PAGE_TEXT, text);
    return p->line[at];
}

struct sentence page_line(struct page *p)
{
    struct sentence s;
    sentence_init(&s, page_add(p, ""), PAGE_TEXT);
    return s;
}

void page_say(struct page *p, enum model_tone tone, const char *message)
{
    set(p->message, sizeof p->message, message);
    p->tone = tone;
}
