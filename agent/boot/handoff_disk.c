/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/handoff.h"
#include "agent/boot/secure_boot.h"
#include "crypto/host/file.h"
#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ESP_TYPE  "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" /* source: UEFI 2.10 section 5.3.3 */
#define DEPTH_MAX 8                                      /* a volume on LVM on MD on a partition needs 3 */
#define APP_MAX   (4u << 20)
#define UNIT      512 /* of libblkid and sysfs, whatever the disk's sectors are */

/* What lies below a device-mapper or MD device, if anything does. */
static bool step_down(char path[static PATH_MAX])
{
    char slaves[PATH_MAX], next[PATH_MAX] = "";
    if (file_join(path, "/slaves", slaves, sizeof slaves) != ERR_OK)
        return false;
    DIR *d = opendir(slaves);
    for (struct dirent *f; d && !next[0] && (f = readdir(d));)
        if (f->d_name[0] != '.' &&
            snprintf(next, sizeof next, "%s/%s", slaves, f->d_name) >= (int)sizeof next)
            next[0] = 0;
    if (d)
        (void)closedir(d);
    return next[0] && realpath(next, path) != NULL;
}

/* sysfs' folder of the disk that a device lies on. ret: PATH_MAX */
static enum err find_disk(const char *device, char *ret)
{
    struct stat s;
    char path[64], attribute[PATH_MAX];
    if (stat(device, &s) < 0)
        return err_from_errno(errno);
    if (!S_ISBLK(s.st_mode))
        return ERR_NOT_FOUND;
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(s.st_rdev), minor(s.st_rdev));
    if (!realpath(path, ret))
        return err_from_errno(errno);
    for (unsigned i = 0; i < DEPTH_MAX && step_down(ret); i++)
        ;
    if (file_join(ret, "/partition", attribute, sizeof attribute) == ERR_OK && access(attribute, F_OK) == 0)
        *strrchr(ret, '/') = 0; /* a partition's folder lies in that of its disk */
    return ERR_OK;
}

/* The node of a partition: the folder below the disk's that says this number. ret: PATH_MAX */
static enum err find_node(const char *disk, int number, char *ret)
{
    char path[PATH_MAX];
    enum err e = ERR_NOT_FOUND;
    DIR *d = opendir(disk);
    for (struct dirent *f; d && e != ERR_OK && (f = readdir(d));) {
        int said = -1;
        if (f->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s/partition", disk, f->d_name) >= (int)sizeof path)
            continue;
        FILE *in = fopen(path, "re");
        if (in && fscanf(in, "%d", &said) == 1 && said == number &&
            snprintf(ret, PATH_MAX, "/dev/%s", f->d_name) < PATH_MAX)
            e = ERR_OK;
        if (in)
            (void)fclose(in);
    }
    if (d)
        (void)closedir(d);
    return e;
}

/* A mount that is attached nowhere and goes with its descriptor. Read only: nothing is written to a disk. */
static int open_fat(const char *node)
{
    int mounted = -1, fs = fsopen("vfat", FSOPEN_CLOEXEC);
    if (fs < 0)
        return -1;
    if (fsconfig(fs, FSCONFIG_SET_STRING, "source", node, 0) == 0 &&
        fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0 &&
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mounted = fsmount(fs, FSMOUNT_CLOEXEC,
                          MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    (void)close(fs);
    return mounted;
}

/* Is the app there, and would this firmware start it by itself? Its own word is all that can be asked for. */
static bool has_app(const char *efivars, const char *node)
{
    char name[] = KH_ESP_APP, path[PATH_MAX];
    uint8_t *app = NULL;
    size_t len;
    int mounted = open_fat(node);
    for (char *p = name; *p; p++)
        *p = *p == '\\' ? '/' : *p;
    if (mounted < 0)
        return false;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d%s", mounted, name);
    enum err e = file_read(path, APP_MAX, &app, &len);
    (void)close(mounted);
    if (e != ERR_OK)
        return false;
    enum secure_boot s = secure_boot_judge(efivars, app, len);
    free(app);
    return s == SECURE_BOOT_OFF || s == SECURE_BOOT_TRUSTED;
}

static bool is_esp(blkid_partition p)
{
    const char *type = blkid_partition_get_type_string(p), *uuid = blkid_partition_get_uuid(p);
    return type && uuid && strcasecmp(type, ESP_TYPE) == 0 && blkid_partition_get_partno(p) > 0;
}

static enum err take(blkid_partition p, unsigned sector, struct handoff_esp *ret)
{
    const char *uuid = blkid_partition_get_uuid(p);
    uint64_t first = (uint64_t)blkid_partition_get_start(p), n = (uint64_t)blkid_partition_get_size(p);
    struct handoff_esp esp = {.number = (uint32_t)blkid_partition_get_partno(p)};
    if (sector < UNIT || sector % UNIT != 0)
        return ERR_FORMAT;
    esp.first = first / (sector / UNIT);
    esp.n = n / (sector / UNIT);
    TRY(guid_decode(uuid, strlen(uuid), &esp.guid));
    *ret = esp;
    return ERR_OK;
}

static enum err look(const char *efivars, const char *disk, blkid_probe b, struct handoff_esp *ret)
{
    char node[PATH_MAX];
    if (blkid_probe_enable_superblocks(b, 0) != 0 || blkid_probe_enable_partitions(b, 1) != 0 ||
        blkid_do_fullprobe(b) != 0)
        return ERR_NOT_FOUND;
    blkid_partlist list = blkid_probe_get_partitions(b);
    blkid_parttable table = list ? blkid_partlist_get_table(list) : NULL;
    if (!table || strcmp(blkid_parttable_get_type(table), "gpt") != 0)
        return ERR_NOT_FOUND;
    for (int i = 0; i < blkid_partlist_numof_partitions(list); i++) {
        blkid_partition p = blkid_partlist_get_partition(list, i);
        if (p && is_esp(p) && find_node(disk, blkid_partition_get_partno(p), node) == ERR_OK &&
            has_app(efivars, node))
            return take(p, blkid_probe_get_sectorsize(b), ret);
    }
    return ERR_NOT_FOUND;
}

enum err handoff_disk_find(const char *efivars, const char *device, struct handoff_esp *ret)
{
    char disk[PATH_MAX], node[PATH_MAX];
    TRY(find_disk(device, disk));
    if (snprintf(node, sizeof node, "/dev%s", strrchr(disk, '/')) >= (int)sizeof node)
        return ERR_RANGE;
    blkid_probe b = blkid_new_probe_from_filename(node);
    if (!b)
        return errno ? err_from_errno(errno) : ERR_IO;
    enum err e = look(efivars, disk, b, ret);
    blkid_free_probe(b);
    return e;
}
