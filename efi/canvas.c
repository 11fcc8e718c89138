/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/canvas.h"
#include "crypto/secret.h"
#include "efi/characters.h"
#include "efi/font.h"
#include "efi/glyph.h"
#include <stdbool.h>
#include <string.h>

#define WIDTH_MIN  800u
#define HEIGHT_MIN 600u
#define LINE_GAP   3 /* pixels of the unscaled font between lines */

static EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;
#define LINE_PIXELS (256u << 10) /* a piece of a line; the largest character has 134,064 */

static EFI_GRAPHICS_OUTPUT_BLT_PIXEL *line;

static bool large_enough(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *m)
{
    return m->HorizontalResolution >= WIDTH_MIN && m->VerticalResolution >= HEIGHT_MIN;
}

/* The smallest mode that is large enough: mode numbers differ between devices. */
static void grow(void)
{
    UINT32 best = UINT32_MAX;
    uint64_t best_area = UINT64_MAX;
    for (UINT32 i = 0; i < gop->Mode->MaxMode; i++) {
        EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *m = NULL;
        UINTN len;
        if (gop->QueryMode(gop, i, &len, &m) != EFI_SUCCESS)
            continue;
        uint64_t area = (uint64_t)m->HorizontalResolution * m->VerticalResolution;
        if (large_enough(m) && area < best_area) {
            best = i;
            best_area = area;
        }
        firmware_free(m);
    }
    if (best != UINT32_MAX)
        gop->SetMode(gop, best);
}

/* The console's own screen stands for all screens; a machine may have graphics that are not its console. */
static EFI_GRAPHICS_OUTPUT_PROTOCOL *find_gop(void)
{
    static const EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    UINTN n;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *g = firmware_protocol(fw.st->ConsoleOutHandle, &guid);
    EFI_HANDLE *h = firmware_handles(&guid, &n);
    for (UINTN i = 0; i < n && !g; i++)
        g = firmware_protocol(h[i], &guid);
    firmware_free(h);
    return g;
}

enum err canvas_open(void)
{
    gop = find_gop();
    if (!gop)
        return ERR_UNSUPPORTED;
    if (!large_enough(gop->Mode->Info))
        grow();
    if (!large_enough(gop->Mode->Info))
        return ERR_UNSUPPORTED;
    TRY(font_open());
    line = firmware_alloc(LINE_PIXELS * sizeof *line);
    return line ? ERR_OK : ERR_NOMEM;
}

void canvas_close(void)
{
    static const struct color black = {0, 0, 0};
    canvas_fill((struct rect){0, 0, canvas_width(), canvas_height()}, black);
    cr_wipe(line, LINE_PIXELS * sizeof *line);
    firmware_free(line);
    line = NULL;
}

int canvas_width(void)
{
    return (int)gop->Mode->Info->HorizontalResolution;
}

int canvas_height(void)
{
    return (int)gop->Mode->Info->VerticalResolution;
}

static EFI_GRAPHICS_OUTPUT_BLT_PIXEL pixel(struct color c)
{
    return (EFI_GRAPHICS_OUTPUT_BLT_PIXEL){.Red = c.red, .Green = c.green, .Blue = c.blue};
}

void canvas_fill(struct rect r, struct color c)
{
    EFI_GRAPHICS_OUTPUT_BLT_PIXEL p = pixel(c);
    if (r.x < 0 || r.y < 0 || r.w <= 0 || r.h <= 0 || r.x + r.w > canvas_width() ||
        r.y + r.h > canvas_height())
        return;
    gop->Blt(gop, &p, EfiBltVideoFill, 0, 0, (UINTN)r.x, (UINTN)r.y, (UINTN)r.w, (UINTN)r.h, 0);
}

void canvas_frame(struct rect r, int thickness, struct color c)
{
    canvas_fill((struct rect){r.x, r.y, r.w, thickness}, c);
    canvas_fill((struct rect){r.x, r.y + r.h - thickness, r.w, thickness}, c);
    canvas_fill((struct rect){r.x, r.y, thickness, r.h}, c);
    canvas_fill((struct rect){r.x + r.w - thickness, r.y, thickness, r.h}, c);
}

/* Width of the next character, which *p is moved past. */
static int advance(const char **p, int scale)
{
    return font_glyph(characters_plain(characters_next(p)))->width * scale;
}

