/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/load_tally.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const kinds[] = {
    [LOAD_HEARTBEAT] = "heartbeat", [LOAD_ESCROW] = "escrow", [LOAD_STATIC] = "static", [LOAD_IDLE] = "idle"};
static const char *const handshakes[] = {
    [LOAD_FULL] = "full", [LOAD_RESUMED] = "resumed", [LOAD_KEPT] = "kept"};
static const char *const failures[LOAD_FAILURES] = {"",       "connect", "tls", "closed",
                                                    "status", "receipt", "late"};

enum err load_tally_begin(struct load_tally *t, unsigned requests)
{
    *t = (struct load_tally){.cap = requests, .started = load_now(), .ms = calloc(requests, sizeof(double))};
    return t->ms == NULL ? ERR_NOMEM : ERR_OK;
}

void load_tally_add(struct load_tally *t, enum load_failure f, double ms)
{
    if (f != LOAD_OK) {
        t->failed[f]++;
        return;
    }
    if (t->ok < t->cap)
        t->ms[t->ok] = ms;
    t->ok++;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct load_tally *t, unsigned percent)
{
    return t->ok == 0 ? 0 : t->ms[(size_t)(t->ok - 1) * percent / 100];
}

void load_tally_print(struct load_tally *t, const struct load_plan *p)
{
    double seconds = load_now() - t->started;
    qsort(t->ms, t->ok, sizeof t->ms[0], by_value);
    printf(
        "{\"kind\":\"%s\",\"handshake\":\"%s\",\"connections\":%u,\"requests\":%u,\"ok\":%u,\"resumed\":%u,"
        "\"receipts\":%u,\"seconds\":%.3f,\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"max_ms\":%.3f,\"errors\":{",
        kinds[p->kind], handshakes[p->handshake], p->connections, t->begun, t->ok, t->resumed, t->receipts,
        seconds, t->ok / seconds, percentile(t, 50), percentile(t, 99), percentile(t, 100));
    for (unsigned i = 1; i < LOAD_FAILURES; i++)
        printf("%s\"%s\":%u", i > 1 ? "," : "", failures[i], t->failed[i]);
    printf("}}\n");
    fflush(stdout);
    free(t->ms);
    t->ms = NULL;
}
