/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/unlock_token.h"
#include "crypto/err.h"
#include "crypto/host/process.h"
#include "crypto/secret.h"
#include <errno.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLEVIS  "clevis"
#define SYSTEMD "systemd-" /* libcryptsetup's plugins by systemd: tpm2, fido2, pkcs11 */
#define TPM2    "systemd-tpm2"

#define ANY_SECONDS    20
#define CLEVIS_SECONDS 20 /* of a token that is named; its server may not answer */

struct job {
    const char *device;
    const char *key_file; /* NULL: a token */
    struct crypt_device *cd;
    struct secret pin;
};

static void quiet(int level, const char *msg, void *usr)
{
    (void)usr;
    if (level == CRYPT_LOG_ERROR)
        (void)fprintf(stderr, "unlock: %s", msg);
}

static int give(char kind, const struct secret *s)
{
    bool good = fwrite(&kind, 1, 1, stdout) == 1 && fwrite(s->bytes, 1, s->len, stdout) == s->len;
    return fflush(stdout) == 0 && good ? UNLOCK_TOKEN_OK : UNLOCK_TOKEN_FAILED;
}

/* By libcryptsetup's plugin, which hands its passphrase to the library only; the volume key is what comes
 * out. */
static int by_plugin(struct job *j, int token)
{
    struct crypt_keyslot_context *kc = NULL;
    SECRET(key);
    size_t len = sizeof key.bytes;
    int r = crypt_keyslot_context_init_by_token(
        j->cd, token, NULL, j->pin.len ? (const char *)j->pin.bytes : NULL, j->pin.len, NULL, &kc);
    if (r >= 0)
        r = crypt_volume_key_get_by_keyslot_context(j->cd, CRYPT_ANY_SLOT, (char *)key.bytes, &len, kc);
    crypt_keyslot_context_free(kc);
    if (r < 0) /* a plugin's EPERM arrives as ENOENT */
        return r == -ENOANO || ((r == -EPERM || r == -ENOENT) && j->pin.len) ? UNLOCK_TOKEN_PIN
                                                                             : UNLOCK_TOKEN_NO;
    key.len = len;
    return give(UNLOCK_TOKEN_VOLUME_KEY, &key);
}

static int by_clevis(struct job *j, int token)
{
    SECRET(passphrase);
    const char *json;
    if (crypt_token_json_get(j->cd, token, &json) < 0)
        return UNLOCK_TOKEN_NO;
    enum err e = unlock_clevis(j->device, json, CLEVIS_SECONDS, &passphrase);
    if (e == ERR_OK)
        return give(UNLOCK_TOKEN_PASSPHRASE, &passphrase);
    if (e == ERR_NOT_FOUND)
        (void)fputs("unlock: a clevis token is there, and no clevis on this computer\n", stderr);
    return UNLOCK_TOKEN_NO;
}

static const char *type_of(struct job *j, int token)
{
    const char *type = NULL;
    return crypt_token_status(j->cd, token, &type) >= CRYPT_TOKEN_INTERNAL && type ? type : "";
}

static int by_token(struct job *j, int token)
{
    const char *type = type_of(j, token);
    if (strcmp(type, CLEVIS) == 0)
        return by_clevis(j, token);
    if (strncmp(type, SYSTEMD, strlen(SYSTEMD)) == 0)
        return by_plugin(j, token);
    (void)fprintf(stderr, "unlock: token %d is %s%s; a token of clevis or systemd can open the volume\n",
                  token, type[0] ? "of type " : "not there", type);
    return UNLOCK_TOKEN_NO;
}

/* Those that need nobody: a TPM that wants a PIN, or a stick that wants a touch, is asked when it is named.
 */
static int by_any(struct job *j)
{
    alarm(ANY_SECONDS); /* a clevis whose server does not answer must not keep a person waiting */
    for (int t = 0; t < crypt_token_max(CRYPT_LUKS2); t++) {
        const char *type = type_of(j, t);
        int r = strcmp(type, TPM2) == 0     ? by_plugin(j, t)
                : strcmp(type, CLEVIS) == 0 ? by_clevis(j, t)
                                            : UNLOCK_TOKEN_NO;
        if (r == UNLOCK_TOKEN_OK || r == UNLOCK_TOKEN_FAILED)
            return r;
    }
    return UNLOCK_TOKEN_NO;
}

static enum err read_pin(struct secret *ret)
{
    enum err e = isatty(STDIN_FILENO) ? ERR_FORMAT : secret_from_file("-", ret);
    return e == ERR_FORMAT ? ERR_OK : e; /* none */
}

/* Raw, up to libcryptsetup's limit (8 MiB): a line break at its end is a byte of it. */
static int by_key_file(struct job *j)
{
    struct crypt_keyslot_context *kc = NULL;
    SECRET(key);
    size_t len = sizeof key.bytes;
    int r = crypt_keyslot_context_init_by_keyfile(j->cd, j->key_file, 0, 0, &kc);
    if (r >= 0)
        r = crypt_volume_key_get_by_keyslot_context(j->cd, CRYPT_ANY_SLOT, (char *)key.bytes, &len, kc);
    crypt_keyslot_context_free(kc);
    if (r < 0)
        return r == -EPERM || r == -ENOENT ? UNLOCK_TOKEN_NO : UNLOCK_TOKEN_FAILED;
    key.len = len;
    return give(UNLOCK_TOKEN_VOLUME_KEY, &key);
}

static int run(struct job *j, int token)
{
    crypt_set_log_callback(NULL, quiet, NULL);
    int r = crypt_init(&j->cd, j->device);
    if (r >= 0)
        r = crypt_load(j->cd, CRYPT_LUKS2, NULL);
    if (r < 0) {
        (void)fprintf(stderr, "unlock: %s cannot be read as a LUKS2 volume\n", j->device);
        return UNLOCK_TOKEN_FAILED;
    }
    if (j->key_file)
        return by_key_file(j);
    return token < 0 ? by_any(j) : by_token(j, token);
}

int main(int argc, char **argv)
{
    struct job j = {.device = argc > 1 ? argv[1] : ""};
    char *end = NULL;
    if (argc == 4 && strcmp(argv[2], UNLOCK_KEY_FILE) == 0) {
        j.key_file = argv[3];
        argc = 2;
    }
    long token = argc > 2 ? strtol(argv[2], &end, 10) : -1;
    if (argc < 2 || argc > 3 || (argc == 3 && (end == argv[2] || *end || token < 0 || token > 31))) {
        (void)fputs("usage: unlock DEVICE [TOKEN]\n       unlock DEVICE key-file FILE\n", stderr);
        return UNLOCK_TOKEN_USAGE;
    }
    if (process_harden(false) != ERR_OK ||
        read_pin(&j.pin) != ERR_OK) /* Argon2 needs more than may be locked */
        return UNLOCK_TOKEN_FAILED;
    int code = run(&j, (int)token);
    secret_wipe(&j.pin);
    crypt_free(j.cd);
    return code;
}
