/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The graphics look. Lengths are multiples of the scale, so the picture is the same on small and on dense
 * screens; at 800 × 600 the eight boxes stand in two rows with the message beside them. */
#include "efi/canvas.h"
#include "efi/qr.h"
#include "efi/screen.h"
#include "efi/sentence.h"
#include <string.h>

#define BOX_SCALE 2 /* of the digits, in scales */
#define BOX_PAD   8
#define BOX_MAX   150 /* width, scaled */
#define LABEL_H   23
#define LINE_GAP  3
#define NARROW    900 /* scaled width below which boxes take two rows */

/* Named by what they are for. Contrast of text on its ground: at least 7 to 1 (usual), 15 to 1 (high; the red
 * 8 to 1).
 */
struct palette {
    struct color night, panel, rim, white, quiet, amber, red, green, blue;
};
static const struct palette usual = {.night = {0x0d, 0x17, 0x26},
                                     .panel = {0x1c, 0x2b, 0x42},
                                     .rim = {0x4a, 0x5f, 0x80},
                                     .white = {0xff, 0xff, 0xff},
                                     .quiet = {0xb4, 0xc2, 0xd6},
                                     .amber = {0xff, 0xd1, 0x5c},
                                     .red = {0xff, 0x7b, 0x72},
                                     .green = {0x7e, 0xe2, 0xa8},
                                     .blue = {0x8a, 0xc4, 0xff}},
                            high = {.night = {0, 0, 0},
                                    .panel = {0, 0, 0},
                                    .rim = {0xff, 0xff, 0xff},
                                    .white = {0xff, 0xff, 0xff},
                                    .quiet = {0xff, 0xff, 0xff},
                                    .amber = {0xff, 0xff, 0},
                                    .red = {0xff, 0x80, 0x80},
                                    .green = {0x80, 0xff, 0x80},
                                    .blue = {0x80, 0xff, 0xff}},
                            *paint = &usual;

/* Where things are, in pixels. */
struct layout {
    int scale, margin;
    struct rect main, boxes, message;
    int per_row, box_w, box_h, gap;
};

struct box {
    char digit[MODEL_DIGITS];
    unsigned n, cursor; /* cursor: place + 1, 0 when it is elsewhere */
    enum group_state state;
};

static struct layout lay;
static struct box drawn[RP_GROUPS];
static char shown[MODEL_MESSAGE];
static enum model_tone shown_tone;
static bool boxes_shown, listing;
static unsigned listed_at;
static const struct content *content; /* borrowed until the next one is shown */
static const char *resting =
    ""; /* stands where messages stand when there is none; borrowed from the content */

static struct ink ink(struct color c, int scale)
{
    return (struct ink){.text = c, .ground = paint->night, .scale = scale * lay.scale};
}

static int px(int n)
{
    return n * lay.scale;
}

/* The largest whole factor that still leaves room for everything. */
static int choose_scale(int w, int h)
{
    int by_w = w / 800, by_h = h / 540, s = by_w < by_h ? by_w : by_h;
    return s < 1 ? 1 : s;
}

static void make_layout(int w, int h)
{
    lay.scale = choose_scale(w, h);
    bool narrow = w / lay.scale < NARROW;
    lay.margin = px(w / lay.scale < 1100 ? 28 : 48);
    lay.per_row = narrow ? RP_GROUPS / 2 : RP_GROUPS;
    lay.gap = px(8);
    int room = (narrow ? px(472) : w - 2 * lay.margin) - (lay.per_row - 1) * lay.gap;
    lay.box_w = room / lay.per_row < px(BOX_MAX) ? room / lay.per_row : px(BOX_MAX);
    lay.box_h = px(CANVAS_CELL_H * BOX_SCALE + 2 * BOX_PAD);
    int rows = RP_GROUPS / lay.per_row, row_h = lay.box_h + px(LABEL_H);
    int boxes_w = lay.per_row * lay.box_w + (lay.per_row - 1) * lay.gap;
    int message_h = narrow ? 0 : px(2 * 22 + 6);
    int bottom = h - lay.margin - px(CANVAS_CELL_H + 10) - message_h;
    int boxes_h = rows * row_h + (rows - 1) * lay.gap;
    lay.boxes = (struct rect){lay.margin, bottom - boxes_h, boxes_w, boxes_h};
    lay.message = narrow ? (struct rect){lay.margin + boxes_w + px(24), lay.boxes.y,
                                         w - 2 * lay.margin - boxes_w - px(24), boxes_h}
                         : (struct rect){lay.margin, bottom + px(10), w - 2 * lay.margin, message_h};
    int top = lay.margin + px(h / lay.scale < 700 ? 86 : 100);
    lay.main = (struct rect){lay.margin, top, w - 2 * lay.margin, lay.boxes.y - top - px(14)};
}

