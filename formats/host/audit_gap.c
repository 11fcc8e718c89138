/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_gap.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void audit_gap_encode(const struct audit_gap_note *g, char ret[static AUDIT_TEXT + 1])
{
    char alarm[40] = "";
    if (g->word != AUDIT_GAP_ALARM)
        snprintf(alarm, sizeof alarm, "alarm=%" PRIu64 " ", g->n);
    if (g->word == AUDIT_GAP_STOP)
        snprintf(ret, AUDIT_TEXT + 1, "%srotate=none", alarm);
    else if (g->word == AUDIT_GAP_ROTATE)
        snprintf(ret, AUDIT_TEXT + 1, "%srotate=%" PRIu64 "-%" PRIu64, alarm, g->rotate_from,
                 g->rotate_until);
    else
        snprintf(ret, AUDIT_TEXT + 1,
                 "%slost=%" PRIu64 " have=%" PRIu64 " from=%" PRIu64 " to=%" PRIu64 " until=%" PRIu64, alarm,
                 g->gap.lost, g->gap.have, g->gap.from, g->gap.to, g->gap.until);
}

/* Where no "until" is named, nothing after the alarm itself was lost. */
static enum err decode_gap(const char *text, uint64_t alarm_time, struct audit_gap *ret)
{
    struct audit_gap g = {.until = alarm_time};
    if (sscanf(text, "lost=%" SCNu64 " have=%" SCNu64 " from=%" SCNu64 " to=%" SCNu64 " until=%" SCNu64,
               &g.lost, &g.have, &g.from, &g.to, &g.until) < 4)
        return ERR_FORMAT;
    *ret = g;
    return ERR_OK;
}

static enum err decode_rotation(const char *text, struct audit_gap_note *ret)
{
    if (strncmp(text, "rotate=none", 11) == 0) {
        ret->word = AUDIT_GAP_STOP;
        return ERR_OK;
    }
    ret->word = AUDIT_GAP_ROTATE;
    int n = sscanf(text, "rotate=%" SCNu64 "-%" SCNu64, &ret->rotate_from, &ret->rotate_until);
    return n == 2 ? ERR_OK : ERR_FORMAT;
}

/* err: FORMAT. ret_rest: what stands behind the alarm's number */
static enum err decode_alarm_number(const char *note, uint64_t *ret_n, const char **ret_rest)
{
    int off = 0;
    if (sscanf(note, "alarm=%" SCNu64 " %n", ret_n, &off) != 1 || off == 0)
        return ERR_FORMAT;
    *ret_rest = note + off;
    return ERR_OK;
}

enum err audit_gap_decode(const struct audit_entry *e, struct audit_gap_note *ret)
{
    struct audit_gap_note g = {.word = AUDIT_GAP_ALARM, .n = e->n};
    const char *rest = e->note;
    bool acknowledged = strcmp(e->action, AUDIT_ACKNOWLEDGE) == 0;
    bool rotation = strcmp(e->action, AUDIT_ROTATION) == 0;
    bool alarm = strcmp(e->action, AUDIT_ALARM) == 0 && strncmp(rest, "lost=", 5) == 0;
    if (!acknowledged && !rotation && !alarm)
        return ERR_NOT_FOUND;
    if (!alarm)
        TRY(decode_alarm_number(e->note, &g.n, &rest));
    if (acknowledged)
        g.word = AUDIT_GAP_ACKNOWLEDGED;
    TRY(rotation ? decode_rotation(rest, &g) : decode_gap(rest, e->time, &g.gap));
    *ret = g;
    return ERR_OK;
}

bool audit_gap_covers(const struct audit_gap *all, const struct audit_gap *g)
{
    return g->have == all->have && g->from == all->from && g->lost <= all->lost;
}
