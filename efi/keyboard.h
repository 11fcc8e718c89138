#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key strokes from every keyboard and serial console at once (simple text input, extended where it exists).
 */

#include "efi/firmware.h"
#include "efi/keymap.h"

/* Find the console's input and switch NumLock on: with it off a keypad sends cursor codes, and nothing for 5.
 */
void keyboard_open(void);
/* Switch NumLock on again: keyboards that were connected since then have it off. */
void keyboard_num_lock(void);
/* The next key that is waiting, KEY_NONE when none is. */
enum key keyboard_poll(void);
/* Wait for a key. There is no time-out, ever. */
enum key keyboard_wait(void);
/* A moment between two questions for a key. */
void keyboard_rest(void);
/* Throw away what is waiting. */
void keyboard_drain(void);
