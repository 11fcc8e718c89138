/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/font.h"
#include "efi/hii_font.h"
#include <string.h>

#define CACHE     512 /* a power of two; Latin-1 and what a message may add */
#define WIDTH_MAX 16

static struct hii_font *hii;
static struct font_glyph cache[CACHE];
static struct font_glyph blank;

enum err font_open(void)
{
    static EFI_GUID guid = HII_FONT_GUID_INIT;
    void *p = NULL;
    TRY(err_from_efi(fw.bs->LocateProtocol(&guid, NULL, &p)));
    hii = p;
    /* A firmware whose font lacks digits is of no use here. */
    return font_glyph('0')->width ? ERR_OK : ERR_UNSUPPORTED;
}

/* Glyphs come as pixels in the system's colours: something on black. */
static void keep_bits(struct font_glyph *g, const struct hii_image *image)
{
    const EFI_GRAPHICS_OUTPUT_BLT_PIXEL *p = image->pixels.bitmap;
    g->width = (uint8_t)image->width;
    for (unsigned y = 0; y < FONT_HEIGHT && y < image->height; y++)
        for (unsigned x = 0; x < image->width; x++, p++)
            if (p->Red || p->Green || p->Blue)
                g->row[y] |= (uint16_t)(0x8000u >> x);
}

static void fetch(struct font_glyph *g, uint16_t character)
{
    struct hii_image *image = NULL;
    memset(g, 0, sizeof *g);
    g->character = character;
    /* EFI_WARN_UNKNOWN_GLYPH is no error, but what comes with it is not the character */
    if (hii->get_glyph(hii, character, NULL, &image, NULL) == EFI_SUCCESS && image &&
        image->width <= WIDTH_MAX)
        keep_bits(g, image);
    if (image)
        firmware_free(image->pixels.bitmap);
    firmware_free(image);
}

const struct font_glyph *font_glyph(uint16_t character)
{
    for (unsigned i = 0; i < CACHE; i++) {
        struct font_glyph *g = &cache[(character + i) & (CACHE - 1)];
        if (g->character == 0)
            fetch(g, character);
        if (g->character != character)
            continue;
        return g->width || character == '?' ? g : font_glyph('?');
    }
    return &blank;
}
