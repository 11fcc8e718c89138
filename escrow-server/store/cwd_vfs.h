#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A SQLite file system that leaves names as they are. SQLite makes every name absolute; the writer, whose
 * working directory is its own folder, may have lost the right to walk there from "/" with its privileges. */

/* Name of the file system, registered on first use; NULL (SQLite's own) when that fails. */
const char *cwd_vfs(void);
