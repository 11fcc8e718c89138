/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_pages.h"
#include "efi/sentence.h"
#include <string.h>

static void add_label(struct sentence *s, const struct copy_place *to)
{
    sentence_add(s, to->label[0] ? "the stick \"" : "the stick");
    sentence_add(s, to->label);
    sentence_add(s, to->label[0] ? "\"" : "");
}

void copy_page_no_stick(struct page *p, const struct copy_place *locked)
{
    page_init(p, COPY_TITLE, "Esc goes back");
    if (locked) {
        struct sentence s = page_line(p);
        add_label(&s, locked);
        sentence_add(&s, " is write-protected: move its switch, or take another one.");
        p->line[0][0] = 'T'; /* begins a sentence */
    }
    page_add(
        p, "A stick with a FAT file system is needed, as nearly all are sold with up to 32 GB. Nothing on it "
           "is deleted or written over: the copies get a new folder.");
    page_say(p, TONE_ASK, "Plug in a USB stick.");
}

/* FAT is known to every firmware: then it is something else. */
static void say_why(struct page *p, bool fat, unsigned refused)
{
    page_add(
        p,
        fat ? "The firmware's own driver does not take it: there is too little memory for it, or the file "
              "system is damaged."
            : "This computer's firmware reads FAT only. For other file systems your organisation can put a "
              "driver into the folder EFI\\keyholt\\drivers of its EFI system partition.");
    if (refused) {
        struct sentence s = page_line(p);
        sentence_add_things(&s, refused, "driver there was", "drivers there were");
        sentence_add(&s, " refused by Secure Boot: not signed by a key that is trusted here.");
    }
    page_add(p,
             "The files are not lost: another computer opens the disk with the same 48 digits. Ask your help "
             "desk; with an image of the disk they use keyholt-desk volume decrypt.");
}

void copy_page_no_driver(struct page *p, const char *volume, const char *file_system, unsigned refused)
{
    char message[MODEL_MESSAGE];
    struct sentence s;
    page_init(p, COPY_TITLE, "Enter goes back");
    say_why(p, file_system && strcmp(file_system, "FAT") == 0, refused);
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
    page_init(p, COPY_TITLE, "Esc stops");
    sentence_init(&s, message, sizeof message);
    sentence_add(&s, "Counting: ");
    sentence_add_things(&s, so_far->files, "file", "files");
    sentence_add(&s, ", ");
    sentence_add_size(&s, so_far->bytes);
    page_say(p, TONE_ASK, message);
}

static void say_large(struct page *p, const struct copy_plan *plan)
{
    struct sentence s = page_line(p);
    sentence_add(&s, "Left out: ");
    sentence_add_things(&s, plan->n_large, "file", "files");
    sentence_add(&s, " of 4 GiB and more, too large for this stick's file system: ");
    for (unsigned i = 0; i < plan->n_large && i < COPY_NAMED; i++) {
        sentence_add(&s, i ? ", " : "");
        sentence_add(&s, plan->large[i]);
    }
    sentence_add(&s, plan->n_large > COPY_NAMED ? ", ..." : "");
}

static void say_totals(struct page *p, const char *volume, const struct copy_plan *plan)
{
    struct sentence s = page_line(p);
    sentence_add(&s, "From ");
    sentence_add(&s, volume);
    sentence_add(&s, ": ");
    sentence_add_things(&s, plan->files, "file", "files");
    sentence_add(&s, " in ");
    sentence_add_things(&s, plan->folders, "folder", "folders");
    sentence_add(&s, ", ");
    sentence_add_size(&s, plan->bytes);
    sentence_add(&s, ".");
}

static void say_place(struct page *p, const struct copy_plan *plan, const struct copy_place *to,
                      const char *folder)
{
    struct sentence s = page_line(p);
    sentence_add(&s, "To ");
    add_label(&s, to);
    sentence_add(&s, ", into the new folder ");
    sentence_add(&s, folder);
    sentence_add(&s, "; the stick has ");
    sentence_add_size(&s, to->room.free);
    sentence_add(&s, " free.");
    if (copy_plan_fits(plan, &to->room))
        return;
    s = page_line(p);
    sentence_add(&s, "Not all of it fits: ");
    sentence_add_size(&s, plan->need);
    sentence_add(&s, " are needed. When the stick is full, copying can go on with another one.");
}

void copy_page_ask(struct page *p, const char *volume, const struct copy_plan *plan,
                   const struct copy_place *to, const char *folder, bool several)
{
    page_init(p, COPY_TITLE,
              several ? "Enter copies   Tab takes another stick   Esc goes back"
                      : "Enter copies   Esc goes back");
    say_totals(p, volume, plan);
    say_place(p, plan, to, folder);
    if (plan->n_large)
        say_large(p, plan);
    if (plan->unreadable) {
        struct sentence s = page_line(p);
        sentence_add_things(&s, plan->unreadable, "folder", "folders");
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
    page_init(p, COPY_TITLE, "Esc stops after the current block");
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
