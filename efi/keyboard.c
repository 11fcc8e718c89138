/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/keyboard.h"
#include <eficonex.h>
#include <stdbool.h>

#define POLL_US 2000

static EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL *extended;
static SIMPLE_INPUT_INTERFACE *simple;

void keyboard_open(void)
{
    static const EFI_GUID ex = EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL_GUID;
    simple = fw.st->ConIn;
    extended = firmware_protocol(fw.st->ConsoleInHandle, &ex);
    keyboard_num_lock();
}

/* Firmware that cannot set the state still delivers keys. */
void keyboard_num_lock(void)
{
    EFI_KEY_TOGGLE_STATE on = EFI_TOGGLE_STATE_VALID | EFI_KEY_STATE_EXPOSED | EFI_NUM_LOCK_ACTIVE;
    if (extended)
        extended->SetState(extended, &on);
}

/* With NumLock off a keypad sends cursor codes, and for 5 a key without code and character, which the NumLock
 * key itself sends, too: whichever it was, the next key of a keypad is a digit. This also finds keyboards
 * plugged in later. */
static void watch_num_lock(const EFI_KEY_DATA *data)
{
    EFI_KEY_TOGGLE_STATE state = data->KeyState.KeyToggleState;
    if (data->Key.UnicodeChar == 0 && (state & EFI_TOGGLE_STATE_VALID) && !(state & EFI_NUM_LOCK_ACTIVE))
        keyboard_num_lock();
}

/* EFI_NOT_READY ends the queue; a bare modifier is a success without scan code and character. */
static EFI_STATUS read_key(EFI_INPUT_KEY *ret)
{
    EFI_KEY_DATA data = {.Key = {0, 0}};
    if (!extended)
        return simple ? simple->ReadKeyStroke(simple, ret) : EFI_NOT_READY;
    EFI_STATUS s = extended->ReadKeyStrokeEx(extended, &data);
    *ret = data.Key;
    if (s == EFI_SUCCESS)
        watch_num_lock(&data);
    return s;
}

enum key keyboard_poll(void)
{
    EFI_INPUT_KEY stroke = {0, 0};
    while (read_key(&stroke) == EFI_SUCCESS) {
        enum key key = keymap_translate(stroke.ScanCode, stroke.UnicodeChar);
        if (key != KEY_NONE)
            return key;
    }
    return KEY_NONE;
}

void keyboard_rest(void)
{
    fw.bs->Stall(POLL_US);
}

enum key keyboard_wait(void)
{
    for (;;) {
        enum key key = keyboard_poll();
        if (key != KEY_NONE)
            return key;
        keyboard_rest();
    }
}

void keyboard_drain(void)
{
    while (keyboard_poll() != KEY_NONE)
        ;
}
