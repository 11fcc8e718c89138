/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/page.h"
#include "formats/text.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LABEL 14 /* characters of a label with the space behind it */
#define GAP   2  /* between columns */
#define LEAST 16 /* narrower than that nothing is broken */
#define HEAD  4  /* tone of a table's head */

void page_open(struct page *p, FILE *to)
{
    struct winsize size = {0};
    const char *term = getenv("TERM");
    bool terminal = isatty(fileno(to));
    *p = (struct page){.to = to};
    if (terminal && ioctl(fileno(to), TIOCGWINSZ, &size) == 0)
        p->width = size.ws_col;
    p->colour = terminal && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

/* Characters of UTF-8: bytes that do not continue one. */
static unsigned length(const char *text, size_t bytes)
{
    unsigned n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static void spaces(const struct page *p, unsigned n)
{
    while (n--)
        (void)fputc(' ', p->to);
}

/* Bytes of the first line that fits: up to a space, else a word is cut. */
static size_t fitting(const char *text, unsigned width)
{
    size_t best = 0, i = 0;
    unsigned n = 0;
    for (; text[i]; i++) {
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
        if (n > width)
            break;
        if (text[i] == ' ')
            best = i;
    }
    return !text[i] || text[i] == ' ' ? i : best ? best : i;
}

static void paint(const struct page *p, unsigned tone, const char *text, size_t len)
{
    static const char *const on[] = {"", "\033[32m", "\033[33m", "\033[31m", "\033[1m"};
    (void)fprintf(p->to, "%s%.*s%s", p->colour ? on[tone] : "", (int)len, text,
                  p->colour && tone ? "\033[0m" : "");
}

/* At column `indent` already. */
static void broken(const struct page *p, unsigned indent, unsigned tone, const char *text)
{
    unsigned width = p->width > indent + LEAST ? p->width - indent : 0;
    for (;;) {
        size_t n = width ? fitting(text, width) : strlen(text);
        paint(p, tone, text, n);
        (void)fputc('\n', p->to);
        text += n;
        text += strspn(text, " ");
        if (!*text)
            return;
        spaces(p, indent);
    }
}

void page_pair(const struct page *p, const char *label, const char *text)
{
    (void)fprintf(p->to, "%-*s", LABEL, label);
    broken(p, LABEL, TONE_PLAIN, text);
}

void page_text(const struct page *p, unsigned indent, const char *text)
{
    spaces(p, indent);
    broken(p, indent, TONE_PLAIN, text);
}

void page_table_init(struct page_table *t, const char *const *head, unsigned n, unsigned tone_column)
{
    *t = (struct page_table){.n_columns = n, .head = head, .tone_column = tone_column};
}

static bool grow(struct page_table *t)
{
    char **cell = realloc(t->cell, (t->n_rows + 1) * t->n_columns * sizeof *cell);
    if (!cell)
        return false;
    t->cell = cell;
    unsigned char *tone = realloc(t->tone, t->n_rows + 1);
    if (!tone)
        return false;
    t->tone = tone;
    return true;
}

void page_table_add(struct page_table *t, enum tone tone, const char *const *cells)
{
    if (!grow(t))
        return;
    char **row = t->cell + t->n_rows * t->n_columns;
    bool good = true;
    for (unsigned c = 0; c < t->n_columns; c++) {
        const char *text = cells[c] ? cells[c] : "";
        size_t cap = strlen(text) + 1;
        row[c] = malloc(cap);
        if (row[c])
            text_clean(text, strlen(text), row[c], cap);
        good = good && row[c];
    }
    t->tone[t->n_rows] = (unsigned char)tone;
    for (unsigned c = 0; !good && c < t->n_columns; c++)
        free(row[c]);
    t->n_rows += good;
}

static void print_row(const struct page *p, const struct page_table *t, const unsigned *width, unsigned tone,
                      const char *const *cells)
{
    unsigned at = 0, last = t->n_columns - 1;
    for (unsigned c = 0; c <= last; c++) {
        unsigned paint_as = tone == HEAD || c == t->tone_column ? tone : TONE_PLAIN;
        if (c == last) {
            broken(p, at, paint_as, cells[c]);
            return;
        }
        paint(p, paint_as, cells[c], strlen(cells[c]));
        spaces(p, width[c] + GAP - length(cells[c], strlen(cells[c])));
        at += width[c] + GAP;
    }
}

void page_table_print(const struct page *p, const struct page_table *t)
{
    unsigned width[PAGE_COLUMNS];
    for (unsigned c = 0; c < t->n_columns; c++) {
        width[c] = length(t->head[c], strlen(t->head[c]));
        for (unsigned r = 0; r < t->n_rows; r++) {
            const char *text = t->cell[r * t->n_columns + c];
            unsigned n = length(text, strlen(text));
            width[c] = n > width[c] ? n : width[c];
        }
    }
    print_row(p, t, width, HEAD, t->head);
    for (unsigned r = 0; r < t->n_rows; r++)
        print_row(p, t, width, t->tone[r], (const char *const *)t->cell + r * t->n_columns);
}

void page_table_free(struct page_table *t)
{
    for (unsigned i = 0; i < t->n_rows * t->n_columns; i++)
        free(t->cell[i]);
    free(t->cell);
    free(t->tone);
    *t = (struct page_table){0};
}

void page_size(unsigned long long bytes, char *ret)
{
    static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned long long tenths = bytes * 10 / 1024;
    unsigned u = 0;
    if (bytes < 1024 || bytes > ~0ull / 10) {
        (void)snprintf(ret, PAGE_SIZE_TEXT, "%llu bytes", bytes);
        return;
    }
    for (; tenths >= 10240 && u < 5; u++)
        tenths /= 1024;
    (void)snprintf(ret, PAGE_SIZE_TEXT, "%llu.%llu %s", tenths / 10, tenths % 10, unit[u]);
}

void page_time(unsigned long long t, char *ret)
{
    time_t at = (time_t)t;
    struct tm local;
    (void)snprintf(ret, PAGE_TIME_TEXT, "never");
    if (t && localtime_r(&at, &local))
        (void)strftime(ret, PAGE_TIME_TEXT, "%Y-%m-%d %H:%M:%S", &local);
}