enum err screen_gop_open(void)
{
    TRY(canvas_open());
    make_layout(canvas_width(), canvas_height());
    return ERR_OK;
}

static void show_head(const struct content *c)
{
    int w = canvas_width() - 2 * lay.margin, y = lay.margin;
    const char *title = c->org[0] ? c->org : "Disk recovery";
    int scale = canvas_text_width(title, 2 * lay.scale) <= w ? 2 : 1;
    int used = canvas_text(lay.margin, y + (scale == 1 ? px(17) : 0), w, title, ink(paint->white, scale));
    const char *label = c->computer[0] ? c->computer : c->org[0] ? "Disk recovery" : "";
    int label_w = canvas_text_width(label, lay.scale);
    if (label_w && used + label_w + px(24) <= w)
        canvas_text(lay.margin + w - label_w, y + px(17), label_w, label, ink(paint->quiet, 1));
    canvas_fill((struct rect){lay.margin, y + px(46), w, px(1)}, paint->rim);
    canvas_paragraph((struct rect){lay.margin, y + px(56), w, px(CANVAS_CELL_H)}, c->reason,
                     ink(paint->white, 1));
}

/* Paragraphs one below the other within a rectangle that shrinks. */
static void add(struct rect *room, const char *text, struct ink i, int space_after)
{
    int h = text[0] ? canvas_paragraph(*room, text, i) + px(space_after) : 0;
    room->y += h;
    room->h -= h;
}

static void add_step(struct rect *room, unsigned n, const char *text)
{
    const char number[] = {(char)('1' + n), '.', '\0'};
    struct rect body = {room->x + px(28), room->y, room->w - px(28), room->h};
    if (room->h < px(CANVAS_CELL_H))
        return;
    canvas_text(room->x, room->y, px(28), number, ink(paint->quiet, 1));
    int h = canvas_paragraph(body, text, ink(paint->white, 1));
    room->y += h;
    room->h -= h;
}

/* In two halves of four, as people read it out. */
static void show_key(struct rect *room, const struct content *c)
{
    int large = canvas_width() / lay.scale >= 1100 ? 4 : 3, w = 0;
    char half[5] = "";
    if (!c->has_volume)
        return;
    if (!c->key_id[0]) {
        add(room, "No key ID is known for this volume.", ink(paint->amber, 1), 4);
        return;
    }
    add(room, "Key ID", ink(paint->quiet, 1), -2);
    for (int i = 0; i < 2; i++) {
        memcpy(half, c->key_id + 4 * i, 4);
        w += canvas_text(room->x + w, room->y, room->w - w, half, ink(paint->amber, large)) + px(4 * large);
    }
    canvas_text(room->x + w + px(16), room->y + px(CANVAS_CELL_H * (large - 1) - 4), room->w - w - px(16),
                c->also, ink(paint->quiet, 1));
    room->y += px(CANVAS_CELL_H * large + 2);
    room->h -= px(CANVAS_CELL_H * large + 2);
}

static bool is_narrow(void)
{
    return canvas_width() / lay.scale < NARROW;
}

/* One line each, as many as there is room for around the current one. */
static void show_list_of_volumes(struct rect *room, const struct content *c, unsigned rows)
{
    unsigned first = c->list_at < rows ? 0 : c->list_at - rows + 1;
    for (unsigned i = first; i < c->n_list && i < first + rows; i++) {
        bool current = i == c->list_at;
        if (current)
            canvas_fill((struct rect){room->x - px(8), room->y, px(4), px(CANVAS_CELL_H)}, paint->amber);
        canvas_text(room->x, room->y, room->w, c->list[i], ink(current ? paint->white : paint->quiet, 1));
        room->y += px(CANVAS_CELL_H + 1);
        room->h -= px(CANVAS_CELL_H + 1);
    }
}

