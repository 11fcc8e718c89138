/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/management_key.h"
#include "agent/tpm/tpm.h"
#include "agent/volume/encrypted_place.h"
#include "crypto/cursor.h"
#include "crypto/host/file.h"
#include "formats/names.h"
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER   KH_AGENT_STATE "/management"
#define HEAD     24 /* magic and version, kind, zeros, volume */
#define FILE_MAX (HEAD + TPM_BLOB_MAX)
#define KEYS_MAX 64 /* of one volume; more go at the next look */

enum kind { KIND_CLEAR = 1, KIND_BOUND = 2 };

/* The file as it was read. */
struct kept {
    uint8_t kind;
    struct guid volume;
    uint8_t *bytes; /* owned, wiped */
    size_t len;
    const uint8_t *body; /* within bytes */
    size_t body_len;
};

static void kept_wipe(struct kept *k)
{
    if (k->bytes)
        cr_wipe(k->bytes, k->len);
    free(k->bytes);
    k->bytes = NULL;
}

static enum err path_of(const struct agent *a, const struct guid *id, char ret[PATH_MAX])
{
    char uuid[GUID_TEXT], name[sizeof FOLDER + GUID_TEXT + 8];
    guid_encode_lower(id, uuid);
    (void)snprintf(name, sizeof name, FOLDER "/%s.key", uuid);
    return file_join(a->root, name, ret, PATH_MAX);
}

static enum err decode(struct kept *k)
{
    struct reader r;
    reader_init(&r, k->bytes, k->len);
    reader_expect(&r, "KHM", 3);
    uint8_t version = reader_u8(&r);
    k->kind = reader_u8(&r);
    reader_expect(&r, "\0\0", 3);
    reader_bytes(&r, k->volume.bytes, sizeof k->volume.bytes);
    TRY(r.err);
    if (version != 1)
        return ERR_VERSION;
    k->body_len = reader_left(&r);
    k->body = reader_take(&r, k->body_len);
    return reader_end(&r);
}

static enum err read_path(const char *path, struct kept *ret)
{
    struct stat s;
    struct kept k = {0};
    TRY(file_read(path, FILE_MAX, &k.bytes, &k.len));
    enum err e = stat(path, &s) == 0 && (s.st_mode & 077) == 0 ? decode(&k) : ERR_DENIED;
    if (e != ERR_OK) {
        kept_wipe(&k);
        return e;
    }
    *ret = k;
    return ERR_OK;
}

static enum err write_key(const char *path, uint8_t kind, const struct guid *volume, const uint8_t *body,
                          size_t len)
{
    uint8_t bytes[FILE_MAX];
    struct writer w;
    size_t n;
    writer_init(&w, bytes, sizeof bytes);
    writer_bytes(&w, "KHM\1", 4);
    writer_u8(&w, kind);
    writer_bytes(&w, "\0\0", 3);
    writer_bytes(&w, volume->bytes, sizeof volume->bytes);
    writer_bytes(&w, body, len);
    enum err e = writer_end(&w, &n);
    if (e == ERR_OK)
        e = file_write(path, bytes, n, 0600);
    cr_wipe(bytes, sizeof bytes);
    return e;
}

/* A TPM that never took anything is no reason to have no key: the file serves, as where there is none. One
 * that holds this computer's identity is there, and a file in its place would be weaker than what was. */
static bool may_be_file(const struct agent *a)
{
    return a->key.place == DEVICE_KEY_FILE;
}

static bool bind(struct agent *a, const struct secret *key, uint8_t ret[static TPM_BLOB_MAX], size_t *ret_len)
{
    struct tpm_blob *b = calloc(1, sizeof *b);
    bool bound = b && tpm_seal(a->tpm, key, b) == ERR_OK && tpm_blob_encode(b, ret, ret_len) == ERR_OK;
    free(b);
    return bound;
}

enum err management_key_save(struct agent *a, const struct guid *id, const struct guid *volume,
                             const struct secret *key, bool *ret_bound)
{
    char dir[PATH_MAX], path[PATH_MAX];
    uint8_t blob[TPM_BLOB_MAX];
    size_t len = 0;
    TRY(file_join(a->root, KH_AGENT_STATE, dir, sizeof dir));
    if (!encrypted_place(a->root, dir))
        return ERR_UNSUPPORTED;
    TRY(file_join(a->root, FOLDER, dir, sizeof dir));
    TRY(file_mkdirs(dir, 0700));
    TRY(path_of(a, id, path));
    bool bound = bind(a, key, blob, &len);
    if (!bound && !may_be_file(a))
        return ERR_OFFLINE;
    TRY(bound ? write_key(path, KIND_BOUND, volume, blob, len)
              : write_key(path, KIND_CLEAR, volume, key->bytes, key->len));
    *ret_bound = bound;
    return ERR_OK;
}

