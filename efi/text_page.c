/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/text_page.h"
#include "efi/console.h"
#include <string.h>

#define TENTH 100 /* permille */

static struct page printed;

static void put_lines(struct console *c, const struct page *p)
{
    console_put(c, "\n");
    console_put_paragraph(c, "", p->title);
    for (unsigned i = 0; i < p->n; i++)
        console_put_paragraph(c, p->list && i == p->at ? "  > " : "    ", p->line[i]);
    console_put_paragraph(c, "  ", p->keys);
}

static bool is_another(const struct page *p)
{
    bool lines = p->n != printed.n || memcmp(p->line, printed.line, sizeof p->line) != 0;
    return strcmp(p->title, printed.title) != 0 || p->list != printed.list || p->bar != printed.bar ||
           strcmp(p->keys, printed.keys) != 0 || (lines && !p->list && !p->bar);
}

/* A message that counts is not worth a line each time. */
static bool is_news(const struct page *p)
{
    if (p->bar)
        return p->permille / TENTH != printed.permille / TENTH;
    return strcmp(p->message, printed.message) != 0;
}

void text_page_print(const struct page *p, bool all)
{
    all = all || is_another(p);
    if (!all && !is_news(p))
        return;
    console_drop_unplugged();
    for (unsigned i = 0; i < console_n; i++) {
        struct console *c = &console[i];
        if (c->started)
            console_put(c, "\n");
        c->started = false;
        if (all)
            put_lines(c, p);
        console_put_paragraph(c, "  ", p->message);
    }
    printed = *p;
}