/* On a narrow screen the list stands for the line about the current volume, too. */
static void show_volumes(struct rect *room, const struct content *c)
{
    unsigned rows = is_narrow() ? 3 : CONTENT_VOLUMES;
    if (!is_narrow() || c->n_list == 0)
        add(room, c->volume, ink(paint->quiet, 1), c->count[0] ? 2 : 10);
    else if (c->mended[0])
        add(room, c->mended, ink(paint->quiet, 1), 2);
    show_list_of_volumes(room, c, rows);
    if (!is_narrow() || c->n_list > rows || c->n_list == 0)
        add(room, c->count, ink(paint->blue, 1), is_narrow() ? 4 : 10);
}

static void show_address(struct rect *room, const struct content *c)
{
    static const char check[] = "Check that this is your organisation's address.";
    if (!c->url[0])
        return;
    add(room, c->url, ink(paint->blue, 1), 0);
    add(room, check, ink(paint->quiet, 1), 10);
}

/* What does not fit stands beside or below the boxes as long as there is no message; the note before the
 * rest. */
static void show_words(struct rect room, const struct content *c)
{
    show_key(&room, c);
    show_volumes(&room, c);
    for (unsigned i = 0; c->has_volume && i < CONTENT_STEPS; i++)
        add_step(&room, i, content_step(c, i, c->qr[0]));
    room.y += px(is_narrow() ? 4 : 10);
    room.h -= px(is_narrow() ? 4 : 10);
    show_address(&room, c);
    bool note_fits = canvas_paragraph_height(room.w, c->note, lay.scale) <= room.h + px(LINE_GAP);
    add(&room, note_fits ? c->note : "", ink(paint->amber, 1), 10);
    bool fits = canvas_paragraph_height(room.w, c->message, lay.scale) <= room.h + px(LINE_GAP);
    resting = !note_fits ? c->note : fits ? "" : c->message;
    add(&room, fits && note_fits ? c->message : "", ink(paint->white, 1), 0);
}

static void show_footer(const struct content *c)
{
    int y = canvas_height() - lay.margin - px(CANVAS_CELL_H);
    canvas_text(lay.margin, y, canvas_width() - 2 * lay.margin, content_keys(c, true), ink(paint->quiet, 1));
}

static struct rect box_rect(unsigned g)
{
    int column = (int)g % lay.per_row, row = (int)g / lay.per_row;
    return (struct rect){lay.boxes.x + column * (lay.box_w + lay.gap),
                         lay.boxes.y + px(LABEL_H) + row * (lay.box_h + px(LABEL_H) + lay.gap), lay.box_w,
                         lay.box_h};
}

/* Colour never stands alone: the label says it in a word, too. */
static void draw_label(unsigned g, struct rect r, const struct box *b)
{
    struct sentence s;
    char label[16];
    struct color c = b->state == GROUP_WRONG  ? paint->red
                     : b->state == GROUP_GOOD ? paint->green
                     : b->cursor              ? paint->white
                                              : paint->quiet;
    sentence_init(&s, label, sizeof label);
    sentence_add_u64(&s, g + 1);
    sentence_add(&s, b->state == GROUP_WRONG ? " not right" : b->state == GROUP_GOOD ? " ok" : "");
    canvas_fill((struct rect){r.x, r.y - px(LABEL_H), r.w, px(CANVAS_CELL_H)}, paint->night);
    canvas_text(r.x + px(2), r.y - px(LABEL_H), r.w, label, ink(c, 1));
}

static void draw_box(unsigned g, const struct box *b)
{
    struct rect r = box_rect(g);
    int cell = px(CANVAS_CELL_W * BOX_SCALE), y = r.y + px(BOX_PAD);
    int x = r.x + (r.w - MODEL_DIGITS * cell) / 2;
    struct color edge = b->state == GROUP_WRONG  ? paint->red
                        : b->cursor              ? paint->white
                        : b->state == GROUP_GOOD ? paint->green
                                                 : paint->rim;
    struct ink digits = {.text = paint->white, .ground = paint->panel, .scale = px(BOX_SCALE)};
    char text[MODEL_DIGITS + 1];
    canvas_fill(r, paint->panel);
    canvas_frame(r, px(b->cursor || b->state == GROUP_WRONG ? 2 : 1), edge);
    memcpy(text, b->digit, b->n);
    text[b->n] = '\0';
    canvas_text(x, y, r.w, text, digits);
    for (unsigned i = b->n; i < MODEL_DIGITS; i++)
        canvas_fill((struct rect){x + (int)i * cell + cell / 2 - px(1), y + px(CANVAS_CELL_H), px(2), px(2)},
                    paint->rim);
    if (b->cursor) {
        unsigned at = b->cursor - 1 < MODEL_DIGITS ? b->cursor - 1 : MODEL_DIGITS - 1;
        canvas_fill((struct rect){x + (int)at * cell + px(2), r.y + r.h - px(7), cell - px(4), px(3)},
                    paint->amber);
    }
    cr_wipe(text, sizeof text);
    draw_label(g, r, b);
}

