#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite writes its log frame by frame, and of each frame first 24 bytes and then the page: some twenty
 * system calls for one record, which took a third of the writer's time for it. Here frames that follow one
 * another are gathered in memory and reach the file in large pieces: at the latest before it is synced, and
 * before its size or any of them is asked for. So they are all there when a commit says so, provided that
 * every commit syncs (synchronous=FULL). */

#include <sqlite3.h>

/* The xOpen of a sqlite3_vfs that is a copy of SQLite's own with another name, and this much larger in
 * szOsFile. What is no log is opened by SQLite's own. */
int wal_gather_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags);
int wal_gather_size(void);
