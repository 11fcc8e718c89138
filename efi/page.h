#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A page of the screen that is not about digits, in words: the looks draw it. Pure. */

#include "efi/model.h"
#include "efi/sentence.h"

#define PAGE_LINES 12 /* what a screen of 800 × 600 and a terminal of 24 rows hold beside the rest */
#define PAGE_TEXT  200

struct page {
    char title[PAGE_TEXT];
    unsigned n;
    char line[PAGE_LINES][PAGE_TEXT]; /* a list: one row each, cut where it must; else paragraphs */
    bool list;
    unsigned at; /* of a list: the line that is meant */
    bool bar;    /* how far something is */
    unsigned permille;
    enum model_tone tone;
    char message[MODEL_MESSAGE];
    char keys[PAGE_TEXT]; /* what the keys do here */
};

/* Empty, with a title and keys. */
void page_init(struct page *p, const char *title, const char *keys);
/* One more line; without room it takes the place of the last. Returns it, PAGE_TEXT bytes to write to. */
char *page_add(struct page *p, const char *text);
/* The same as a sentence to be built. */
struct sentence page_line(struct page *p);
void page_say(struct page *p, enum model_tone tone, const char *message);
