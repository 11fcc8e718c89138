/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/boot_next.h"
#include "efi/device_path.h"
#include "efi/files.h"
#include "efi/load_option.h"
#include "efi/sentence.h"
#include "efi/started.h"
#include "formats/names.h"
#include <string.h>

#define PATH_MAX    4096u /* bytes of a device path */
#define NODE_HEADER 4u

enum stage {
    STAGE_CHOSEN = 0,  /* by a person */
    STAGE_ORDER,       /* entries of BootOrder; with a volume opened, only those on known disks */
    STAGE_OWN_DISK,    /* removable path of the file system we came from */
    STAGE_OPENED_DISK, /* removable path on the opened volume's disk */
    STAGE_OTHERS,      /* with a volume opened, the other entries of BootOrder */
    STAGE_FIRMWARE,    /* the firmware's own programs */
    STAGE_NONE
};

/* The very file that we were loaded from: BootCurrent does not tell, because a boot menu may have started us.
 */
static bool is_own_path(const EFI_DEVICE_PATH *path)
{
    const EFI_DEVICE_PATH *device = device_path_of(fw.self->DeviceHandle), *file = fw.self->FilePath;
    size_t len = device_path_len(path, PATH_MAX), file_len = file ? device_path_len(file, PATH_MAX) : 0;
    size_t device_len = device ? device_path_len(device, PATH_MAX) : 0;
    if (len == 0 || file_len == 0 || device_len == 0 || len + NODE_HEADER != device_len + file_len)
        return false;
    size_t head = device_len - NODE_HEADER;
    return memcmp(path, device, head) == 0 && memcmp((const uint8_t *)path + head, file, file_len) == 0;
}

/* The disks whose programs may read the password, 0 and 1. */
static const EFI_DEVICE_PATH *known_disk(const struct boot_next *b, unsigned i)
{
    return device_path_of(i == 0 ? b->opened : fw.self->DeviceHandle);
}

static bool on_known_disk(const struct boot_next *b, const EFI_DEVICE_PATH *path)
{
    for (unsigned i = 0; i < 2; i++) {
        const EFI_DEVICE_PATH *disk = known_disk(b, i);
        if (disk && device_path_same_disk(path, disk))
            return true;
    }
    return false;
}

/* Asked of the whole path of the very file that is to be loaded. */
static bool is_wanted(const struct boot_next *b, const EFI_DEVICE_PATH *path)
{
    if (!b->opened || b->stage == STAGE_FIRMWARE || b->stage == STAGE_CHOSEN)
        return true;
    return on_known_disk(b, path) == (b->stage < STAGE_OTHERS);
}

static enum err load_path(const struct boot_next *b, EFI_DEVICE_PATH *path, EFI_HANDLE *ret)
{
    EFI_HANDLE image = NULL;
    if (is_own_path(path) || !is_wanted(b, path))
        return ERR_NOT_FOUND;
    EFI_STATUS s = fw.bs->LoadImage(FALSE, fw.image, path, NULL, 0, &image);
    /* refused by policy, yet loaded: it may be inspected but not started */
    if (s == EFI_SECURITY_VIOLATION && image)
        fw.bs->UnloadImage(image);
    TRY(err_from_efi(s));
    *ret = image;
    return ERR_OK;
}

static enum err load_removable(const struct boot_next *b, EFI_HANDLE device, EFI_HANDLE *ret)
{
    if (started_is_copy(device, KH_ESP_FALLBACK))
        return ERR_NOT_FOUND;
    EFI_DEVICE_PATH *base = device_path_of(device);
    EFI_DEVICE_PATH *path = base ? device_path_file(base, KH_ESP_FALLBACK) : NULL;
    enum err e = path ? load_path(b, path, ret) : ERR_NOMEM;
    firmware_free(path);
    return e;
}

/* EDK II marks the entries that it made by itself with this GUID in the place of options, and passes no
 * options for them; a kernel would take the mark for its command line. source: EDK II,
 * MdeModulePkg/Library/UefiBootManagerLib, mBmAutoCreateBootOptionGuid */
static bool is_firmwares_mark(const void *data, size_t len)
{
    static const EFI_GUID mark = {
        0x8108ac4e, 0x9f11, 0x4d59, {0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2}};
    return len == sizeof mark && memcmp(data, &mark, sizeof mark) == 0;
}

/* The program keeps what it is given for as long as it runs, so this memory is never freed. */
static void give_options(EFI_HANDLE image, const void *data, size_t len)
{
    static const EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_LOADED_IMAGE *li = firmware_protocol(image, &loaded_image);
    void *copy = li && len && !is_firmwares_mark(data, len) ? firmware_alloc(len) : NULL;
    if (!copy)
        return;
    memcpy(copy, data, len);
    li->LoadOptions = copy;
    li->LoadOptionsSize = (UINT32)len;
}

static EFI_DEVICE_PATH *expand(const struct boot_next *b, const EFI_DEVICE_PATH *p)
{
    EFI_DEVICE_PATH *whole = NULL;
    for (unsigned i = 0; b->opened && b->stage < STAGE_OTHERS && !whole && i < 2; i++) {
        const EFI_DEVICE_PATH *disk = known_disk(b, i);
        whole = disk ? device_path_expand(p, disk) : NULL;
    }
    return whole ? whole : device_path_expand(p, NULL);
}

