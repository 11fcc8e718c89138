#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a key stroke means on the recovery screen. Pure: no firmware types, tested hosted. */

#include <stdint.h>

/* One key as the screen understands it. Digits come first so that KEY_0 + n is the digit n. */
enum key {
    KEY_0 = 1,
    KEY_9 = KEY_0 + 9,
    KEY_BACKSPACE,
    KEY_DELETE,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_HOME,
    KEY_END,
    KEY_ENTER,
    KEY_TAB,
    KEY_ESC,
    KEY_BOOT,   /* B or F11: start the computer without opening */
    KEY_OFF,    /* P or F12: power off */
    KEY_RESCAN, /* R: look for disks again */
    KEY_NO,
    KEY_LIST,     /* L: what else can be started */
    KEY_CONTRAST, /* C: colours of high contrast, or back */
    KEY_SETUP,    /* F: the firmware's settings */
    KEY_SHOW,     /* S: show the digits on text consoles, or hide them again */
    KEY_TONES,    /* T: tones off, or on again */
    KEY_RESTART,  /* X: restart from a clean start */
    KEY_COPY,     /* U: copy files to a USB stick */
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_SEPARATOR, /* dash or space between groups: allowed, means nothing */
    KEY_OTHER,     /* a key without a meaning here */
    KEY_NONE       /* no key: a bare modifier */
};

/* Scan code and UTF-16 character of UEFI's simple text input. F1 to F10 are 1 to 9 and 0, as BitLocker has
 * it; the shifted symbols of a US digit row are their digits, because firmware knows no other layout and some
 * keyboards need Shift for digits.
 * source: UEFI 2.10 section 12.1.2; field notes: cursor keys of a keypad without NumLock send cursor codes */
enum key keymap_translate(uint16_t scan, uint16_t character);
