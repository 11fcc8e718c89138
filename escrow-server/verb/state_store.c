/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "escrow-server/state.h"
#include "escrow-server/store/store_db.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool state_is_sqlite(const struct conf *conf, enum store_half half)
{
    return conf->store[half][0] == '\0';
}

enum err state_sqlite_path(const char *root, enum store_half half, char ret[static PATH_MAX])
{
    char place[PATH_MAX];
    int n = snprintf(place, sizeof place, PLACE_WRITER "/%s", store_sqlite_file[half]);
    return n > 0 && (size_t)n < sizeof place ? file_join(root, place, ret, PATH_MAX) : ERR_RANGE;
}

/* A file that is missing must not be made here, by another user than the writer, and none changed that a
 * server of before the last upgrade still writes to. */
static enum err open_in(const char *dir, const struct conf *conf, struct store **ret)
{
    char path[PATH_MAX];
    struct store_place place = {
        .dir = dir, .url = {conf->store[0], conf->store[1]}, .patient = true, .as_is = true};
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        TRY(file_join(dir, store_sqlite_file[half], path, sizeof path));
        if (state_is_sqlite(conf, half) && access(path, R_OK | W_OK) != 0)
            return err_from_errno(errno);
    }
    return store_sql.open(&place, ret);
}

enum err state_store(const char *root, const struct conf *conf, struct store **ret)
{
    char dir[PATH_MAX];
    TRY(file_join(root, PLACE_WRITER, dir, sizeof dir));
    return open_in(dir, conf, ret);
}

enum err state_store_as_writer(const char *root, const struct conf *conf, struct store **ret)
{
    char dir[PATH_MAX];
    uid_t uid = conf->uid[PROCESS_WRITER];
    if (geteuid() != 0)
        return state_store(root, conf, ret);
    TRY(file_join(root, PLACE_WRITER, dir, sizeof dir));
    if (chdir(dir) != 0) /* that user may not be let into the folders above it */
        return err_from_errno(errno);
    TRY(process_drop(uid, uid));
    return open_in(".", conf, ret);
}

const char *state_store_text(enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return "the stores are not there yet; the server makes them when it starts for the first time";
    case ERR_VERSION:
        return "a store is of another version of keyholt-server; start the server, which brings an older one "
               "up to date";
    default:
        return err_text(e);
    }
}
