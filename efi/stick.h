#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stick with a key on it: a desk's answer, KEYHOLT/<key-id>.txt, or a BitLocker startup key, <…>.BEK. */

#include "efi/files.h"
#include "efi/volumes.h"

#define STICK_FILE_MAX BITLOCKER_BEK_MAX

struct stick_key {
    EFI_HANDLE device;
    char path[FILES_PATH];
    bool startup_key; /* a .BEK file; else digits */
    unsigned volume;  /* number of the locked volume it is for */
    struct guid key_id;
};

/* Begin to hear of file systems that appear. */
void stick_open(void);
/* Did one appear since the last question, or since stick_open()? The first answer is yes. cost: nothing */
bool stick_news(void);
/* Look on every file system that is not on the disk we came from for a key of a locked volume.
 * err: NOT_FOUND. cost: two folders of each file system, and each .BEK file in them */
MUST_CHECK enum err stick_find(const struct volumes *v, struct stick_key *ret);
/* Read the file. ret: pool memory; wipe it before freeing. err: as files_read() */
MUST_CHECK enum err stick_read(const struct stick_key *k, char **ret, size_t *ret_len);
