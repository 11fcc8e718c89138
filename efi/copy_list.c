/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_list.h"
#include "efi/copy_name.h"
#include "efi/sentence.h"
#include <string.h>

#define KEYS "Enter chooses or opens   Space marks   Backspace goes up   Esc leaves"

/* Lines before the entries. */
static unsigned n_before(const struct copy_list *l)
{
    return l->folder[0] ? 2 : 1;
}

static unsigned n_lines(const struct copy_list *l)
{
    return n_before(l) + l->n;
}

/* The entry that is meant, or -1. */
static int entry_at(const struct copy_list *l, unsigned line)
{
    return line < n_before(l) ? -1 : l->order[line - n_before(l)];
}

static uint16_t lower(uint16_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint16_t)(c - 'A' + 'a') : c;
}

static bool comes_first(const struct tree_entry *a, const struct tree_entry *b)
{
    if (a->folder != b->folder)
        return a->folder;
    size_t i = 0;
    while (a->name[i] && lower(a->name[i]) == lower(b->name[i]))
        i++;
    return lower(a->name[i]) < lower(b->name[i]);
}

/* Put the newest entry where it belongs. */
static void place(struct copy_list *l)
{
    unsigned at = l->n;
    for (; at > 0 && comes_first(&l->entry[l->n], &l->entry[l->order[at - 1]]); at--)
        l->order[at] = l->order[at - 1];
    l->order[at] = (uint16_t)l->n;
    l->n++;
}

