#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people read on a terminal or in a pipe: pairs of label and text, and tables whose columns fit. Colour
 * only on a terminal that has not asked for none (NO_COLOR, TERM=dumb); lines are broken only where the width
 * is known. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define PAGE_COLUMNS 8

enum tone { TONE_PLAIN = 0, TONE_GOOD = 1, TONE_WARN = 2, TONE_BAD = 3 };

struct page {
    FILE *to;
    unsigned width; /* characters; 0: not known, nothing is broken */
    bool colour;
};

struct page_table {
    unsigned n_columns, n_rows;
    const char *const *head; /* borrowed */
    unsigned tone_column;    /* where a row's tone shows */
    char **cell;             /* n_rows × n_columns, owned */
    unsigned char *tone;
};

/* to: asked for its width when it is a terminal */
void page_open(struct page *p, FILE *to);

/* "label         text", the text broken and indented when it is too long. */
void page_pair(const struct page *p, const char *label, const char *text);
/* Text behind an indent of so many characters, broken likewise. */
void page_text(const struct page *p, unsigned indent, const char *text);

/* head: n names, at most PAGE_COLUMNS; borrowed */
void page_table_init(struct page_table *t, const char *const *head, unsigned n, unsigned tone_column);
/* A row; NULL is an empty cell; what is no text becomes '?'. Without memory the row is left out. */
void page_table_add(struct page_table *t, enum tone tone, const char *const *cells);
/* The last column is broken where the line is too long; the others keep their width. */
void page_table_print(const struct page *p, const struct page_table *t);
void page_table_free(struct page_table *t);

/* "2026-11-26 15:30:00", local time; 0: "never". ret: PAGE_TIME_TEXT bytes */
#define PAGE_TIME_TEXT 64
void page_time(unsigned long long t, char *ret);
/* "512 bytes", "931.5 GiB". ret: PAGE_SIZE_TEXT bytes */
#define PAGE_SIZE_TEXT 32
void page_size(unsigned long long bytes, char *ret);
