#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside agent/header*.c only: the edge to libcryptsetup and the I/O of our own reader. */

#include "agent/header.h"

/* A fresh libcryptsetup context for h->device, loaded. A second copy of the header that is damaged is
 * repaired by that (libcryptsetup does it without asking). */
MUST_CHECK enum err lib_open(struct header *h);
/* The one place where libcryptsetup's results become ours; r is negative. */
enum err err_from_crypt(int r);
/* What libcryptsetup said last, without its line break; empty when it said nothing. */
const char *lib_last_message(void);

struct volume_io header_io(struct header *h);

/* A change of the header: what it relies on, and what it makes. */
struct change {
    int token;
    const struct guid *key_id, *keep;
    const char *json;
    unsigned slot;
    uint32_t count;
    const struct secret *volume_key, *password;
    int ret_token;
};

/* One attempt, on a header that was just read: the guard, then the call. ret_result: libcryptsetup's;
 * negative ones are failures, which are tried again while somebody else changes the header */
typedef enum err header_attempt(struct header *h, struct change *c, int *ret_result);
/* what: half a sentence for the failure ("writing the token") */
MUST_CHECK enum err header_run(struct header *h, const char *what, header_attempt *once, struct change *c);
enum err header_someone_else(struct header *h, const char *what);

/* A token that is not ours and names this keyslot and no other: somebody else relies on it; -1 none.
 * own: number of the token of ours that names it, where it is not a recovery token; else -1 */
int header_foreign_claim(struct header *h, int slot, int own);
enum err header_claimed(struct header *h, int slot, int token);

/* libcryptsetup waits for the header's lock without end; a program that hangs with it must not hang the
 * keeper. err: BUSY (it is held too long; the sentence names who holds it) */
MUST_CHECK enum err header_wait_lock(struct header *h);
/* Who holds it, within a second: name and process, "another program" where nobody was seen. */
void header_writer(const struct header *h, char *ret, size_t cap);
