/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/device_path.h"
#include "efi/files.h"
#include "formats/names.h"
#include <string.h>

#define NODE_HEADER 4u
#define FILE_CHARS  128
/* Hard drive node: length, and where signature and its type are; gnu-efi's structure is padded.
 * source: UEFI 2.10, 10.3.5.1 */
#define HD_LEN        42u
#define HD_START      8u
#define HD_SIGNATURE  24u
#define HD_TYPE       41u
#define PIWG_FV_FILE  6 /* media subtypes of programs inside the firmware. source: PI 1.7, volume 3 */
#define PIWG_FV       7
#define PATH_MAX_SANE 4096u

static const EFI_GUID device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;

static size_t node_len(const EFI_DEVICE_PATH *p)
{
    return p->Length[0] | (size_t)p->Length[1] << 8;
}

static const EFI_DEVICE_PATH *next(const EFI_DEVICE_PATH *p)
{
    return (const EFI_DEVICE_PATH *)((const uint8_t *)p + node_len(p));
}

static bool at_end(const EFI_DEVICE_PATH *p)
{
    return (p->Type & 0x7f) == END_DEVICE_PATH_TYPE;
}

size_t device_path_len(const EFI_DEVICE_PATH *p, size_t max)
{
    const uint8_t *base = (const uint8_t *)p;
    size_t off = 0;
    while (off + NODE_HEADER <= max) {
        const EFI_DEVICE_PATH *node = (const EFI_DEVICE_PATH *)(base + off);
        size_t len = node_len(node);
        if (len < NODE_HEADER || len > max - off)
            return 0;
        off += len;
        if (at_end(node))
            return off;
    }
    return 0;
}

EFI_DEVICE_PATH *device_path_of(EFI_HANDLE handle)
{
    return handle ? firmware_protocol(handle, &device_path_guid) : NULL;
}

/* The first len bytes of a, then the whole of b. */
static EFI_DEVICE_PATH *join(const EFI_DEVICE_PATH *a, size_t len, const EFI_DEVICE_PATH *b)
{
    size_t b_len = device_path_len(b, PATH_MAX_SANE);
    uint8_t *p = b_len ? firmware_alloc(len + b_len) : NULL;
    if (!p)
        return NULL;
    memcpy(p, a, len);
    memcpy(p + len, b, b_len);
    return (EFI_DEVICE_PATH *)p;
}

EFI_DEVICE_PATH *device_path_file(const EFI_DEVICE_PATH *device, const char *file)
{
    struct {
        EFI_DEVICE_PATH header;
        CHAR16 name[FILE_CHARS];
        EFI_DEVICE_PATH end;
    } __attribute__((packed)) node;
    size_t len = device_path_len(device, PATH_MAX_SANE), n = strlen(file);
    if (len == 0 || n >= FILE_CHARS)
        return NULL;
    memset(&node, 0, sizeof node);
    size_t bytes = NODE_HEADER + 2 * (n + 1);
    node.header.Type = MEDIA_DEVICE_PATH;
    node.header.SubType = MEDIA_FILEPATH_DP;
    node.header.Length[0] = (UINT8)bytes;
    node.header.Length[1] = (UINT8)(bytes >> 8);
    for (size_t i = 0; i < n; i++)
        node.name[i] = (unsigned char)file[i];
    static const uint8_t end[NODE_HEADER] = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE,
                                             NODE_HEADER, 0};
    memcpy((uint8_t *)&node + bytes, end, sizeof end);
    return join(device, len - NODE_HEADER, &node.header);
}

enum device_path_kind device_path_kind(const EFI_DEVICE_PATH *p)
{
    enum device_path_kind kind = DEVICE_PATH_DEVICE;
    for (; !at_end(p); p = next(p)) {
        if (p->Type == MESSAGING_DEVICE_PATH && p->SubType == MSG_MAC_ADDR_DP)
            return DEVICE_PATH_NETWORK;
        if (p->Type == MEDIA_DEVICE_PATH && (p->SubType == PIWG_FV_FILE || p->SubType == PIWG_FV))
            return DEVICE_PATH_FIRMWARE;
        if (p->Type == MEDIA_DEVICE_PATH && p->SubType == MEDIA_FILEPATH_DP)
            kind = DEVICE_PATH_FILE;
    }
    return kind;
}