/* Width of the first len bytes. */
static int width_of(const char *text, size_t len, int scale)
{
    int w = 0;
    for (const char *p = text; p < text + len && *p;)
        w += advance(&p, scale);
    return w;
}

/* The bytes from text that fit into max_w pixels and into len bytes. */
static const char *fitting(const char *text, const char *end, int max_w, int scale, int *ret_w)
{
    int w = 0;
    while (text < end && *text) {
        const char *next = text;
        int step = advance(&next, scale);
        if (w + step > max_w)
            break;
        w += step;
        text = next;
    }
    *ret_w = w;
    return text;
}

/* A piece that the buffer holds. */
static void draw_piece(int x, int y, const char *text, const char *end, int w, const struct ink *ink)
{
    struct glyph_target to = {.stride = (size_t)w, .on = pixel(ink->text), .off = pixel(ink->ground)};
    int at = 0;
    while (text < end) {
        const struct font_glyph *g = font_glyph(characters_plain(characters_next(&text)));
        to.at = line + at;
        glyph_draw(g, ink->scale, &to);
        at += g->width * ink->scale;
    }
    gop->Blt(gop, line, EfiBltBufferToVideo, 0, 0, (UINTN)x, (UINTN)y, (UINTN)w,
             (UINTN)(CANVAS_CELL_H * ink->scale), (UINTN)w * sizeof *line);
}

/* Draw the first len bytes, cut at max_w. */
static int draw(int x, int y, int max_w, const char *text, size_t len, const struct ink *ink)
{
    int most = (int)(LINE_PIXELS / (unsigned)(CANVAS_CELL_H * ink->scale)), drawn = 0, w = 0;
    const char *end = text + len;
    while (text < end && *text) {
        int room = max_w - drawn < most ? max_w - drawn : most;
        const char *next = fitting(text, end, room, ink->scale, &w);
        if (w == 0)
            break;
        draw_piece(x + drawn, y, text, next, w, ink);
        drawn += w;
        text = next;
    }
    return drawn;
}

int canvas_text(int x, int y, int max_w, const char *utf8, struct ink ink)
{
    return draw(x, y, max_w, utf8, strlen(utf8), &ink);
}

int canvas_text_width(const char *utf8, int scale)
{
    return width_of(utf8, SIZE_MAX / 2, scale);
}

/* Bytes of the next line: up to the last space that fits, or as many characters as fit of a long word. */
static size_t line_len(const char *text, int w, int scale)
{
    int used = 0;
    size_t fit = 0, at_space = 0;
    for (const char *p = text; *p && *p != '\n';) {
        if (*p == ' ')
            at_space = (size_t)(p - text);
        used += advance(&p, scale);
        if (used > w)
            return at_space ? at_space : fit ? fit : (size_t)(p - text);
        fit = (size_t)(p - text);
    }
    return fit;
}

/* Draw one line of a paragraph; when it is the last that fits, say that more was meant. */
static void draw_line(const struct rect *r, int y, const char *text, size_t len, bool cut,
                      const struct ink *ink)
{
    int w = draw(r->x, r->y + y, r->w, text, len, ink), dots = 3 * CANVAS_CELL_W * ink->scale;
    if (cut)
        draw(r->x + (w < r->w - dots ? w : r->w - dots), r->y + y, dots, "...", 3, ink);
}

/* Lay a paragraph out, drawing it when ink is given. */
static int flow(struct rect r, const char *text, int scale, const struct ink *ink)
{
    int pitch = (CANVAS_CELL_H + LINE_GAP) * scale, y = 0;
    while (*text && y + CANVAS_CELL_H * scale <= r.h) {
        const char *start = text;
        size_t len = line_len(text, r.w, scale);
        text += len;
        while (*text == ' ')
            text++;
        if (*text == '\n')
            text++;
        if (ink)
            draw_line(&r, y, start, len, *text && y + pitch + CANVAS_CELL_H * scale > r.h, ink);
        y += pitch;
    }
    return y;
}

int canvas_paragraph(struct rect r, const char *utf8, struct ink ink)
{
    return flow(r, utf8, ink.scale, &ink);
}

int canvas_paragraph_height(int w, const char *utf8, int scale)
{
    return flow((struct rect){0, 0, w, 1 << 28}, utf8, scale, NULL);
}
