#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every verb of the keeper works on: the machine's places, the cache, the device key, the
 * organisation. */

#include "agent/problem.h"
#include "agent/state/cache.h"
#include "agent/state/conf.h"
#include "agent/tpm/device_key.h"
#include "formats/names.h"
#include "formats/org.h"
#include "formats/policy.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define AGENT_DEVICE_KEY KH_AGENT_STATE "/device.key"

/* Where things are; borrowed. */
struct agent_places {
    const char *root; /* --root, "" for the machine itself */
    const char *esp;  /* mount points; NULL for the defaults below root */
    const char *efivars;
    const char *tpm; /* TCTI of tpm2-tss by name, or "none"; NULL for the kernel's device below root */
};

struct agent {
    const char *root;       /* --root, "" for the machine itself; borrowed */
    char esp[PATH_MAX];     /* mount point of the EFI system partition */
    char efivars[PATH_MAX]; /* mount point of efivarfs */
    char computer[RECORD_TEXT_MAX + 1];
    struct cache *cache;
    struct tpm *tpm; /* never NULL: "none" is one that is not there */
    struct device_key key;
    struct org *org;      /* NULL while there is none */
    struct policy policy; /* the defaults while there is none */
    bool wanted;          /* a rotation is wanted, or a key may go: chores_run() looks */
    struct conf conf;     /* agent.conf, read again for each errand to a server */
    struct {              /* the pages of hashes that the batch under way carries (sync_set.c) */
        unsigned n;
        uint8_t last[32];
    } set_page[2];         /* enum sync_set */
    bool introduce;        /* a server said no: the next batch tells it the device's public key */
    int64_t clock_said_ms; /* when a wrong clock was last recorded; 0: not since the start (sync_clock.c) */
    /* where sentences about progress go; may be NULL */
    void (*progress)(void *ctx, const char *sentence, bool step);
    void *progress_ctx;
};

/* Open everything but the device key (identity_open() does): cache, organisation if there is one.
 * why: filled on failure */
MUST_CHECK enum err agent_open(struct agent *a, const struct agent_places *places, struct problem *why);
void agent_close(struct agent *a);

/* Tell the person who waits; the journal when nobody does. */
void agent_say(struct agent *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What takes a while now, to a person who waits before a terminal; to nobody else. */
void agent_step(struct agent *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
