/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/header_lib.h"
#include <errno.h>
#include <libcryptsetup.h>
#include <string.h>

/* The keeper is one thread, and libcryptsetup's log call-back has no way to say for which context. */
static char last_message[160];

/* libcryptsetup prints to stderr unless told otherwise; what it says belongs into our sentence. */
static void keep_message(int level, const char *msg, void *usr)
{
    (void)usr;
    if (level != CRYPT_LOG_ERROR && level != CRYPT_LOG_NORMAL)
        return;
    size_t len = strcspn(msg, "\n");
    if (len >= sizeof last_message)
        len = sizeof last_message - 1;
    memcpy(last_message, msg, len);
    last_message[len] = 0;
}

const char *lib_last_message(void)
{
    return last_message;
}

enum err err_from_crypt(int r)
{
    switch (-r) {
    case EPERM:
        return ERR_AUTH;
    case ENOENT:
    case ENODEV:
        return ERR_NOT_FOUND;
    case EACCES:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
        return ERR_FULL;
    case ENOMEM:
        return ERR_NOMEM;
    case EBUSY:
        return ERR_BUSY;
    case ENOTSUP:
        return ERR_UNSUPPORTED;
    case EINVAL:
        return ERR_FORMAT;
    default:
        return ERR_IO;
    }
}

enum err lib_open(struct header *h)
{
    crypt_free(h->cd);
    h->cd = NULL;
    last_message[0] = 0;
    crypt_set_log_callback(NULL, keep_message, NULL);
    /* a token type must never make root's process load a library of that name */
    crypt_token_external_disable();
    int r = crypt_init(&h->cd, h->device);
    if (r >= 0) {
        crypt_set_log_callback(h->cd, keep_message, NULL);
        r = crypt_load(h->cd, CRYPT_LUKS2, NULL);
    }
    if (r >= 0)
        return ERR_OK;
    return problem_set(h->why, err_from_crypt(r),
                       "volume %s: its LUKS2 header cannot be loaded (%s); nothing was changed", h->device,
                       last_message[0] ? last_message : strerror(-r));
}
