#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The helper that asks an existing token of a volume (systemd-tpm2, clevis, ...) to open it, once, so that a
 * management keyslot can be made. A process of its own, started by the command and never by the keeper: it
 * loads libcryptsetup's plugins and starts clevis, which may use the network (tang); the keeper has neither,
 * and must not load a library because a header names it. The token and its keyslot stay as they are.
 *
 * The same helper reads a key file, which may be larger than any secret that the keeper takes.
 *
 * usage: unlock DEVICE [TOKEN]     TOKEN: its number; without, the tokens that need no person are tried
 *        unlock DEVICE key-file FILE     all its bytes, as cryptsetup takes them
 * standard input: the PIN, perhaps nothing
 * standard output: one of the letters below, then the secret's bytes */

#define UNLOCK_KEY_FILE "key-file"

#define UNLOCK_TOKEN_PASSPHRASE 'P'
#define UNLOCK_TOKEN_VOLUME_KEY 'V'

enum unlock_token_exit {
    UNLOCK_TOKEN_OK = 0,
    UNLOCK_TOKEN_FAILED = 1, /* a sentence is on stderr */
    UNLOCK_TOKEN_USAGE = 2,
    UNLOCK_TOKEN_NO = 3, /* no such token, or it does not open now */
    UNLOCK_TOKEN_PIN = 4 /* it wants a PIN, or another one */
};

struct crypt_device;
struct secret;

/* clevis: run `clevis luks pass` for the token's first keyslot (agent/volume/unlock_clevis.c), in a process
 * group of its own. seconds: then SIGALRM ends this process, clevis and all that it started; an alarm that is
 * set already counts instead err: NOT_FOUND (no clevis on this computer), AUTH (it gives out nothing now),
 * RANGE, IO */
enum err unlock_clevis(const char *device, const char *token_json, unsigned seconds,
                       struct secret *ret_passphrase);
