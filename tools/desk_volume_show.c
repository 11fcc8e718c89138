/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk volume show: for people. desk_volume_json.c has the same for programs. */
#include "formats/text.h"
#include "tools/desk_volume_json.h"
#include "tools/desk_volume_open.h"
#include "tools/desk_volume_text.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL_WIDTH 14

/* What is bold on a terminal is what a person looks for: key IDs. */
struct page {
    const char *bold, *plain;
    int type_width; /* of the column of types */
};

static struct page page_begin(void)
{
    const char *term = getenv("TERM");
    bool colour = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !getenv("NO_COLOR");
    return (struct page){colour ? "\x1b[1m" : "", colour ? "\x1b[0m" : "", 0};
}

__attribute__((format(printf, 2, 3))) static void line(const char *label, const char *format, ...)
{
    char raw[1024], clean[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    text_clean(raw, strlen(raw), clean, sizeof clean);
    printf("  %-*s%s\n", LABEL_WIDTH, label, clean);
}

/* Cut a path's folders: the file's name is what tells volumes apart. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void print_head(const struct page *page, const struct volume *v)
{
    const struct volume_info *info = &v->info;
    char size[SIZE_TEXT], made[SIZE_TEXT], sector[SIZE_TEXT];
    desk_text_size(info->size, size);
    desk_text_size(info->sector_size, sector);
    desk_text_time(info->created, made);
    printf("%s volume %s%s%s\n\n", info->format, page->bold, info->id, page->plain);
    line("image", "%s", base_name(v->image.path));
    if (v->header.fd >= 0)
        line("header", "%s", base_name(v->header.path));
    if (info->label[0])
        line("label", "%s", info->label);
    if (made[0])
        line("made", "%s", made);
    if (info->variant[0])
        line("layout", "%s", info->variant);
    if (info->size)
        line("size", "%s", size);
    if (info->cipher[0] && info->cipher_name[0] && strcmp(info->cipher, info->cipher_name) != 0)
        line("cipher", "%s (%s), sectors of %s", info->cipher, info->cipher_name, sector);
    else if (info->cipher[0])
        line("cipher", "%s, sectors of %s", info->cipher, sector);
    line("state", "%s", info->state_text);
    if (info->header[0])
        line("damage", "%s", info->header);
    if (info->why_not[0])
        line("decrypt", "not possible here: %s", info->why_not);
}

/* How it was made, and what else there is to know. */
static void details(const struct volume_info *info, const struct volume_protector *p, char *ret, size_t cap)
{
    char slot[32] = "", kdf[128], changed[SIZE_TEXT + 8] = "", time[SIZE_TEXT];
    const char *const parts[] = {slot, kdf, changed, p->note};
    if (strcmp(info->format, "LUKS2") == 0)
        snprintf(slot, sizeof slot, "keyslot %u", p->number);
    desk_text_kdf(&p->kdf, kdf, sizeof kdf);
    desk_text_time(p->changed, time);
    if (time[0])
        snprintf(changed, sizeof changed, "changed %s", time);
    ret[0] = 0;
    for (size_t i = 0, n = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i][0] && n < cap) {
            int put = snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", parts[i]);
            n += put > 0 ? (size_t)put : 0;
        }
}

/* Type, key ID, the reason where it cannot be opened, and the details below. */
static void print_protector(const struct page *page, const struct volume_info *info,
                            const struct volume_protector *p)
{
    char id[GUID_TEXT] = "", more[512], clean[512];
    const char *type = p->type;
    details(info, p, more, sizeof more);
    text_clean(more, strlen(more), clean, sizeof clean);
    if (p->has_key_id) {
        guid_encode(&p->key_id, id);
        printf("    %-*s  %s%s%s%s\n", page->type_width, type, page->bold, id, page->plain,
               p->keyholt ? "  made by Keyholt" : "");
        type = "";
    }
    if (p->why_not[0]) {
        printf("    %-*s  %s\n", page->type_width, type, p->why_not);
        type = "";
    }
    if (clean[0])
        printf("    %-*s  %s\n", page->type_width, type, clean);
}

/* Recovery passwords come first: they are what the help desk looks for. heading: "" once it is printed */
static const char *print_group(struct page *page, const struct volume_info *info, bool open, bool recovery,
                               const char *heading)
{
    for (unsigned i = 0; i < info->n_protectors; i++) {
        const struct volume_protector *p = &info->protector[i];
        if ((p->why_not[0] == 0) != open || p->recovery != recovery)
            continue;
        printf("%s", heading);
        heading = "";
        print_protector(page, info, p);
    }
    return heading;
}

static void print_protectors(struct page *page, const struct volume_info *info)
{
    const char *left = print_group(page, info, true, true, "\n  opens with\n");
    left = print_group(page, info, true, false, left);
    if (left[0])
        puts("\n  opens with nothing that can be used here");
    left = print_group(page, info, false, true, "\n  cannot be opened here with\n");
    (void)print_group(page, info, false, false, left);
}

/* Tokens that belong to no keyslot yet; the others were told with theirs. */
static void print_tokens(const struct page *page, const struct volume_info *info)
{
    for (unsigned i = 0; i < info->n_tokens; i++) {
        const struct volume_token *t = &info->token[i];
        char id[GUID_TEXT] = "";
        if (t->slots)
            continue;
        if (t->has_key_id)
            guid_encode(&t->key_id, id);
        printf("\n  token %u of type %s names no keyslot%s%s%s%s%s%s\n", t->number, t->type,
               id[0] ? ": key ID " : "", page->bold, id, page->plain, t->state ? ", " : "",
               t->state ? t->state : "");
    }
}

static void print_volume(const struct volume *v)
{
    const struct volume_info *info = &v->info;
    struct page page = page_begin();
    for (unsigned i = 0; i < info->n_protectors; i++)
        if ((int)strlen(info->protector[i].type) > page.type_width)
            page.type_width = (int)strlen(info->protector[i].type);
    print_head(&page, v);
    print_protectors(&page, info);
    print_tokens(&page, info);
}

int desk_volume_show(const struct desk_volume_request *req)
{
    struct desk_volume_session s = {.req = req};
    int code = desk_volume_load(&s);
    if (code == KH_EXIT_OK && req->json)
        code = desk_volume_json_show(s.v);
    else if (code == KH_EXIT_OK)
        print_volume(s.v);
    if (code == KH_EXIT_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        desk_say("the answer cannot be written");
        code = KH_EXIT_FAILED;
    }
    desk_volume_end(&s);
    return code;
}
