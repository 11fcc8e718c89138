#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every verb of the keeper works on: the machine's places, the cache, the device key, the
 * organisation. */

#include "agent/cache.h"
#include "agent/conf.h"
#include "agent/device_key.h"
#include "agent/problem.h"
#include "formats/org.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct agent {
    const char *root;       /* --root, "" for the machine itself; borrowed */
    char esp[PATH_MAX];     /* mount point of the EFI system partition */
    char efivars[PATH_MAX]; /* mount point of efivarfs */
    char computer[RECORD_TEXT_MAX + 1];
    struct cache *cache;
    struct device_key key;
    struct org *org;  /* NULL while there is none */
    struct conf conf; /* agent.conf, read again for each errand to a server */
    struct {          /* the page of hashes that the batch under way carries (sync_set.c) */
        unsigned n;
        uint8_t last[32];
    } set_page;
    int64_t clock_said_ms; /* when a wrong clock was last recorded; 0: not since the start (sync_clock.c) */
    /* where sentences about progress go; may be NULL */
    void (*progress)(void *ctx, const char *sentence);
    void *progress_ctx;
};

/* Open everything below root: cache, device key (made when there is none), organisation if there is one.
 * esp, efivars: NULL for the defaults below root. why: filled on failure */
MUST_CHECK enum err agent_open(struct agent *a, const char *root, const char *esp, const char *efivars,
                               struct problem *why);
void agent_close(struct agent *a);

/* Tell the person who waits; the journal when nobody does. */
void agent_say(struct agent *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
