#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A LUKS2 volume in memory behind disk_ops: the bytes are a real header with real key material, which our own
 * reader opens. It fails where it is told to, loses power before, in the middle of and after a write, fills
 * up, and lets another writer in. The memory is shared with child processes, so that a process can end in the
 * middle of a change and another one find what it left. */

#include "agent/volume/disk.h"
#include "tests/unit/luks2_image.h"

#define FAKE_DISK            "/fake/disk"
#define FAKE_DISK_PASSPHRASE "somebody's own passphrase" /* keyslot 0, with a token of somebody's */

enum fake_disk_fault {
    FAULT_NONE = 0,
    FAULT_ERROR = 1,      /* not done, and the error says so */
    FAULT_LATE_ERROR = 2, /* done, but the answer is an error */
    FAULT_CUT = 3,        /* power goes before it is done ... */
    FAULT_CUT_MIDDLE = 4, /* ... when half of its bytes are written ... */
    FAULT_CUT_AFTER = 5   /* ... or when it is done */
};

struct fake_disk {
    struct image image;
    /* so far: operations but reads of bytes, those that write, reads of bytes */
    unsigned operations, writes, reads;
    enum fake_disk_fault fault;
    enum err error;       /* of FAULT_ERROR and FAULT_LATE_ERROR */
    unsigned at, at_read; /* which it hits, counted from 1, 0 none: at: an operation; the write, of cuts and
                             late errors */
    bool stays;           /* and every later write as well */
    const char *hit;      /* the name of the operation that it hit, of one that at counts */
    bool is_dead;         /* power is gone: every operation fails, nothing changes */
    void (*on_cut)(void); /* what then becomes of the process; NULL: it goes on with a dead disk */
    bool is_full;         /* no keyslot or token can be added */
    bool is_locked;       /* somebody has the lock and does not let go */
    void (*rival)(void);  /* another writer, who comes between our reading and our writing ... */
    unsigned rival_at;    /* ... before this write, counted from 1, */
    unsigned rival_times; /* and before so many of them */
    unsigned opened, refused;
};
extern struct fake_disk *fake_disk;

/* A volume with its volume key, keyslot 0 and a token of type "clevis" that names it; no fault. */
void fake_disk_make(void);
void fake_disk_free(void);
/* Switched on again: no fault, no rival, counters at zero; the bytes stay as they are. */
void fake_disk_restart(void);
/* Keep the bytes, and put them back: an old header that somebody wrote over the new one. ret: IMAGE_SIZE */
void fake_disk_save(uint8_t *ret);
void fake_disk_restore(const uint8_t *bytes);

/* With our reader and none of the operations: the header as it stands. */
struct luks2 *fake_disk_look(void);
/* The keyslot that this passphrase opens, -1 none. cost: all keyslots */
int fake_disk_opens(const void *passphrase, size_t len);
/* Does it open this keyslot? */
bool fake_disk_opens_slot(unsigned slot, const void *passphrase, size_t len);
/* Hash over all that is not Keyholt's: keyslots with their key material, tokens, segments, the digest's
 * values. */
void fake_disk_others(uint8_t ret[static 32]);

/* What another program does, at once and without asking anybody. */
void fake_rival_add_slot(unsigned slot, const char *passphrase);
void fake_rival_destroy_slot(unsigned slot);
void fake_rival_put_token(const char *json);
void fake_rival_remove_token(int token);
/* Whatever, to the header's text. */
struct json_object;
void fake_rival_edit(void (*change)(struct json_object *header));
/* Zeros over both copies of the header. */
void fake_rival_destroy_header(void);
/* A bit of a keyslot's key material. */
void fake_rival_flip(unsigned slot);
