/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_pages.h"
#include "efi/sentence.h"
#include <string.h>

#define TITLE      "Copy files to a USB stick"
#define NOTE_LINES 3

/* "1,204" */
static void add_count(struct sentence *s, uint64_t v)
{
    if (v >= 1000) {
        add_count(s, v / 1000);
        sentence_add(s, v % 1000 < 10 ? ",00" : v % 1000 < 100 ? ",0" : ",");
        v %= 1000;
    }
    sentence_add_u64(s, v);
}

/* "1 file", "1,204 files" */
static void add_things(struct sentence *s, uint64_t n, const char *one, const char *many)
{
    add_count(s, n);
    sentence_add(s, " ");
    sentence_add(s, n == 1 ? one : many);
}

static struct sentence line_of(struct page *p)
{
    struct sentence s;
    sentence_init(&s, page_add(p, ""), PAGE_TEXT);
    return s;
}

static void add_label(struct sentence *s, const struct copy_place *to)
{
    sentence_add(s, to->label[0] ? "the stick \"" : "the stick");
    sentence_add(s, to->label);
    sentence_add(s, to->label[0] ? "\"" : "");
}

void copy_page_no_stick(struct page *p, const struct copy_place *locked)
{
    page_init(p, TITLE, "Esc goes back");
    if (locked) {
        struct sentence s = line_of(p);
        add_label(&s, locked);
        sentence_add(&s, " is write-protected: move its switch, or take another one.");
        p->line[0][0] = 'T'; /* begins a sentence */
    }
    page_add(
        p, "A stick with a FAT file system is needed, as nearly all are sold with up to 32 GB. Nothing on it "
           "is deleted or written over: the copies get a new folder.");
    page_say(p, TONE_ASK, "Plug in a USB stick.");
}

void copy_page_no_driver(struct page *p, const char *volume, const char *file_system, unsigned refused)
{
    char message[MODEL_MESSAGE];
    struct sentence s = {.base = NULL};
    page_init(p, TITLE, "Enter goes back");
    page_add(
        p,
        "This computer's firmware reads FAT only. For other file systems your organisation can put a driver "
        "into the folder EFI\\keyholt\\drivers of its EFI system partition.");
    if (refused) {
        s = line_of(p);
        add_things(&s, refused, "driver there was", "drivers there were");
        sentence_add(&s, " refused by Secure Boot: not signed by a key that is trusted here.");
    }
    page_add(p, "The files are not lost: another computer opens the disk with the same 48 digits. Ask your "
                "help desk; "
                "with an image of the disk they use keyholt-desk volume decrypt.");
    sentence_init(&s, message, sizeof message);
    sentence_add(&s, volume);
    sentence_add(&s, file_system ? " holds a file system (" : " holds something that is not known here, and");
    sentence_add(&s, file_system ? file_system : "");
    sentence_add(&s, file_system ? ") that" : "");
    sentence_add(&s, " cannot be read here.");
    page_say(p, TONE_BAD, message);
}

void copy_page_counting(struct page *p, const struct copy_plan *so_far)
{
    char message[MODEL_MESSAGE];
    struct sentence s;
    page_init(p, TITLE, "Esc stops");
    sentence_init(&s, message, sizeof message);
    sentence_add(&s, "Counting: ");
    add_things(&s, so_far->files, "file", "files");
    sentence_add(&s, ", ");
    sentence_add_size(&s, so_far->bytes);
    page_say(p, TONE_ASK, message);
}

static void say_large(struct page *p, const struct copy_plan *plan)
{
    struct sentence s = line_of(p);
    sentence_add(&s, "Left out: ");
    add_things(&s, plan->n_large, "file", "files");
    sentence_add(&s, " of 4 GiB and more, too large for this stick's file system: ");
    for (unsigned i = 0; i < plan->n_large && i < COPY_NAMED; i++) {
        sentence_add(&s, i ? ", " : "");
        sentence_add(&s, plan->large[i]);
    }
    sentence_add(&s, plan->n_large > COPY_NAMED ? ", ..." : "");
}

static void say_totals(struct page *p, const char *volume, const struct copy_plan *plan)
{
    struct sentence s = line_of(p);
    sentence_add(&s, "From ");
    sentence_add(&s, volume);
    sentence_add(&s, ": ");
    add_things(&s, plan->files, "file", "files");
    sentence_add(&s, " in ");
    add_things(&s, plan->folders, "folder", "folders");
    sentence_add(&s, ", ");
    sentence_add_size(&s, plan->bytes);
    sentence_add(&s, ".");
}

static void say_place(struct page *p, const struct copy_plan *plan, const struct copy_place *to,
                      const char *folder)
{
    struct sentence s = line_of(p);
    sentence_add(&s, "To ");
    add_label(&s, to);
    sentence_add(&s, ", into the new folder ");
    sentence_add(&s, folder);
    sentence_add(&s, "; the stick has ");
    sentence_add_size(&s, to->room.free);
    sentence_add(&s, " free.");
    if (copy_plan_fits(plan, &to->room))
        return;
    s = line_of(p);
    sentence_add(&s, "Not all of it fits: ");
    sentence_add_size(&s, plan->need);
    sentence_add(&s, " are needed. When the stick is full, copying can go on with another one.");
}

