#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files and folders as they are walked and copied: one table of functions, behind it the firmware's file
 * systems (tree_efi.h) or, in tests, a fake one. Names are UTF-16, as firmware has them. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_NAME  256 /* units of one name with the zero; FAT and NTFS allow 255 */
#define TREE_TIMES 48  /* bytes: created, read, written, as the firmware has them */

/* Units of a name or path, without the zero. */
static inline size_t tree_len(const uint16_t *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

/* "." and "..", which FAT lists, too. */
static inline bool tree_is_dots(const uint16_t *name)
{
    return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

struct tree_entry {
    uint16_t name[TREE_NAME];
    uint64_t size; /* bytes, of a file */
    bool folder;
    uint8_t times[TREE_TIMES];
};

enum tree_mode { TREE_READ = 1, TREE_NEW_FILE, TREE_NEW_FOLDER, TREE_CHANGE };

/* An open file or folder; whatever the functions behind it need. */
struct tree_node;

struct tree_ops {
    /* folder: NULL for the root. name: of one entry, or a path of several with backslashes, "" the folder
     * itself err: NOT_FOUND, DENIED (write-protected), FULL, IO, NOMEM */
    enum err (*open)(void *ctx, struct tree_node *folder, const uint16_t *name, enum tree_mode mode,
                     struct tree_node **ret);
    /* The next entry of a folder, in an order that stays the same while nothing is written.
     * err: NOT_FOUND (it was the last), IO */
    enum err (*next)(struct tree_node *folder, struct tree_entry *ret);
    /* At most len bytes from where the last reading ended; 0 at the end. err: IO */
    enum err (*read)(struct tree_node *file, void *buf, size_t len, size_t *ret_len);
    /* All of it. err: FULL, DENIED, IO */
    enum err (*write)(struct tree_node *file, const void *buf, size_t len);
    enum err (*flush)(struct tree_node *file);
    /* Give a file the times of an entry, where the file system keeps them. */
    void (*stamp)(struct tree_node *file, const struct tree_entry *like);
    /* Delete and close. */
    void (*remove)(struct tree_node *file);
    void (*close)(struct tree_node *node);
    /* Have the next readings come from the medium; nothing may be open. Where that is not possible nothing
     * happens. */
    void (*refresh)(void *ctx);
    /* Is the medium still there? */
    bool (*present)(void *ctx);
};

struct tree {
    const struct tree_ops *ops;
    void *ctx; /* borrowed */
};
