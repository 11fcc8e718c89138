/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/qr.h"
#include <qrcodegen.h>
#include <string.h>

#define QUIET       4
#define VERSION_MAX 25 /* holds 128 characters of address and an envelope of four recipients at level L */
#define PIXELS_MIN  2  /* zbar still reads two pixels per module; field notes 4.7 */

static const struct color white = {255, 255, 255}, black = {0, 0, 0};

struct code {
    uint8_t modules[qrcodegen_BUFFER_LEN_FOR_VERSION(VERSION_MAX)];
    uint8_t scratch[qrcodegen_BUFFER_LEN_FOR_VERSION(VERSION_MAX)];
};

/* Pixels per module, 0 when the text does not fit the code. */
static int encode(struct code *c, const char *text, enum qrcodegen_Ecc level, int side)
{
    if (!qrcodegen_encodeText(text, c->scratch, c->modules, level, qrcodegen_VERSION_MIN, VERSION_MAX,
                              qrcodegen_Mask_AUTO, false))
        return 0;
    return side / (qrcodegen_getSize(c->modules) + 2 * QUIET);
}

/* Each run of dark modules in a row is one rectangle. */
static void draw_modules(const struct code *c, struct rect r, int pixels)
{
    int size = qrcodegen_getSize(c->modules);
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++) {
            int start = x;
            while (qrcodegen_getModule(c->modules, x, y))
                x++;
            if (x > start)
                canvas_fill((struct rect){r.x + (start + QUIET) * pixels, r.y + (y + QUIET) * pixels,
                                          (x - start) * pixels, pixels},
                            black);
        }
    }
}

enum err qr_draw(const char *text, struct rect r, int *ret_side)
{
    int side = r.w < r.h ? r.w : r.h;
    struct code *c = firmware_alloc(sizeof *c);
    if (!c)
        return ERR_NOMEM;
    int low = encode(c, text, qrcodegen_Ecc_LOW, side);
    int pixels = encode(c, text, qrcodegen_Ecc_MEDIUM, side);
    if (pixels < low)
        pixels = encode(c, text, qrcodegen_Ecc_LOW, side);
    if (pixels >= PIXELS_MIN) {
        int drawn = (qrcodegen_getSize(c->modules) + 2 * QUIET) * pixels;
        canvas_fill((struct rect){r.x, r.y, drawn, drawn}, white);
        draw_modules(c, r, pixels);
        *ret_side = drawn;
    }
    firmware_free(c);
    return pixels >= PIXELS_MIN ? ERR_OK : ERR_RANGE;
}