static void make_box(const struct model *m, unsigned g, struct box *ret)
{
    memset(ret, 0, sizeof *ret); /* compared as bytes */
    memcpy(ret->digit, m->group[g].digit, m->group[g].n);
    ret->n = m->group[g].n;
    ret->state = model_group_state(m, g);
    if (m->at == g && m->phase == MODEL_ENTRY)
        ret->cursor = m->pos + 1;
}

static void draw_message(const struct model *m)
{
    struct color c = m->tone == TONE_BAD    ? paint->red
                     : m->tone == TONE_GOOD ? paint->green
                     : m->tone == TONE_ASK  ? paint->amber
                                            : paint->quiet;
    canvas_fill(lay.message, paint->night);
    canvas_paragraph(lay.message, m->message[0] ? m->message : resting,
                     ink(m->message[0] ? c : paint->white, 1));
}

/* As many lines as there is room for, around the one that is chosen. */
static void show_list(const struct model *m)
{
    struct rect r = lay.main;
    int pitch = px(CANVAS_CELL_H + 5);
    unsigned rows = (unsigned)((r.h - pitch) / pitch), n = m->menu->n;
    unsigned first = m->menu_at < rows ? 0 : m->menu_at - rows + 1;
    canvas_text(r.x, r.y, r.w, "What to start", ink(paint->quiet, 1));
    for (unsigned i = first; i < n && i < first + rows; i++) {
        char line[MENU_LINE + 8];
        struct sentence s;
        struct rect bar = {r.x, r.y + (int)(i - first + 1) * pitch, r.w, px(CANVAS_CELL_H + 2)};
        struct ink how = ink(i == m->menu_at ? paint->amber : paint->white, 1);
        sentence_init(&s, line, sizeof line);
        sentence_add_u64(&s, i + 1);
        sentence_add(&s, ". ");
        sentence_add(&s, m->menu->line[i]);
        if (i == m->menu_at)
            canvas_frame(bar, px(1), paint->amber);
        canvas_text(bar.x + px(8), bar.y + px(1), bar.w - px(16), line, how);
    }
}

/* What stands between head and boxes. */
static void show_main(const struct content *c)
{
    int side = 0;
    struct rect words = lay.main, square = {lay.main.x, lay.main.y, lay.main.w * 2 / 5, lay.main.h};
    /* without a code the words take the whole width */
    if (c->qr[0] && qr_draw(c->qr, square, &side) == ERR_OK) {
        words.x += side + px(28);
        words.w -= side + px(28);
    }
    show_words(words, c);
}

static void refresh_main(const struct model *m, bool all)
{
    bool list = m->phase == MODEL_LIST;
    if (!all && list == listing && (!list || m->menu_at == listed_at))
        return;
    struct rect clear = {0, lay.main.y, canvas_width(), lay.main.h};
    canvas_fill(clear, paint->night);
    if (list)
        show_list(m);
    else if (content)
        show_main(content);
    listing = list;
    listed_at = m->menu_at;
}

/* Draw what differs; everything when all is set. */
static void refresh(const struct model *m, bool all)
{
    struct box b;
    refresh_main(m, all);
    for (unsigned g = 0; boxes_shown && g < RP_GROUPS; g++) {
        make_box(m, g, &b);
        if (all || memcmp(&b, &drawn[g], sizeof b) != 0)
            draw_box(g, &b);
        drawn[g] = b;
    }
    cr_wipe(&b, sizeof b);
    if (all || m->tone != shown_tone || strcmp(m->message, shown) != 0)
        draw_message(m);
    shown_tone = m->tone;
    memcpy(shown, m->message, sizeof shown);
}

void screen_gop_show(const struct content *c, const struct model *m)
{
    content = c;
    canvas_fill((struct rect){0, 0, canvas_width(), canvas_height()}, paint->night);
    show_head(c);
    show_footer(c);
    boxes_shown = c->has_volume;
    refresh(m, true);
}

void screen_gop_recolor(void)
{
    paint = paint == &usual ? &high : &usual;
}

void screen_gop_update(const struct model *m)
{
    refresh(m, false);
}

void screen_gop_close(void)
{
    canvas_close();
    cr_wipe(drawn, sizeof drawn);
}
