#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command's side of an existing way in that is no passphrase: a token of the volume
 * (agent/volume/unlock_token.h). */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <stdbool.h>
#include <stdint.h>

#define COMMAND_ANY_TOKEN (-1)

/* A token's number as text. */
bool command_token_number(const char *text, int *ret);
/* Let a key file open the volume: all its bytes, whatever they are, as cryptsetup takes them.
 * ret_flags: likewise below. err: AUTH (it does not open it), IO; said on stderr */
MUST_CHECK enum err command_key_file(const char *device, const char *file, struct secret *ret,
                                     uint32_t *ret_flags);
/* Let a token open the volume. One that wants a PIN gets it from pin_file, else it is asked for at the
 * terminal. token:     its number; COMMAND_ANY_TOKEN tries those that need nobody ret_flags: enum
 * msg_protect_flags that say what the secret is err: NOT_FOUND (none opens it now; quiet where none was
 * named), AUTH (the PIN), IO; else said on stderr */
MUST_CHECK enum err command_token(const char *device, int token, const char *pin_file, struct secret *ret,
                                  uint32_t *ret_flags);