static unsigned lower(unsigned c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool device_path_is_ours(const EFI_DEVICE_PATH *p)
{
    static const char dir[] = KH_ESP_DIR "\\";
    for (; !at_end(p); p = next(p)) {
        if (p->Type != MEDIA_DEVICE_PATH || p->SubType != MEDIA_FILEPATH_DP)
            continue;
        const uint8_t *c = (const uint8_t *)p + NODE_HEADER; /* UTF-16, any alignment */
        size_t n = (node_len(p) - NODE_HEADER) / 2, i = 0;
        while (i < n && dir[i] &&
               lower(c[2 * i] | (unsigned)c[2 * i + 1] << 8) == lower((unsigned char)dir[i]))
            i++;
        if (!dir[i])
            return true;
    }
    return false;
}

/* One file node, behind what is there already; one backslash between two. */
static enum err append_file(const EFI_DEVICE_PATH *p, char *ret, size_t cap, size_t *at)
{
    const uint8_t *c = (const uint8_t *)p + NODE_HEADER; /* UTF-16, any alignment */
    for (size_t i = 0, n = (node_len(p) - NODE_HEADER) / 2; i < n && (c[2 * i] || c[2 * i + 1]); i++) {
        if (c[2 * i + 1] || c[2 * i] < 0x20 || c[2 * i] > 0x7e)
            return ERR_NOT_FOUND;
        if (c[2 * i] == '\\' && *at > 0 && ret[*at - 1] == '\\')
            continue;
        if (*at + 1 >= cap)
            return ERR_RANGE;
        ret[(*at)++] = (char)c[2 * i];
    }
    return ERR_OK;
}

enum err device_path_own_file(char *ret, size_t cap)
{
    size_t at = 0;
    for (const EFI_DEVICE_PATH *p = fw.self->FilePath; p && !at_end(p); p = next(p))
        if (p->Type == MEDIA_DEVICE_PATH && p->SubType == MEDIA_FILEPATH_DP) {
            if (at > 0 && ret[at - 1] != '\\' && at + 1 < cap)
                ret[at++] = '\\';
            TRY(append_file(p, ret, cap, &at));
        }
    ret[at] = '\0';
    return at > 0 ? ERR_OK : ERR_NOT_FOUND;
}

static const EFI_DEVICE_PATH *partition_node(const EFI_DEVICE_PATH *p)
{
    const EFI_DEVICE_PATH *found = NULL;
    for (; !at_end(p); p = next(p))
        if (p->Type == MEDIA_DEVICE_PATH && p->SubType == MEDIA_HARDDRIVE_DP && node_len(p) == HD_LEN)
            found = p;
    return found;
}

/* Same partition: the signature decides, and for MBR disks, whose signature is the whole disk's, the start.
 */
static bool same_partition(const EFI_DEVICE_PATH *a, const EFI_DEVICE_PATH *b)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
    return x[HD_TYPE] == y[HD_TYPE] && memcmp(x + HD_SIGNATURE, y + HD_SIGNATURE, 16) == 0 &&
           (x[HD_TYPE] == SIGNATURE_TYPE_GUID || memcmp(x + HD_START, y + HD_START, 8) == 0);
}

/* Bytes in front of the first media node. */
static size_t disk_len(const EFI_DEVICE_PATH *p)
{
    const EFI_DEVICE_PATH *at = p;
    while (!at_end(at) && at->Type != MEDIA_DEVICE_PATH)
        at = next(at);
    return (size_t)((const uint8_t *)at - (const uint8_t *)p);
}

bool device_path_same_disk(const EFI_DEVICE_PATH *a, const EFI_DEVICE_PATH *b)
{
    size_t len = disk_len(a);
    return len > 0 && len == disk_len(b) && memcmp(a, b, len) == 0;
}

bool device_path_on_own_disk(EFI_HANDLE device)
{
    const EFI_DEVICE_PATH *a = device_path_of(device), *b = device_path_of(fw.self->DeviceHandle);
    return a && b && device_path_same_disk(a, b);
}

EFI_DEVICE_PATH *device_path_disk(const EFI_DEVICE_PATH *p)
{
    static const uint8_t end[NODE_HEADER] = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE,
                                             NODE_HEADER, 0};
    size_t len = disk_len(p);
    return len > 0 ? join(p, len, (const EFI_DEVICE_PATH *)end) : NULL;
}

EFI_DEVICE_PATH *device_path_expand(const EFI_DEVICE_PATH *p, const EFI_DEVICE_PATH *disk)
{
    EFI_DEVICE_PATH *whole = NULL;
    UINTN n;
    if (partition_node(p) != p) /* not a short form */
        return join(p, 0, p);
    EFI_HANDLE *h = firmware_handles(&device_path_guid, &n);
    for (UINTN i = 0; i < n && !whole; i++) {
        const EFI_DEVICE_PATH *device = device_path_of(h[i]);
        size_t len = device ? device_path_len(device, PATH_MAX_SANE) : 0;
        const EFI_DEVICE_PATH *node = len ? partition_node(device) : NULL;
        /* the partition itself, not something below it */
        if (node && at_end(next(node)) && same_partition(node, p) &&
            (!disk || device_path_same_disk(device, disk)))
            whole = join(device, len - NODE_HEADER, next(p));
    }
    firmware_free(h);
    return whole;
}

EFI_HANDLE device_path_find_file(const EFI_DEVICE_PATH *p, const char *file)
{
    static const EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_HANDLE found = NULL;
    UINTN n;
    size_t prefix = device_path_len(p, PATH_MAX_SANE) - NODE_HEADER;
    EFI_HANDLE *h = firmware_handles(&file_system, &n);
    for (UINTN i = 0; i < n && !found; i++) {
        const EFI_DEVICE_PATH *device = device_path_of(h[i]);
        size_t len = device ? device_path_len(device, PATH_MAX_SANE) : 0;
        if (len >= prefix + NODE_HEADER && memcmp(device, p, prefix) == 0 && files_exist(h[i], file))
            found = h[i];
    }
    firmware_free(h);
    return found;
}
