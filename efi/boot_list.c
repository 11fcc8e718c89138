/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/boot_list.h"
#include "efi/bls.h"
#include "efi/files.h"
#include "efi/load_option.h"
#include "efi/sentence.h"
#include "efi/started.h"
#include "formats/names.h"
#include <string.h>

#define PATH_MAX_SANE 4096u
#define ENTRIES       "\\loader\\entries"
#define UKIS          "\\EFI\\Linux"
#define TEXT          FILES_PATH

/* What a walk over a file system carries along. */
struct walk {
    struct boot_list *list;
    EFI_HANDLE device;
    const char *folder;
};

static bool same_path(const EFI_DEVICE_PATH *a, const EFI_DEVICE_PATH *b)
{
    size_t len = device_path_len(a, PATH_MAX_SANE);
    return len > 0 && len == device_path_len(b, PATH_MAX_SANE) && memcmp(a, b, len) == 0;
}

/* With other options it is another entry: a loader that starts kernels by name has one file for all. */
static bool is_new(const struct boot_list *l, const EFI_DEVICE_PATH *path, size_t options_len)
{
    for (unsigned i = 0; i < l->n; i++)
        if (!l->at[i].restart && options_len == 0 && same_path(l->at[i].path, path))
            return false;
    return l->n < MENU_MAX - 1; /* one place is the restart's */
}

/* Takes the path over. */
static void add(struct boot_list *l, const char *name, EFI_DEVICE_PATH *path, const void *options, size_t len)
{
    struct sentence s;
    if (!path || device_path_is_ours(path) || !is_new(l, path, len)) {
        firmware_free(path);
        return;
    }
    struct boot_entry *e = &l->at[l->n];
    memset(e, 0, sizeof *e);
    e->options = len ? firmware_alloc(len) : NULL;
    if (len && !e->options) {
        firmware_free(path);
        return;
    }
    if (len)
        memcpy(e->options, options, len);
    e->options_len = len;
    e->path = path;
    sentence_init(&s, e->name, sizeof e->name);
    sentence_add(&s, name);
    l->n++;
}

/* An entry that names a whole device means the removable path on it. */
static EFI_DEVICE_PATH *whole_path(const struct load_option *o)
{
    EFI_DEVICE_PATH *path = device_path_expand(o->path, NULL);
    if (!path || o->kind != DEVICE_PATH_DEVICE)
        return path;
    EFI_HANDLE device = device_path_find_file(path, KH_ESP_FALLBACK);
    firmware_free(path);
    return device && !started_is_copy(device, KH_ESP_FALLBACK)
               ? device_path_file(device_path_of(device), KH_ESP_FALLBACK)
               : NULL;
}

static void add_order(struct boot_list *l)
{
    size_t n = 0;
    uint8_t *order = load_option_order(&n);
    for (size_t i = 0; order && i < n; i++) {
        struct load_option o;
        void *memory = NULL;
        char name[BOOT_NAME];
        if (load_option_read(load_option_number(order, i), &memory, &o) != ERR_OK)
            continue;
        load_option_name(&o, name, sizeof name);
        if (o.wanted)
            add(l, name, whole_path(&o), o.data, o.data_len);
        firmware_free(memory);
    }
    firmware_free(order);
}

static void add_file(struct boot_list *l, EFI_HANDLE device, const char *name, const char *file)
{
    const EFI_DEVICE_PATH *base = device_path_of(device);
    if (base)
        add(l, name, device_path_file(base, file), NULL, 0);
}

/* Programs take their command line as UTF-16. */
static void add_kernel(struct walk *w, const char *file, const struct bls *b)
{
    const EFI_DEVICE_PATH *base = device_path_of(w->device);
    size_t n = strlen(b->options);
    uint16_t wide[BLS_OPTIONS];
    for (size_t i = 0; i <= n; i++)
        wide[i] = (unsigned char)b->options[i];
    if (base && files_exist(w->device, b->program))
        add(w->list, b->title[0] ? b->title : file, device_path_file(base, b->program), wide,
            n ? (n + 1) * sizeof wide[0] : 0);
}

static bool take_entry(void *ctx, const struct files_entry *e)
{
    struct walk *w = ctx;
    char path[TEXT], *text;
    size_t len;
    files_join(w->folder, e->name, path);
    if (e->folder || !files_name_ends(e->name, ".conf") ||
        files_read(w->device, path, BLS_MAX, &text, &len) != ERR_OK)
        return true;
    struct bls *b = firmware_alloc(sizeof *b);
    if (b && bls_decode(text, len, b) == ERR_OK)
        add_kernel(w, e->name, b);
    firmware_free(b);
    firmware_free(text);
    return true;
}

static bool take_uki(void *ctx, const struct files_entry *e)
{
    struct walk *w = ctx;
    char path[TEXT];
    files_join(w->folder, e->name, path);
    if (!e->folder && files_name_ends(e->name, ".efi"))
        add_file(w->list, w->device, e->name, path);
    return true;
}

/* "debian (shimx64.efi)"; shim first, because what lies beside it is started by it. */
static bool take_vendor(void *ctx, const struct files_entry *e)
{
    static const char *const loader[] = {"shimx64.efi", "grubx64.efi", "systemd-bootx64.efi",
                                         "Boot\\bootmgfw.efi"};
    struct walk *w = ctx;
    char folder[TEXT], path[TEXT], name[TEXT];
    files_join(w->folder, e->name, folder);
    for (size_t i = 0; e->folder && i < sizeof loader / sizeof loader[0]; i++) {
        struct sentence s;
        files_join(folder, loader[i], path);
        sentence_init(&s, name, sizeof name);
        sentence_add(&s, e->name);
        sentence_add(&s, " (");
        sentence_add(&s, loader[i]);
        sentence_add(&s, ")");
        if (files_exist(w->device, path))
            add_file(w->list, w->device, name, path);
    }
    return true;
}

static void add_file_system(struct boot_list *l, EFI_HANDLE device)
{
    struct walk w = {.list = l, .device = device, .folder = ENTRIES};
    files_list(device, w.folder, take_entry, &w);
    w.folder = UKIS;
    files_list(device, w.folder, take_uki, &w);
    w.folder = "\\EFI";
    files_list(device, w.folder, take_vendor, &w);
    if (files_exist(device, KH_ESP_FALLBACK) && !started_is_copy(device, KH_ESP_FALLBACK))
        add_file(l, device, KH_ESP_FALLBACK, KH_ESP_FALLBACK);
}

void boot_list_make(struct boot_list *l)
{
    static const EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    UINTN n;
    memset(l, 0, sizeof *l);
    add_order(l);
    EFI_HANDLE *h = firmware_handles(&file_system, &n);
    for (UINTN i = 0; i < n; i++)
        add_file_system(l, h[i]);
    firmware_free(h);
    struct boot_entry *last = &l->at[l->n++];
    struct sentence s;
    memset(last, 0, sizeof *last);
    last->restart = true;
    sentence_init(&s, last->name, sizeof last->name);
    sentence_add(&s, "Restart the computer, from a clean start");
}

void boot_list_free(struct boot_list *l)
{
    for (unsigned i = 0; i < l->n; i++) {
        firmware_free(l->at[i].path);
        firmware_free(l->at[i].options);
    }
    memset(l, 0, sizeof *l);
}

void boot_list_menu(const struct boot_list *l, struct menu *ret)
{
    ret->n = l->n;
    for (unsigned i = 0; i < l->n; i++) {
        struct sentence s;
        sentence_init(&s, ret->line[i], sizeof ret->line[i]);
        sentence_add(&s, l->at[i].name);
    }
}