static enum err unbind(struct agent *a, const struct kept *k, struct secret *ret)
{
    struct tpm_blob *b = calloc(1, sizeof *b);
    if (!b)
        return ERR_NOMEM;
    enum err e = tpm_blob_decode(k->body, k->body_len, b);
    if (e == ERR_OK && (e = tpm_unseal(a->tpm, b, ret)) != ERR_OK && e != ERR_CONFLICT && e != ERR_NOMEM)
        e = ERR_OFFLINE; /* not there, busy, locked out, its owner's, broken: it may be back */
    free(b);
    return e;
}

static enum err take_key(struct agent *a, const struct kept *k, struct secret *ret)
{
    SECRET(key);
    if (k->kind == KIND_BOUND) {
        TRY(unbind(a, k, &key));
    } else if (k->kind == KIND_CLEAR && k->body_len == MANAGEMENT_KEY) {
        memcpy(key.bytes, k->body, MANAGEMENT_KEY);
        key.len = MANAGEMENT_KEY;
    }
    if (key.len != MANAGEMENT_KEY)
        return ERR_FORMAT;
    *ret = key;
    return ERR_OK;
}

enum err management_key_load(struct agent *a, const struct guid *id, struct secret *ret_key, bool *ret_bound)
{
    char path[PATH_MAX];
    __attribute__((cleanup(kept_wipe))) struct kept k = {0};
    TRY(path_of(a, id, path));
    TRY(read_path(path, &k));
    TRY(take_key(a, &k, ret_key));
    *ret_bound = k.kind == KIND_BOUND;
    return ERR_OK;
}

bool management_key_exists(struct agent *a, const struct guid *id)
{
    char path[PATH_MAX];
    return path_of(a, id, path) == ERR_OK && access(path, R_OK) == 0;
}

/* Whoever may read it: this is about which volume it is for. */
static bool is_of(const char *path, const struct guid *volume)
{
    __attribute__((cleanup(kept_wipe))) struct kept k = {0};
    return file_read(path, FILE_MAX, &k.bytes, &k.len) == ERR_OK && decode(&k) == ERR_OK &&
           guid_equal(&k.volume, volume);
}

/* <GUID>.key */
static bool is_key(const char *name, struct guid *ret)
{
    return strlen(name) == GUID_TEXT - 1 + 4 && strcmp(name + GUID_TEXT - 1, ".key") == 0 &&
           guid_decode(name, GUID_TEXT - 1, ret) == ERR_OK;
}

unsigned management_key_list(struct agent *a, const struct guid *volume, struct guid *ret, unsigned max)
{
    char dir[PATH_MAX], path[PATH_MAX + 300];
    struct guid id;
    unsigned n = 0;
    if (file_join(a->root, FOLDER, dir, sizeof dir) != ERR_OK)
        return 0;
    DIR *d = opendir(dir);
    for (struct dirent *f; d && n < max && (f = readdir(d));) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        if (is_key(f->d_name, &id) && is_of(path, volume))
            ret[n++] = id;
    }
    if (d)
        closedir(d);
    return n;
}

void management_key_forget(struct agent *a, const struct guid *volume, const struct guid *keep,
                           unsigned n_keep)
{
    char path[PATH_MAX];
    struct guid id[KEYS_MAX];
    unsigned n = management_key_list(a, volume, id, KEYS_MAX);
    for (unsigned k = 0; k < n; k++) {
        bool kept = path_of(a, &id[k], path) != ERR_OK;
        for (unsigned i = 0; i < n_keep; i++)
            kept = kept || guid_equal(&id[k], &keep[i]);
        if (!kept)
            (void)unlink(path);
    }
}

static bool is_bound(const char *path)
{
    __attribute__((cleanup(kept_wipe))) struct kept k = {0};
    return file_read(path, FILE_MAX, &k.bytes, &k.len) == ERR_OK && decode(&k) == ERR_OK &&
           k.kind == KIND_BOUND;
}

void management_key_give_up(struct agent *a)
{
    char dir[PATH_MAX], path[PATH_MAX + 300];
    struct guid id;
    enum err e = may_be_file(a) ? tpm_probe(a->tpm) : ERR_OK;
    if (e == ERR_OK || e == ERR_BUSY || e == ERR_NOMEM ||
        file_join(a->root, FOLDER, dir, sizeof dir) != ERR_OK)
        return;
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        if (is_key(f->d_name, &id) && is_bound(path))
            (void)unlink(path);
    }
    if (d)
        closedir(d);
}