void copy_page_ask(struct page *p, const char *volume, const struct copy_plan *plan,
                   const struct copy_place *to, const char *folder, bool several)
{
    page_init(p, TITLE,
              several ? "Enter copies   Tab takes another stick   Esc goes back"
                      : "Enter copies   Esc goes back");
    say_totals(p, volume, plan);
    say_place(p, plan, to, folder);
    if (plan->n_large)
        say_large(p, plan);
    if (plan->unreadable) {
        struct sentence s = line_of(p);
        add_things(&s, plan->unreadable, "folder", "folders");
        sentence_add(&s, " cannot be read and will be missing.");
    }
    if (plan->files + plan->folders == 0)
        page_say(p, TONE_BAD, "There is nothing to copy.");
    else
        page_say(p, TONE_ASK, "The copies will not be encrypted: whoever has the stick can read them.");
}

/* Everything is counted twice: written, and read back. */
static unsigned permille_of(const struct copy_plan *plan, uint64_t done)
{
    uint64_t each = plan->bytes / 500;
    if (plan->bytes == 0 || done / 2 >= plan->bytes)
        return 1000;
    uint64_t part = each ? done / each : done * 500 / plan->bytes;
    return part < 1000 ? (unsigned)part : 1000;
}

void copy_page_progress(struct page *p, const struct copy_plan *plan, const struct copy_progress *now)
{
    char message[MODEL_MESSAGE];
    struct sentence s;
    page_init(p, TITLE, "Esc stops after the current block");
    copy_short_path(now->walk->path, page_add(p, ""));
    p->bar = true;
    p->permille = permille_of(plan, now->done);
    sentence_init(&s, message, sizeof message);
    sentence_add(&s, now->doing);
    sentence_add(&s, ": ");
    sentence_add_u64(&s, p->permille / 10);
    sentence_add(&s, " %, ");
    sentence_add_size(&s, now->done / 2 < plan->bytes ? now->done / 2 : plan->bytes);
    sentence_add(&s, " of ");
    sentence_add_size(&s, plan->bytes);
    sentence_add(&s, ". Leave the stick where it is.");
    page_say(p, TONE_ASK, message);
}

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
    struct sentence s = line_of(p);
    sentence_add(&s, "Copied, read back and found equal: ");
    if (c->sure.files != plan->files) {
        add_count(&s, c->sure.files);
        sentence_add(&s, " of ");
    }
    add_things(&s, plan->files, "file", "files");
    sentence_add(&s, ", ");
    sentence_add_size(&s, c->sure.bytes);
    sentence_add(&s, ".");
}

static void say_failed(struct page *p, const struct copy *c)
{
    if (c->sure.failed == 0)
        return;
    struct sentence s = line_of(p);
    sentence_add(&s, "Not copied: ");
    add_things(&s, c->sure.failed, "file or folder.", "files and folders.");
    add_notes(p, c);
}

void copy_page_result(struct page *p, const struct copy *c, const struct copy_plan *plan, enum copy_end end,
                      const char *folder)
{
    page_init(p, TITLE, copy_can_go_on(end) ? "Enter goes on   Esc goes back" : "Enter goes back");
    say_copied(p, c, plan);
    if (c->sure.files) {
        struct sentence s = line_of(p);
        sentence_add(&s, "They are in the folder ");
        sentence_add(&s, folder);
        sentence_add(&s, " of the stick.");
    }
    say_failed(p, c);
    if (c->sure.renamed) {
        struct sentence s = line_of(p);
        add_things(&s, c->sure.renamed, "name", "names");
        sentence_add(&s, " had to be changed, because this stick's file system does not allow them.");
    }
    if (c->sure.notes_len && end != COPY_STICK_GONE && end != COPY_STICK_LOCKED) {
        struct sentence s = line_of(p);
        sentence_add(&s, "All of that is listed on the stick, in ");
        sentence_add(&s, folder);
        sentence_add(&s, ".txt.");
    }
    page_say(p, end == COPY_DONE && c->sure.failed == 0 ? TONE_GOOD : TONE_ASK, end_sentence(end));
}

static void add_two(struct sentence *s, uint64_t v)
{
    sentence_add(s, v < 10 ? "0" : "");
    sentence_add_u64(s, v);
}

void copy_folder_name(unsigned year, unsigned month, unsigned day, char ret[static COPY_FOLDER])
{
    struct sentence s;
    sentence_init(&s, ret, COPY_FOLDER);
    sentence_add(&s, "KEYHOLT-COPY");
    if (year < 2000 || year > 9999)
        return;
    sentence_add(&s, "-");
    sentence_add_u64(&s, year);
    sentence_add(&s, "-");
    add_two(&s, month);
    sentence_add(&s, "-");
    add_two(&s, day);
}
