#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HII font protocol, which gnu-efi 3.0.15 does not declare. source: UEFI 2.10, 34.1 */

#include <efi.h>

#define HII_FONT_GUID_INIT                                                                                   \
    {                                                                                                        \
        0xe9ca4775, 0x8657, 0x47fc,                                                                          \
        {                                                                                                    \
            0x97, 0xe7, 0x7e, 0xd6, 0x5a, 0x08, 0x43, 0x24                                                   \
        }                                                                                                    \
    }

struct hii_image {
    UINT16 width, height;
    union {
        EFI_GRAPHICS_OUTPUT_BLT_PIXEL *bitmap;
        EFI_GRAPHICS_OUTPUT_PROTOCOL *screen;
    } pixels;
};

struct hii_font {
    void *string_to_image, *string_id_to_image; /* not used */
    EFI_STATUS(EFIAPI *get_glyph)
    (struct hii_font *self, CHAR16 character, void *info, struct hii_image **ret_image, UINTN *ret_baseline);
    void *get_font_info; /* not used */
};