/* An entry that names a whole device means the removable path on it. */
static enum err load_entry(const struct boot_next *b, const struct load_option *o, EFI_HANDLE *ret)
{
    EFI_DEVICE_PATH *path = expand(b, o->path);
    enum err e = path ? ERR_OK : ERR_NOT_FOUND;
    if (path && device_path_kind(path) == DEVICE_PATH_DEVICE) {
        EFI_HANDLE device = device_path_find_file(path, KH_ESP_FALLBACK);
        e = device ? load_removable(b, device, ret) : ERR_NOT_FOUND;
    } else if (path) {
        e = load_path(b, path, ret);
    }
    if (e == ERR_OK)
        give_options(*ret, o->data, o->data_len);
    firmware_free(path);
    return e;
}

static bool belongs_to(const struct load_option *o, unsigned stage)
{
    return o->wanted && (o->kind == DEVICE_PATH_FIRMWARE) == (stage == STAGE_FIRMWARE);
}

/* Try one entry of BootOrder; NOT_FOUND when it is not for us. */
static enum err try_number(struct boot_next *b, uint16_t number, EFI_HANDLE *ret)
{
    struct load_option o;
    void *memory = NULL;
    enum err e = ERR_NOT_FOUND;
    if (load_option_read(number, &memory, &o) == ERR_OK && belongs_to(&o, b->stage)) {
        load_option_name(&o, b->name, sizeof b->name);
        e = load_entry(b, &o, ret);
    }
    firmware_free(memory);
    return e;
}

/* DENIED is reported; what is missing or broken is passed over. */
static enum err load_from_order(struct boot_next *b, EFI_HANDLE *ret)
{
    size_t n = 0;
    enum err e = ERR_NOT_FOUND;
    uint8_t *order = load_option_order(&n);
    while (order && b->at < n && e != ERR_OK && e != ERR_DENIED)
        e = try_number(b, load_option_number(order, b->at++), ret);
    firmware_free(order);
    return e == ERR_OK || e == ERR_DENIED ? e : ERR_NOT_FOUND;
}

/* The file system on the opened volume's disk that can start something. */
static EFI_HANDLE opened_disk(const struct boot_next *b)
{
    const EFI_DEVICE_PATH *volume = device_path_of(b->opened);
    EFI_DEVICE_PATH *disk = volume ? device_path_disk(volume) : NULL;
    EFI_HANDLE found = disk ? device_path_find_file(disk, KH_ESP_FALLBACK) : NULL;
    firmware_free(disk);
    return found;
}

static enum err load_from_disk(struct boot_next *b, EFI_HANDLE device, EFI_HANDLE *ret)
{
    struct sentence s;
    if (b->at++ > 0 || !files_exist(device, KH_ESP_FALLBACK))
        return ERR_NOT_FOUND;
    sentence_init(&s, b->name, sizeof b->name);
    sentence_add(&s, KH_ESP_FALLBACK);
    enum err e = load_removable(b, device, ret);
    return e == ERR_OK || e == ERR_DENIED ? e : ERR_NOT_FOUND;
}

/* Once; what is missing or broken is passed over, and the others follow. */
static enum err load_chosen(struct boot_next *b, EFI_HANDLE *ret)
{
    struct sentence s;
    if (!b->chosen || b->chosen->restart || b->at++ > 0)
        return ERR_NOT_FOUND;
    sentence_init(&s, b->name, sizeof b->name);
    sentence_add(&s, b->chosen->name);
    enum err e = load_path(b, b->chosen->path, ret);
    if (e == ERR_OK)
        give_options(*ret, b->chosen->options, b->chosen->options_len);
    return e == ERR_OK || e == ERR_DENIED ? e : ERR_NOT_FOUND;
}

static enum err load_from_stage(struct boot_next *b, EFI_HANDLE *ret)
{
    if (b->stage == STAGE_CHOSEN)
        return load_chosen(b, ret);
    if (b->stage == STAGE_OWN_DISK)
        return load_from_disk(b, fw.self->DeviceHandle, ret);
    if (b->stage == STAGE_OPENED_DISK)
        return load_from_disk(b, opened_disk(b), ret);
    if (b->stage == STAGE_OTHERS && !b->opened)
        return ERR_NOT_FOUND; /* they were in their place in the order */
    return load_from_order(b, ret);
}

enum err boot_next_load(struct boot_next *b, EFI_HANDLE *ret_image)
{
    while (b->stage < STAGE_NONE) {
        enum err e = load_from_stage(b, ret_image);
        if (e != ERR_NOT_FOUND)
            return e;
        b->stage++;
        b->at = 0;
    }
    return ERR_NOT_FOUND;
}

bool boot_next_is_known(const struct boot_next *b)
{
    return b->stage == STAGE_CHOSEN ? on_known_disk(b, b->chosen->path) : b->stage < STAGE_OTHERS;
}

bool boot_next_is_chosen(const struct boot_next *b)
{
    return b->stage == STAGE_CHOSEN;
}

enum err boot_next_start(EFI_HANDLE image)
{
    UINTN len = 0;
    CHAR16 *data = NULL;
    EFI_STATUS s = fw.bs->StartImage(image, &len, &data);
    firmware_free(data);
    return err_from_efi(s);
}