enum err copy_list_load(struct copy_list *l, const struct tree *t)
{
    struct tree_node *folder;
    enum err e = ERR_OK;
    l->n = l->n_marked = l->at = l->top = 0;
    l->more = false;
    memset(l->marked, 0, sizeof l->marked);
    TRY(t->ops->open(t->ctx, NULL, l->folder, TREE_READ, &folder));
    while (l->n < COPY_LIST_MAX && (e = t->ops->next(folder, &l->entry[l->n])) == ERR_OK)
        if (!tree_is_dots(l->entry[l->n].name))
            place(l);
    l->more = e == ERR_OK;
    t->ops->close(folder);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static void mark(struct copy_list *l)
{
    int i = entry_at(l, l->at);
    if (i < 0)
        return;
    l->marked[i] = !l->marked[i];
    l->n_marked = l->marked[i] ? l->n_marked + 1 : l->n_marked - 1;
}

static enum copy_list_action up(struct copy_list *l)
{
    size_t end = 0;
    if (!l->folder[0])
        return COPY_LIST_NOTHING;
    for (size_t i = 0; l->folder[i]; i++)
        if (l->folder[i] == '\\')
            end = i;
    l->folder[end] = 0;
    return COPY_LIST_LOAD;
}

static enum copy_list_action into(struct copy_list *l, const uint16_t *name)
{
    size_t at = tree_len(l->folder), len = tree_len(name);
    if (at + 1 + len + 1 > WALK_PATH)
        return COPY_LIST_NOTHING;
    if (at > 0)
        l->folder[at++] = '\\';
    memcpy(l->folder + at, name, (len + 1) * sizeof *name);
    return COPY_LIST_LOAD;
}

static enum copy_list_action enter(struct copy_list *l)
{
    int i = entry_at(l, l->at);
    if (l->at == 0)
        return COPY_LIST_COPY;
    if (i < 0)
        return up(l);
    if (l->entry[i].folder)
        return into(l, l->entry[i].name);
    mark(l);
    return COPY_LIST_NOTHING;
}

/* Keep the line that is meant among those that are shown. */
static void move(struct copy_list *l, unsigned at)
{
    l->at = at;
    if (l->at < l->top)
        l->top = l->at;
    if (l->at >= l->top + PAGE_LINES)
        l->top = l->at - PAGE_LINES + 1;
}

enum copy_list_action copy_list_key(struct copy_list *l, enum key key)
{
    unsigned last = n_lines(l) - 1;
    int i = entry_at(l, l->at);
    switch (key) {
    case KEY_ENTER:
        return enter(l);
    case KEY_RIGHT:
        return i >= 0 && l->entry[i].folder ? into(l, l->entry[i].name) : COPY_LIST_NOTHING;
    case KEY_SEPARATOR:
        mark(l);
        return COPY_LIST_NOTHING;
    case KEY_BACKSPACE:
    case KEY_LEFT:
        return up(l);
    case KEY_ESC:
    case KEY_NO:
        return COPY_LIST_LEAVE;
    case KEY_UP:
        move(l, l->at ? l->at - 1 : last);
        return COPY_LIST_NOTHING;
    case KEY_DOWN:
    case KEY_TAB:
        move(l, l->at < last ? l->at + 1 : 0);
        return COPY_LIST_NOTHING;
    case KEY_PAGE_UP:
        move(l, l->at > PAGE_LINES ? l->at - PAGE_LINES : 0);
        return COPY_LIST_NOTHING;
    case KEY_PAGE_DOWN:
        move(l, l->at + PAGE_LINES < last ? l->at + PAGE_LINES : last);
        return COPY_LIST_NOTHING;
    case KEY_HOME:
        move(l, 0);
        return COPY_LIST_NOTHING;
    case KEY_END:
        move(l, last);
        return COPY_LIST_NOTHING;
    default:
        return COPY_LIST_NOTHING;
    }
}

static bool same_name(const uint16_t *a, const uint16_t *b)
{
    size_t i = 0;
    while (a[i] && a[i] == b[i])
        i++;
    return a[i] == b[i];
}

bool copy_list_wanted(void *ctx, const struct tree_entry *e)
{
    const struct copy_list *l = ctx;
    for (unsigned i = 0; i < l->n; i++)
        if (l->marked[i] && same_name(l->entry[i].name, e->name))
            return true;
    return l->n_marked == 0;
}

/* "[x] Documents  (folder)", "[ ] letter.odt  12 KB" */
static void describe(const struct copy_list *l, unsigned line, char ret[static PAGE_TEXT])
{
    struct sentence s;
    char name[PAGE_TEXT - 32];
    int i = entry_at(l, line);
    sentence_init(&s, ret, PAGE_TEXT);
    if (line == 0 && l->n_marked == 0) {
        sentence_add(&s, l->folder[0] ? "Copy everything in this folder" : "Copy everything");
    } else if (line == 0) {
        sentence_add(&s, "Copy what is marked: ");
        sentence_add_u64(&s, l->n_marked);
    } else if (i < 0) {
        sentence_add(&s, "..  (the folder above)");
    } else {
        copy_name_utf8(l->entry[i].name, name, sizeof name);
        sentence_add(&s, l->marked[i] ? "[x] " : "[ ] ");
        sentence_add(&s, name);
        sentence_add(&s, l->entry[i].folder ? "  (folder)" : "  ");
        if (!l->entry[i].folder)
            sentence_add_size(&s, l->entry[i].size);
    }
}

/* Says the line that is meant, for those who hear or see one line only. */
static void say_line(const struct copy_list *l, struct page *p)
{
    struct sentence s;
    char line[PAGE_TEXT], message[MODEL_MESSAGE];
    describe(l, l->at, line);
    sentence_init(&s, message, sizeof message);
    sentence_add_u64(&s, l->at + 1);
    sentence_add(&s, " of ");
    sentence_add_u64(&s, n_lines(l));
    sentence_add(&s, ": ");
    sentence_add(&s, line);
    if (l->more)
        sentence_add(&s, ". There is more here than can be listed: copy the whole folder.");
    page_say(p, TONE_ASK, message);
}

void copy_list_page(const struct copy_list *l, const char *name, struct page *ret)
{
    char title[PAGE_TEXT], path[COPY_NAME_TEXT];
    struct sentence s;
    copy_short_path(l->folder, path);
    sentence_init(&s, title, sizeof title);
    sentence_add(&s, "Copy files from ");
    sentence_add(&s, name);
    sentence_add(&s, l->folder[0] ? ": " : "");
    sentence_add(&s, path);
    page_init(ret, title, KEYS);
    ret->list = true;
    for (unsigned i = l->top; i < n_lines(l) && i < l->top + PAGE_LINES; i++)
        describe(l, i, page_add(ret, ""));
    ret->at = l->at - l->top;
    say_line(l, ret);
}
