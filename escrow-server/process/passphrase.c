/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/passphrase.h"
#include "crypto/host/process.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err passphrase_load(const char *source, struct secret *ret)
{
    char path[PATH_MAX];
    const char *dir = getenv("CREDENTIALS_DIRECTORY"), *name = source + strlen(PASSPHRASE_CREDENTIAL);
    if (source[0] == '\0')
        return ERR_OK;
    if (strncmp(source, PASSPHRASE_CREDENTIAL, strlen(PASSPHRASE_CREDENTIAL)) != 0)
        return secret_from_file(source, ret);
    if (dir == NULL || name[0] == '\0' || strchr(name, '/') != NULL)
        return ERR_NOT_FOUND;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof path ? secret_from_file(path, ret) : ERR_RANGE;
}
