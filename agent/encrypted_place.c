/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/encrypted_place.h"
#include "crypto/host/file.h"
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEPTH   8 /* LVM over LUKS over MD over partitions has four */
#define DM_UUID 160

/* What device-mapper's UUID of an encrypted mapping begins with; verity and integrity have others.
 * source: cryptsetup lib/libdevmapper.c, dm_prepare_uuid() */
static const char *const crypt_uuid[] = {"CRYPT-LUKS1-", "CRYPT-LUKS2-", "CRYPT-BITLK-", "CRYPT-PLAIN-",
                                         "CRYPT-TCRYPT-"};

static bool is_crypt(const char *dir)
{
    char path[PATH_MAX], uuid[DM_UUID] = "";
    int n = snprintf(path, sizeof path, "%s/dm/uuid", dir);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    if (!f)
        return false;
    bool read = fgets(uuid, sizeof uuid, f) != NULL;
    (void)fclose(f);
    for (unsigned i = 0; read && i < sizeof crypt_uuid / sizeof crypt_uuid[0]; i++)
        if (strncmp(uuid, crypt_uuid[i], strlen(crypt_uuid[i])) == 0)
            return true;
    return false;
}

/* A block device in sysfs: itself encrypted, or everything that it stands on. */
static bool is_encrypted(const char *dir, int depth)
{
    char path[PATH_MAX];
    unsigned below = 0;
    bool all = true;
    if (is_crypt(dir))
        return true;
    int n = snprintf(path, sizeof path, "%s/slaves", dir);
    DIR *d = depth && n > 0 && (size_t)n < sizeof path ? opendir(path) : NULL;
    for (struct dirent *f; d && all && (f = readdir(d));) {
        if (f->d_name[0] == '.')
            continue;
        n = snprintf(path, sizeof path, "%s/slaves/%s", dir, f->d_name);
        all = n > 0 && (size_t)n < sizeof path && is_encrypted(path, depth - 1);
        below++;
    }
    if (d)
        closedir(d);
    return all && below > 0;
}

static bool is_encrypted_device(const char *root, dev_t dev)
{
    char name[64], path[PATH_MAX];
    (void)snprintf(name, sizeof name, "/sys/dev/block/%u:%u", major(dev), minor(dev));
    return file_join(root, name, path, sizeof path) == ERR_OK && is_encrypted(path, DEPTH);
}

/* Some file systems (btrfs) have a device number of their own; the mount table says which disk they are on.
 */
static bool mounted_device(dev_t dev, dev_t *ret)
{
    char line[PATH_MAX], number[32], source[512];
    struct stat s;
    bool found = false;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        const char *dash = strstr(line, " - ");
        unsigned maj, min;
        if (!dash || sscanf(line, "%*d %*d %31s", number) != 1 || sscanf(number, "%u:%u", &maj, &min) != 2 ||
            makedev(maj, min) != dev || sscanf(dash, " - %*s %511s", source) != 1)
            continue;
        found = stat(source, &s) == 0 && S_ISBLK(s.st_mode);
    }
    if (f)
        (void)fclose(f);
    if (found)
        *ret = s.st_rdev;
    return found;
}

bool encrypted_place(const char *root, const char *path)
{
    struct stat s;
    dev_t disk;
    if (stat(path, &s) < 0)
        return false;
    return is_encrypted_device(root, s.st_dev) ||
           (mounted_device(s.st_dev, &disk) && is_encrypted_device(root, disk));
}
