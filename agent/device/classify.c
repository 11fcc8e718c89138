/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/classify.h"
#include "agent/device/classify_stack.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *volume_kind_name(uint8_t kind)
{
    static const char *const name[] = {"?", "os", "fixed", "removable"};
    return name[kind <= KIND_REMOVABLE ? kind : 0];
}

const char *seen_class_name(uint8_t class)
{
    static const char *const name[] = {"?", "none", "luks2", "luks1", "bitlocker", "other", "unencrypted"};
    return name[class <= SEEN_UNENCRYPTED ? class : 0];
}

/* Is the name this, followed by a number: "sr0", not "srv"? */
static bool is_named(const char *name, const char *base)
{
    size_t n = strlen(base);
    return strncmp(name, base, n) == 0 && isdigit((unsigned char)name[n]);
}

bool classify_leave_closed(const struct block_tree *t, unsigned i, const char **ret_why)
{
    static const struct {
        const char *base, *why;
    } named[] = {{"sr", "a CD or DVD drive"},
                 {"fd", "a floppy drive"},
                 {"ram", "a disk in memory"},
                 {"zram", "compressed memory"},
                 {"mtdblock", "a flash chip"}};
    const struct block_device *d = &t->device[i];
    *ret_why = NULL;
    for (size_t k = 0; k < sizeof named / sizeof named[0]; k++)
        if (is_named(d->name, named[k].base))
            *ret_why = named[k].why;
    if (!*ret_why && d->size == 0)
        *ret_why = "no medium";
    return *ret_why != NULL;
}

bool classify_is_disk(const struct block_tree *t, unsigned i)
{
    return !t->device[i].partition;
}

static bool has_partitions(const struct block_tree *t, unsigned i)
{
    for (unsigned k = 0; k < t->n; k++)
        if (t->device[k].disk == (int)i)
            return true;
    return false;
}

