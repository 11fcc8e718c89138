/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/number_list.h"
#include <stdlib.h>

enum err number_list_read(const char *text, enum err (*take)(void *ctx, uint64_t from, uint64_t to),
                          void *ctx)
{
    for (const char *at = text; *at != '\0';) {
        char *end;
        uint64_t from = strtoull(at, &end, 10), to = from;
        if (end == at)
            return ERR_FORMAT;
        if (*end == '-') {
            at = end + 1;
            to = strtoull(at, &end, 10);
            if (end == at)
                return ERR_FORMAT;
        }
        TRY(take(ctx, from, to));
        if (*end != ',' && *end != '\0')
            return ERR_FORMAT;
        at = end + (*end == ',');
    }
    return text[0] != '\0' ? ERR_OK : ERR_FORMAT;
}
