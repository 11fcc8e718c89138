/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/device_io.h"
#include "agent/device/probe.h"
#include "formats/luks1.h"
#include "formats/text.h"
#include <blkid/blkid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What libblkid finds is whatever the disk says. */
static void take(blkid_probe b, const char *name, char *ret, size_t cap)
{
    const char *value;
    size_t len;
    if (blkid_probe_lookup_value(b, name, &value, &len) == 0)
        text_clean(value, strnlen(value, len), ret, cap);
}

static void take_partitions(blkid_probe b, struct probed *p)
{
    blkid_partlist list = blkid_probe_get_partitions(b);
    int n = list ? blkid_partlist_numof_partitions(list) : 0;
    for (int i = 0; i < n && p->n_parts < PROBED_PARTS; i++) {
        blkid_partition from = blkid_partlist_get_partition(list, i);
        struct probed_part *to = &p->part[p->n_parts];
        int number = from ? blkid_partition_get_partno(from) : 0;
        if (number <= 0)
            continue;
        const char *type = blkid_partition_get_type_string(from);
        to->number = (uint32_t)number;
        if (type)
            text_clean(type, strlen(type), to->type, sizeof to->type);
        else
            (void)snprintf(to->type, sizeof to->type, "0x%x", (unsigned)blkid_partition_get_type(from));
        p->n_parts++;
    }
}

static bool set_up(blkid_probe b, int fd, bool disk)
{
    return blkid_probe_set_device(b, fd, 0, 0) == 0 && blkid_probe_enable_superblocks(b, 1) == 0 &&
           blkid_probe_set_superblocks_flags(b, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_UUID |
                                                    BLKID_SUBLKS_LABEL | BLKID_SUBLKS_VERSION) == 0 &&
           blkid_probe_enable_partitions(b, disk) == 0;
}

static enum err identify(int fd, bool disk, struct probed *p)
{
    blkid_probe b = blkid_new_probe();
    if (!b)
        return ERR_NOMEM;
    int r = set_up(b, fd, disk) ? blkid_do_safeprobe(b) : -1;
    p->ambiguous = r == -2;
    if (r == 0) {
        take(b, "TYPE", p->type, sizeof p->type);
        take(b, "USAGE", p->usage, sizeof p->usage);
        take(b, "VERSION", p->version, sizeof p->version);
        take(b, "UUID", p->uuid, sizeof p->uuid);
        take(b, "LABEL", p->label, sizeof p->label);
        take(b, "PTTYPE", p->table, sizeof p->table);
    }
    if (r == 0 && disk)
        take_partitions(b, p);
    blkid_free_probe(b);
    return r == -1 ? ERR_IO : ERR_OK;
}

/* LVM's label lies within what the checksum of a LUKS2 header covers: where that verifies, the label is old.
 * A member of a RAID that mirrors such a volume is none, though it begins in the same way: there libblkid is
 * right. */
static bool is_weak(const struct probed *p)
{
    return p->ambiguous || !p->type[0] || (strcmp(p->type, "LVM2_member") == 0 && !p->damaged);
}

/* A volume whose header verifies is that, whatever old signatures were left beside it. */
static void look_closer(const int *fd, struct probed *p)
{
    bool luks = probe_luks(fd, p);
    if (luks && p->has_volume_id && is_weak(p)) {
        strcpy(p->type, "crypto_LUKS");
        strcpy(p->usage, "crypto");
        strcpy(p->version, p->slots_max == LUKS1_SLOTS ? "1" : "2");
        p->ambiguous = false;
    }
    if (luks || !probe_bitlocker(fd, p) || (p->type[0] && !p->ambiguous))
        return;
    strcpy(p->type, "BitLocker");
    strcpy(p->usage, "crypto");
    p->ambiguous = false;
}

void probe_device(const char *path, bool disk, struct probed *ret)
{
    int fd = -1;
    memset(ret, 0, sizeof *ret);
    enum err e = device_open(path, &fd);
    if (e == ERR_OK)
        e = identify(fd, disk, ret);
    if (e == ERR_OK)
        look_closer(&fd, ret);
    if (fd >= 0)
        close(fd);
    ret->err = e;
}