static void none(struct seen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void none(struct seen *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(s->why, sizeof s->why, fmt, args);
    va_end(args);
    s->class = SEEN_NONE;
}

/* What a partition is there for, by the table of its disk. source: UEFI 2.10 section 5.3.3; the Discoverable
 * Partitions Specification; Microsoft, PARTITION_INFORMATION_GPT; MBR types as in util-linux */
static const struct {
    const char *type, *why;
} purposes[] = {{"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "the EFI system partition"},
                {"0xef", "the EFI system partition"},
                {"21686148-6449-6e6f-744e-656564454649", "room for a BIOS boot loader"},
                {"9e1a2d38-c612-4316-aa26-8b49521e5a8b", "room for a boot loader (PReP)"},
                {"0x41", "room for a boot loader (PReP)"},
                {"e3c9e316-0b5c-4db8-817d-f92df00215ae", "reserved by Windows (MSR)"},
                {"de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows' recovery tools"},
                {"0x27", "Windows' recovery tools"},
                {"0x5", "holds further partitions"},
                {"0xf", "holds further partitions"},
                {"0x85", "holds further partitions"}};
#define XBOOTLDR                                                                                             \
    "bc13c2ff-59e6-4262-a352-b275fd6f7172" /* /boot. source: Discoverable Partitions Specification */

static const char *partition_type(const struct classify_facts *f, unsigned i)
{
    const struct block_device *d = &f->tree->device[i];
    const struct probed *disk = d->disk >= 0 ? &f->probed[d->disk] : NULL;
    for (unsigned k = 0; disk && k < disk->n_parts; k++)
        if (disk->part[k].number == d->number)
            return disk->part[k].type;
    return "";
}

static const char *purpose(const struct classify_facts *f, unsigned i)
{
    const char *type = partition_type(f, i);
    for (size_t k = 0; k < sizeof purposes / sizeof purposes[0]; k++)
        if (strcasecmp(type, purposes[k].type) == 0)
            return purposes[k].why;
    return NULL;
}

/* True: it is a part of something that has been put together, and that is what counts. */
static bool is_component(const struct classify_facts *f, unsigned i, struct seen *s)
{
    unsigned upper;
    if (!block_is_part(f->tree, i, &upper))
        return false;
    const struct block_device *u = &f->tree->device[upper];
    if (u->md)
        none(s, "a member of the array %s", u->name);
    else if (strncmp(u->dm_uuid, "LVM-", 4) == 0)
        none(s, "a physical volume of LVM");
    else if (strncmp(u->dm_uuid, "mpath-", 6) == 0)
        none(s, "a path of the multipath device %s", u->dm_name);
    else
        none(s, "a part of %s", u->dm_name[0] ? u->dm_name : u->name);
    return true;
}

static bool could_not_look(const struct probed *p, struct seen *s)
{
    static const struct {
        enum err err;
        const char *why;
    } known[] = {{ERR_TIMEOUT, "it does not answer"},
                 {ERR_NOT_FOUND, "it went away"},
                 {ERR_INTERNAL, "the probe could not look at it"},
                 {ERR_UNSUPPORTED, "its node in /dev is no block device"}};
    if (p->err == ERR_OK)
        return false;
    none(s, "it cannot be read: %s", err_text(p->err));
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (p->err == known[k].err)
            none(s, "%s", known[k].why);
    s->no_answer = p->err != ERR_NOT_FOUND;
    return true;
}

/* True: encrypted. */
static bool is_encrypted(const struct classify_facts *f, unsigned i, struct seen *s)
{
    const struct probed *p = &f->probed[i];
    int open = block_unlocked(f->tree, i);
    s->unlocked = open >= 0;
    if (strcmp(p->type, "crypto_LUKS") == 0)
        s->class = strcmp(p->version, "1") == 0 ? SEEN_LUKS1 : SEEN_LUKS2;
    else if (strcmp(p->type, "BitLocker") == 0 && p->decrypted)
        return false;
    else if (strcmp(p->type, "BitLocker") == 0)
        s->class = SEEN_BITLOCKER;
    else if (open >= 0 || strcmp(p->usage, "crypto") == 0)
        s->class = SEEN_OTHER_CRYPT;
    if (s->class == SEEN_OTHER_CRYPT)
        (void)snprintf(s->why, sizeof s->why,
                       open >= 0 ? "unlocked as %s; its header is not on it" : "encrypted as %s",
                       open >= 0 ? f->tree->device[open].dm_name : p->type);
    return s->class != 0;
}

static bool is_read_only_format(const char *type)
{
    static const char *const formats[] = {"iso9660", "squashfs", "erofs", "cramfs", "romfs"};
    for (size_t k = 0; k < sizeof formats / sizeof formats[0]; k++)
        if (strcmp(type, formats[k]) == 0)
            return true;
    return false;
}

static void file_system(const struct classify_facts *f, unsigned i, struct seen *s)
{
    const struct probed *p = &f->probed[i];
    enum cover c = stack_cover(f, i);
    if (is_read_only_format(p->type))
        none(s, "%s, which is only read", p->type);
    else if (c == COVER_FULL)
        none(s, "it lies inside an encrypted volume");
    else if (strcmp(p->type, "vfat") == 0 &&
             (strcmp(s->mount, "/boot/efi") == 0 || strcmp(s->mount, "/efi") == 0))
        none(s, "the EFI system partition");
    else {
        s->class = SEEN_UNENCRYPTED;
        s->part_clear = c == COVER_PART;
        s->boot = s->boot || strcasecmp(partition_type(f, i), XBOOTLDR) == 0;
    }
}

static void no_file_system(const struct classify_facts *f, unsigned i, struct seen *s)
{
    const struct probed *p = &f->probed[i];
    if (strcmp(p->type, "swap") == 0) {
        s->clear_swap = stack_cover(f, i) != COVER_FULL;
        none(s, s->clear_swap ? "swap space; it is not encrypted" : "swap space");
    } else if (strcmp(p->type, "LVM2_member") == 0) {
        none(s, "a physical volume of LVM, whose group is not active");
    } else if (strcmp(p->usage, "raid") == 0) {
        none(s, "a member of an array that is not running (%s)", p->type);
    } else if (p->table[0]) {
        none(s, "an empty partition table");
    } else if (p->ambiguous) {
        none(s, "signatures of several formats contradict each other");
    } else if (p->type[0]) {
        none(s, "%s", p->type);
    } else {
        none(s, "empty, or nothing that is known");
    }
}

static void by_content(const struct classify_facts *f, unsigned i, struct seen *s)
{
    const struct probed *p = &f->probed[i];
    const char *why = purpose(f, i);
    if (is_encrypted(f, i, s))
        return;
    if (why)
        none(s, "%s", why);
    else if (f->tree->device[i].read_only)
        none(s, "it is read-only");
    else if (strcmp(p->usage, "filesystem") == 0 || p->decrypted)
        file_system(f, i, s);
    else
        no_file_system(f, i, s);
}

static void one(const struct classify_facts *f, unsigned i, bool os, struct seen *s)
{
    const char *why;
    *s = (struct seen){.kind = os ? KIND_OS : stack_is_removable(f, i) ? KIND_REMOVABLE : KIND_FIXED};
    stack_mount(f, i, s->mount, &s->boot);
    if (classify_leave_closed(f->tree, i, &why))
        none(s, "%s", why);
    else if (is_component(f, i, s))
        return;
    else if (has_partitions(f->tree, i))
        none(s, "divided into partitions");
    else if (!could_not_look(&f->probed[i], s))
        by_content(f, i, s);
}

enum err classify(const struct classify_facts *f, struct seen *ret)
{
    bool *os = calloc(f->tree->n + 1, sizeof *os);
    if (!os)
        return ERR_NOMEM;
    stack_mark_os(f, os);
    for (unsigned i = 0; i < f->tree->n; i++)
        one(f, i, os[i], &ret[i]);
    free(os);
    return ERR_OK;
}
