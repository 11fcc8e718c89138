/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What formats/bitlocker.h sees in an image, for tests on real parts.
 *     bitlocker_tool show IMG                one JSON object
 *     bitlocker_tool open IMG WAY [FILE]     OK and the key ID of the protector that opened
 *     bitlocker_tool hash IMG WAY [FILE]     OK and the SHA-256 of the whole decrypted volume
 *     bitlocker_tool decrypt IMG WAY FILE OUT
 * WAY: recovery, passphrase, startup-key (FILE holds it), clear-key, none (a decrypted volume).
 * Exit code 1 and the error's name, what is wrong and where on stderr when it fails. */
#include "crypto/host/file.h"
#include "formats/base.h"
#include "formats/bitlocker.h"
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH (1u << 20)

static struct bitlocker_problem problem;
static uint8_t memory[BITLOCKER_MEMORY], batch[BATCH];

static enum err read_fd(void *ctx, uint64_t off, void *buf, size_t len)
{
    const int *fd = ctx;
    ssize_t n = pread(*fd, buf, len, (off_t)off);
    if (n < 0)
        return ERR_IO;
    return (size_t)n == len ? ERR_OK : ERR_TRUNCATED;
}

static void print_guid(const char *name, const struct guid *g)
{
    char text[GUID_TEXT];
    guid_encode_lower(g, text);
    printf("\"%s\":\"%s\"", name, text);
}

/* Descriptions are printable UTF-8 already: quotes and backslashes are left to take care of. */
static void print_text(const char *name, const char *text)
{
    printf("\"%s\":\"", name);
    for (; *text != 0; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("\"");
}

static void show_protector(const struct bitlocker_protector *p, bool first)
{
    printf("%s{", first ? "" : ",");
    print_guid("id", &p->key_id);
    printf(",\"kind\":\"%s\",\"protection\":%u,\"changed\":%llu,\"opens\":%s,", bitlocker_kind_name(p->kind),
           p->protection, (unsigned long long)p->changed, p->opens_here ? "true" : "false");
    print_text("description", p->description);
    printf("}");
}

static void show(const struct bitlocker *b)
{
    printf("{");
    print_guid("volume", &b->volume_id);
    printf(",\"size\":%llu,\"sector\":%u,\"layout\":%u,\"state\":\"%s\",\"paused\":%s,\"suspended\":%s,"
           "\"on_write\":%s,\"version\":%u,\"method\":\"%s\",\"key_bits\":%u,\"encrypted\":%llu,\"created\":%"
           "llu,",
           (unsigned long long)b->size, b->sector_size, b->layout, bitlocker_state_name(b->state),
           b->paused ? "true" : "false", b->suspended ? "true" : "false",
           b->encrypt_on_write ? "true" : "false", b->version, bitlocker_method_name(b->method), b->key_bits,
           (unsigned long long)b->encrypted_size, (unsigned long long)b->created);
    print_text("description", b->description);
    printf(",\"used\":%u,\"blocks\":[", b->used);
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++) {
        printf("%s{\"off\":%llu,", i == 0 ? "" : ",", (unsigned long long)b->block[i].off);
        print_text("problem", b->block[i].problem.what == NULL ? "" : b->block[i].problem.what);
        printf("}");
    }
    printf("],\"protectors\":[");
    for (unsigned i = 0; i < b->n_protectors; i++)
        show_protector(&b->protector[i], i == 0);
    printf("]}\n");
}

static enum err unlock_with(const struct bitlocker *b, const char *way, const char *text, size_t len,
                            unsigned *ret_which, struct secret *ret_vmk)
{
    unsigned group;
    SECRET(password);
    if (strcmp(way, "startup-key") == 0)
        return bitlocker_unlock_startup_key(b, text, len, ret_which, ret_vmk, &problem);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    if (strcmp(way, "passphrase") == 0)
        return bitlocker_unlock_passphrase(b, text, len, ret_which, ret_vmk);
    if (strcmp(way, "recovery") != 0)
        return ERR_RANGE;
    TRY(rp_decode(text, len, &password, &group));
    return bitlocker_unlock_recovery(b, password.bytes, ret_which, ret_vmk);
}

