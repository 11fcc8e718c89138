#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying: each file is read once, written, and, some files at a time, read back from the stick and compared
 * by its SHA-256 before it counts as copied. Nothing that was there is written over. What ends a run leaves
 * what was copied as it is; the next run, with this or another stick, goes on behind it. Pure: tested hosted.
 */

#include "efi/copy_batch.h"
#include "efi/copy_plan.h"

#define COPY_BUFFER (256u << 10) /* bytes of a block; Escape is heard between two */
#define COPY_NOTES  (16u << 10)  /* bytes of text about what was not copied or got another name */

enum copy_end {
    COPY_DONE = 1,
    COPY_STOPPED, /* by a person */
    COPY_STICK_FULL,
    COPY_STICK_GONE,   /* pulled out, or it does not answer any more */
    COPY_STICK_LOCKED, /* write-protected */
    COPY_SOURCE_GONE,  /* the disk with the files does not answer any more */
    COPY_STICK_FAULT   /* it takes no folder of ours, though it is there */
};

/* What stands, over all runs. */
struct copy_tally {
    uint64_t items;        /* files and folders that are dealt with: the next run begins behind them */
    uint64_t files, bytes; /* copied and compared */
    uint64_t renamed;      /* under another name, as FAT wants */
    uint64_t failed;       /* files and folders that could not be copied; the notes say which */
    size_t notes_len;
    bool notes_cut; /* there was more to note */
};

/* For the screen, after every block. */
struct copy_progress {
    const char *doing; /* "Copying" or "Checking" */
    uint64_t done;     /* bytes written and bytes read back; of twice the plan's bytes */
    const struct walk *walk;
};

struct copy {
    /* set by the caller, kept over all runs; everything is borrowed */
    const struct tree *from, *to;
    const struct copy_choice *choice;
    const struct copy_room *room;
    const uint16_t *base; /* name of the new folder on the stick */
    bool (*go_on)(void *ctx, const struct copy_progress *p);
    void *ctx;
    struct walk *walk;
    struct copy_batch *batch;
    uint8_t *buffer;             /* COPY_BUFFER bytes */
    char *notes;                 /* COPY_NOTES bytes, text */
    struct copy_tally sure, now; /* now: with what is not compared yet */
    /* of one run */
    struct tree_node *folder[WALK_DEPTH]; /* on the stick; NULL: not open */
    bool made[WALK_DEPTH];                /* it is there; false until something is put in it */
    uint16_t path[WALK_PATH];             /* on the stick, of the last folder that was made */
    size_t path_len[WALK_DEPTH];          /* units of the path of folder[i] */
    bool stop;                            /* go_on said so */
    uint64_t seen;                        /* files and folders that the walk came to */
    uint64_t done;                        /* bytes, for the progress */
    enum copy_end end;
};

/* A name that is not there yet, safe for FAT. folder: NULL for the root; renamed: it is not the old one
 * err: what the stick says; CONFLICT (too many with one name) */
MUST_CHECK enum err copy_free_name(const struct tree *t, struct tree_node *folder, const uint16_t *name,
                                   uint16_t ret[static TREE_NAME], bool *ret_renamed);

/* Copy what is chosen into a new folder; what c->sure says is dealt with is left out. c: all that is not the
 * caller's zero at the first run.
 * ret: how it ended; c->sure says what stands. Notes that are not empty are written beside the folder, as
 * base + ".txt", where the stick lets us */
enum copy_end copy_run(struct copy *c);
