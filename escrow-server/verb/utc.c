/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/utc.h"
#include <stdio.h>
#include <time.h>

const char *utc_text(uint64_t seconds, char ret[static UTC_TEXT])
{
    struct tm tm;
    if (seconds == 0)
        snprintf(ret, UTC_TEXT, "-");
    else if (gmtime_r(&(time_t){(time_t)seconds}, &tm) == NULL || strftime(ret, UTC_TEXT, UTC_FORM, &tm) == 0)
        snprintf(ret, UTC_TEXT, "?");
    return ret;
}
