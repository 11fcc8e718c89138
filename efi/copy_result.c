/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_pages.h"
#include <string.h>

#define NOTE_LINES 3

/* The first notes, one to a line. */
static void add_notes(struct page *p, const struct copy *c)
{
    const char *note = c->notes, *end = c->notes + c->sure.notes_len;
    unsigned shown = 0;
    while (note < end && shown < NOTE_LINES) {
        char line[PAGE_TEXT];
        size_t len = 0;
        while (note + len < end && note[len] != '\r')
            len++;
        bool failure = strncmp(note, "other name", 10) != 0;
        if (failure && len < sizeof line) {
            memcpy(line, note, len);
            line[len] = '\0';
            page_add(p, line);
            shown++;
        }
        note += len + 2;
    }
}

static const char *end_sentence(enum copy_end end)
{
    switch (end) {
    case COPY_DONE:
        return "Done. The stick can be pulled out now.";
    case COPY_STOPPED:
        return "Stopped; what was copied stays on the stick.";
    case COPY_STICK_FULL:
        return "The stick is full; what was copied stays on it. Plug in another one and press Enter to go "
               "on.";
    case COPY_STICK_GONE:
        return "The stick was pulled out or does not answer; what is counted here is on it. Plug it or "
               "another "
               "one in and press Enter to go on.";
    case COPY_STICK_LOCKED:
        return "The stick is write-protected. Move its switch, or take another one, and press Enter.";
    case COPY_STICK_FAULT:
        return "The stick does not take what is written to it. Plug in another one and press Enter to go on.";
    default:
        return "The disk with the files does not answer any more; what was copied stays on the stick.";
    }
}

bool copy_can_go_on(enum copy_end end)
{
    return end != COPY_DONE && end != COPY_SOURCE_GONE;
}

static void say_copied(struct page *p, const struct copy *c, const struct copy_plan *plan)
{
    struct sentence s = page_line(p);
    sentence_add(&s, "Copied, read back and found equal: ");
    if (c->sure.files != plan->files) {
        sentence_add_count(&s, c->sure.files);
        sentence_add(&s, " of ");
    }
    sentence_add_things(&s, plan->files, "file", "files");
    sentence_add(&s, ", ");
    sentence_add_size(&s, c->sure.bytes);
    sentence_add(&s, ".");
}

static void say_failed(struct page *p, const struct copy *c)
{
    if (c->sure.failed == 0)
        return;
    struct sentence s = page_line(p);
    sentence_add(&s, "Not copied: ");
    sentence_add_things(&s, c->sure.failed, "file or folder.", "files and folders.");
    add_notes(p, c);
}

void copy_page_result(struct page *p, const struct copy *c, const struct copy_plan *plan, enum copy_end end,
                      const char *folder)
{
    page_init(p, COPY_TITLE, copy_can_go_on(end) ? "Enter goes on   Esc goes back" : "Enter goes back");
    say_copied(p, c, plan);
    if (c->sure.files) {
        struct sentence s = page_line(p);
        sentence_add(&s, "They are in the folder ");
        sentence_add(&s, folder);
        sentence_add(&s, " of the stick.");
    }
    say_failed(p, c);
    if (c->sure.renamed) {
        struct sentence s = page_line(p);
        sentence_add_things(&s, c->sure.renamed, "name", "names");
        sentence_add(&s, " had to be changed, because this stick's file system does not allow them.");
    }
    if (c->sure.notes_len && end != COPY_STICK_GONE && end != COPY_STICK_LOCKED) {
        struct sentence s = page_line(p);
        sentence_add(&s, "All of that is listed on the stick, in ");
        sentence_add(&s, folder);
        sentence_add(&s, ".txt.");
    }
    page_say(p, end == COPY_DONE && c->sure.failed == 0 ? TONE_GOOD : TONE_ASK, end_sentence(end));
}
