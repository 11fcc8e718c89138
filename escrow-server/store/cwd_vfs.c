/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/cwd_vfs.h"
#include <sqlite3.h>
#include <string.h>

#define VFS_NAME "keyholt-cwd"

static sqlite3_vfs vfs;

static int keep_name(sqlite3_vfs *v, const char *name, int cap, char *ret)
{
    (void)v;
    size_t len = strlen(name);
    if (len >= (size_t)cap)
        return SQLITE_CANTOPEN;
    memcpy(ret, name, len + 1);
    return SQLITE_OK;
}

const char *cwd_vfs(void)
{
    if (vfs.zName != NULL)
        return VFS_NAME;
    const sqlite3_vfs *own = sqlite3_vfs_find(NULL);
    if (own == NULL)
        return NULL;
    vfs = *own;
    vfs.zName = VFS_NAME;
    vfs.pNext = NULL;
    vfs.xFullPathname = keep_name;
    if (sqlite3_vfs_register(&vfs, 0) == SQLITE_OK)
        return VFS_NAME;
    vfs.zName = NULL;
    return NULL;
}