static enum err unlock(const struct bitlocker *b, const char *way, const char *path, unsigned *ret_which,
                       struct secret *ret_vmk)
{
    uint8_t *bytes;
    size_t len;
    if (strcmp(way, "clear-key") == 0)
        return bitlocker_unlock_clear_key(b, ret_which, ret_vmk);
    if (path == NULL)
        return ERR_RANGE;
    TRY(file_read(path, BITLOCKER_BEK_MAX, &bytes, &len));
    enum err e = unlock_with(b, way, (const char *)bytes, len, ret_which, ret_vmk);
    cr_wipe(bytes, len);
    free(bytes);
    return e;
}

static enum err take(FILE *out, EVP_MD_CTX *md, size_t len)
{
    if (EVP_DigestUpdate(md, batch, len) != 1)
        return ERR_INTERNAL;
    return out == NULL || fwrite(batch, 1, len, out) == len ? ERR_OK : ERR_IO;
}

static enum err copy(struct bitlocker_volume *v, FILE *out, EVP_MD_CTX *md)
{
    uint64_t size = v->b->size;
    for (uint64_t off = 0; off < size; off += BATCH) {
        size_t n = size - off < BATCH ? (size_t)(size - off) : BATCH;
        TRY(bitlocker_read(v, off, batch, n));
        TRY(take(out, md, n));
    }
    return ERR_OK;
}

static enum err content(struct bitlocker *b, const struct secret *vmk, const char *path)
{
    static struct bitlocker_volume v;
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned len;
    TRY(bitlocker_open(b, vmk, &v, &problem));
    FILE *out = path == NULL ? NULL : fopen(path, "we");
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    enum err e = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? ERR_OK : ERR_INTERNAL;
    if (e == ERR_OK)
        e = path != NULL && out == NULL ? ERR_IO : copy(&v, out, md);
    if (e == ERR_OK && EVP_DigestFinal_ex(md, digest, &len) == 1) {
        base16_encode(digest, len, hex);
        printf("OK %s\n", hex);
    }
    EVP_MD_CTX_free(md);
    if (out != NULL && fclose(out) != 0)
        e = ERR_IO;
    bitlocker_wipe(&v);
    return e;
}

static enum err run(int argc, char **argv, const struct volume_io *io, uint64_t size)
{
    static struct bitlocker b;
    const char *way = argc > 3 ? argv[3] : "none", *path = argc > 4 ? argv[4] : NULL;
    unsigned which = 0;
    SECRET(vmk);
    TRY(bitlocker_load(io, size, memory, sizeof memory, &b, &problem));
    if (strcmp(argv[1], "show") == 0) {
        show(&b);
        return ERR_OK;
    }
    if (strcmp(way, "none") != 0)
        TRY(unlock(&b, way, path, &which, &vmk));
    if (strcmp(argv[1], "open") != 0)
        return content(&b, vmk.len == 0 ? NULL : &vmk, argc > 5 ? argv[5] : NULL);
    static struct bitlocker_volume v;
    char id[GUID_TEXT];
    guid_encode_lower(&b.protector[which].key_id, id);
    TRY(bitlocker_open(&b, &vmk, &v, &problem));
    bitlocker_wipe(&v);
    printf("OK %s\n", id);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    struct stat st;
    if (argc < 3) {
        fprintf(stderr, "usage: bitlocker_tool show|open|hash|decrypt IMG [WAY [FILE [OUT]]]\n");
        return 2;
    }
    int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    const struct volume_io io = {.read = read_fd, .ctx = &fd};
    enum err e = fd < 0 || fstat(fd, &st) != 0 ? ERR_IO : run(argc, argv, &io, (uint64_t)st.st_size);
    if (e != ERR_OK)
        fprintf(stderr, "%s %s at %llu\n", err_name(e), problem.what == NULL ? "-" : problem.what,
                (unsigned long long)problem.off);
    return e == ERR_OK ? 0 : 1;
}
