#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of copy.h share and nobody else needs. */

#include "efi/copy.h"

/* Copy the current entry of the walk, a file. Sets c->end when the run is over; then what was written of it
 * is gone again, unless the stick is. */
void copy_file(struct copy *c, const struct walk *w);

/* Make the stick's folders down to this depth, and open them. err: what the stick says; RANGE (path too long)
 */
MUST_CHECK enum err copy_folders(struct copy *c, const struct walk *w, unsigned depth);
/* Close them; those that were made will be opened again. */
void copy_folders_close(struct copy *c);
/* The walk leaves the folder at this depth. */
void copy_folders_leave(struct copy *c, unsigned depth);
/* "reason: path" in a line of its own; also counts it. */
void copy_note_failed(struct copy *c, const char *reason, const uint16_t *path);
void copy_note_renamed(struct copy *c, const uint16_t *path, const uint16_t *now);
/* Leave the notes on the stick. */
void copy_notes_write(const struct copy *c);

/* Read back what was written; then it counts. Sets c->end when the stick is gone: then it does not. */
void copy_check(struct copy *c);

/* Does the stick refuse everything, or only this one name? */
bool copy_is_end(enum err e);
/* It refuses everything: end the run. */
void copy_end_by_stick(struct copy *c, enum err e);
/* So many bytes more; false when a person wants to stop. */
bool copy_step(struct copy *c, const char *doing, size_t n);
