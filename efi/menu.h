#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of which a person chooses one. Pure. */

#define MENU_MAX  24
#define MENU_LINE 64 /* bytes of UTF-8 with the zero byte */

struct menu {
    unsigned n;
    char line[MENU_MAX][MENU_LINE];
};
