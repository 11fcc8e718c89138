/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/files.h"
#include "efi/sentence.h"
#include <string.h>

static enum err open_file(EFI_HANDLE device, const char *path, EFI_FILE_HANDLE *ret)
{
    static const EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    CHAR16 wide[FILES_PATH];
    size_t i = 0;
    EFI_FILE_HANDLE root, file;
    EFI_FILE_IO_INTERFACE *fs = device ? firmware_protocol(device, &file_system) : NULL;
    if (!fs)
        return ERR_NOT_FOUND;
    for (; i < FILES_PATH - 1 && path[i]; i++)
        wide[i] = (unsigned char)path[i];
    wide[i] = 0;
    TRY(err_from_efi(fs->OpenVolume(fs, &root)));
    EFI_STATUS s = root->Open(root, &file, wide, EFI_FILE_MODE_READ, 0);
    root->Close(root);
    TRY(err_from_efi(s));
    *ret = file;
    return ERR_OK;
}

/* The size is found by moving to the end: asking for the file's information needs a buffer for its name. */
static enum err read_all(EFI_FILE_HANDLE file, size_t max, char **ret, size_t *ret_len)
{
    UINT64 size = 0;
    TRY(err_from_efi(file->SetPosition(file, UINT64_MAX)));
    TRY(err_from_efi(file->GetPosition(file, &size)));
    TRY(err_from_efi(file->SetPosition(file, 0)));
    if (size > max)
        return ERR_RANGE;
    char *p = firmware_alloc((size_t)size + 1);
    if (!p)
        return ERR_NOMEM;
    UINTN len = (UINTN)size;
    EFI_STATUS s = file->Read(file, &len, p);
    if (s != EFI_SUCCESS || len != size) {
        firmware_free(p);
        return s == EFI_SUCCESS ? ERR_IO : err_from_efi(s);
    }
    *ret = p;
    *ret_len = len;
    return ERR_OK;
}

enum err files_read(EFI_HANDLE device, const char *path, size_t max, char **ret, size_t *ret_len)
{
    EFI_FILE_HANDLE file;
    TRY(open_file(device, path, &file));
    enum err e = read_all(file, max, ret, ret_len);
    file->Close(file);
    return e;
}

bool files_exist(EFI_HANDLE device, const char *path)
{
    EFI_FILE_HANDLE file;
    if (open_file(device, path, &file) != ERR_OK)
        return false;
    file->Close(file);
    return true;
}

#define NAME_CHARS 128
#define INFO_LEN   (SIZE_OF_EFI_FILE_INFO + 2 * 260) /* FAT's longest name */

/* False for a name that cannot be typed in a path here. */
static bool narrow(const CHAR16 *wide, char ret[static NAME_CHARS])
{
    size_t i = 0;
    for (; wide[i] && i < NAME_CHARS - 1; i++) {
        if (wide[i] < 0x20 || wide[i] > 0x7e)
            return false;
        ret[i] = (char)wide[i];
    }
    ret[i] = '\0';
    return !wide[i] && i > 0 && ret[0] != '.';
}

static bool visit_one(const EFI_FILE_INFO *info, bool (*visit)(void *ctx, const struct files_entry *e),
                      void *ctx)
{
    char name[NAME_CHARS];
    const struct files_entry e = {.name = name, .folder = info->Attribute & EFI_FILE_DIRECTORY};
    return !narrow(info->FileName, name) || visit(ctx, &e);
}

void files_list(EFI_HANDLE device, const char *path, bool (*visit)(void *ctx, const struct files_entry *e),
                void *ctx)
{
    EFI_FILE_HANDLE folder;
    EFI_FILE_INFO *info = firmware_alloc(INFO_LEN);
    if (info && open_file(device, path, &folder) == ERR_OK) {
        bool more = true;
        for (unsigned n = 0; more && n < FILES_MAX; n++) {
            UINTN len = INFO_LEN;
            more = folder->Read(folder, &len, info) == EFI_SUCCESS && len > 0 && visit_one(info, visit, ctx);
        }
        folder->Close(folder);
    }
    firmware_free(info);
}

bool files_name_ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    for (size_t i = 0; n >= m && i < m; i++) {
        char c = name[n - m + i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != end[i])
            return false;
    }
    return n >= m;
}

void files_join(const char *folder, const char *name, char ret[static FILES_PATH])
{
    struct sentence s;
    sentence_init(&s, ret, FILES_PATH);
    sentence_add(&s, folder);
    sentence_add(&s, "\\");
    sentence_add(&s, name);
}
