/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/glyph.h"
#include <stdbool.h>

static bool dot(const struct font_glyph *g, int x, int y)
{
    return x >= 0 && x < g->width && y >= 0 && y < FONT_HEIGHT && (g->row[y] & 0x8000u >> x);
}

/* Which corners of a pixel take the colour of their two neighbours, as Eric's Pixel Expansion has it: where
 * the two beside a corner agree, and neither continues straight on. */
struct corners {
    bool cut[2][2]; /* [lower][right] */
};

static struct corners corners_of(const struct font_glyph *g, int x, int y)
{
    bool up = dot(g, x, y - 1), down = dot(g, x, y + 1), left = dot(g, x - 1, y), right = dot(g, x + 1, y);
    bool here = dot(g, x, y);
    return (struct corners){{{up == left && up != right && left != down && up != here,
                              up == right && up != left && right != down && up != here},
                             {down == left && down != right && left != up && down != here,
                              down == right && down != left && right != up && down != here}}};
}

/* Distance of the i-th of n sub-pixels from the nearer edge. */
static int from_edge(int i, int n)
{
    return i < n - 1 - i ? i : n - 1 - i;
}

static void draw_dot(const struct font_glyph *g, int x, int y, int scale, const struct glyph_target *to)
{
    const struct corners c = corners_of(g, x, y);
    bool here = dot(g, x, y);
    for (int j = 0; j < scale; j++) {
        EFI_GRAPHICS_OUTPUT_BLT_PIXEL *p = to->at + (size_t)(y * scale + j) * to->stride + x * scale;
        for (int i = 0; i < scale; i++) {
            bool cut = c.cut[j >= scale - j][i >= scale - i] &&
                       from_edge(i, scale) + from_edge(j, scale) < scale / 2;
            p[i] = here != cut ? to->on : to->off;
        }
    }
}

void glyph_draw(const struct font_glyph *g, int scale, const struct glyph_target *to)
{
    for (int y = 0; y < FONT_HEIGHT; y++)
        for (int x = 0; x < g->width; x++)
            draw_dot(g, x, y, scale, to);
}
