/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What formats/luks2.h sees in an image, for tests beside cryptsetup.
 *     luks2_tool probe IMG               not-luks, luks1 or luks2
 *     luks2_tool show IMG                one JSON object
 *     luks2_tool open IMG SLOT PASSFILE  OK and the SHA-256 of the volume key, never the key
 *     luks2_tool any IMG PASSFILE        the same with the first keyslot that opens; its number behind
 *     luks2_tool fingerprint IMG SLOT    hex
 *     luks2_tool decrypt IMG PASSFILE DATA OUT [STEP]  the plaintext device, read STEP bytes at a time
 *     luks2_tool cost IMG                bytes of scratch that loading takes, number of tries, bytes read
 * Exit code 1 and the error's name on stderr when it fails; where a header is refused, in brackets why. */
#include "crypto/host/file.h"
#include "formats/base.h"
#include "formats/luks2_data.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long long bytes_read;

static enum err read_fd(void *ctx, uint64_t off, void *buf, size_t len)
{
    const int *fd = ctx;
    ssize_t n = pread(*fd, buf, len, (off_t)off);
    if (n < 0)
        return ERR_IO;
    bytes_read += (unsigned long long)n;
    return (size_t)n == len ? ERR_OK : ERR_TRUNCATED;
}

static void print_hex(const char *label, const uint8_t *p, size_t len, const char *behind)
{
    char hex[BASE16_LEN(sizeof(struct secret)) + 1];
    base16_encode(p, len, hex);
    printf("%s%s%s\n", label, hex, behind);
}

static enum err probe(const struct volume_io *io)
{
    static const char *const names[] = {"", "not-luks", "luks1", "luks2"};
    enum luks2_kind kind;
    TRY(luks2_probe(io, &kind));
    printf("%s\n", names[kind]);
    return ERR_OK;
}

/* Names are printable ASCII; these two are what JSON escapes of it. */
static void show_text(const char *name, const char *text)
{
    printf("\"%s\":\"", name);
    for (; *text != 0; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("\",");
}

static const char *truth(bool b)
{
    return b ? "true" : "false";
}

static void show_slot(unsigned id, const struct luks2_slot *s)
{
    printf("\"%u\":{", id);
    show_text("type", s->type);
    show_text("kdf_name", s->kdf_name);
    show_text("hash_name", s->hash_name);
    show_text("af_hash_name", s->af_hash_name);
    show_text("cipher_name", s->cipher_name);
    show_text("why_not", s->why_not == NULL ? "" : s->why_not);
    printf("\"kdf\":%u,\"hash\":%u,\"af_hash\":%u,\"cipher\":%u,\"priority\":%u,\"digest\":%d,"
           "\"iterations\":%u,\"memory\":%u,\"lanes\":%u,\"salt_len\":%u,\"key_size\":%u,\"stripes\":%u,"
           "\"offset\":%llu,\"size\":%llu,\"area_key_size\":%u,\"unbound\":%s,\"supported\":%s}",
           s->kdf, s->hash, s->af_hash, s->cipher, s->priority, s->digest, s->iterations, s->memory_kib,
           s->lanes, s->salt_len, s->key_size, s->af_stripes, (unsigned long long)s->area_off,
           (unsigned long long)s->area_size, s->area_key_size, truth(s->unbound), truth(s->supported));
}

static void show_token(unsigned id, const struct luks2_token *t)
{
    char guid[GUID_TEXT];
    printf("\"%u\":{", id);
    show_text("type", t->type);
    printf("\"slots\":%u,\"ours\":%s", t->slots, truth(t->used));
    if (t->used) {
        guid_encode(&t->key_id, guid);
        printf(
            ",\"state\":%u,\"slot\":%d,\"assigned\":%s,\"count\":%u,\"key_id\":\"%s\",\"envelope_len\":%zu,"
            "\"has_fingerprint\":%s",
            t->state, t->slot, truth(t->assigned), t->count, guid, t->envelope_len,
            truth(t->has_fingerprint));
    }
    printf("}");
}

static void show_segment(const struct luks2_segment *s)
{
    printf("{");
    show_text("type", s->type);
    show_text("cipher_name", s->cipher_name);
    show_text("integrity", s->integrity);
    show_text("why_not", s->why_not == NULL ? "" : s->why_not);
    printf("\"offset\":%llu,\"size\":%llu,\"iv_offset\":%llu,\"sector_size\":%u,\"key_size\":%u,"
           "\"cipher\":%u,\"digest\":%d}",
           (unsigned long long)s->off, (unsigned long long)s->size, (unsigned long long)s->iv_offset,
           s->sector_size, s->key_size, s->cipher, s->digest);
}

static void show_names(const char *name, const char (*list)[LUKS2_NAME], unsigned n)
{
    printf("\"%s\":{", name);
    for (unsigned i = 0; i < n && i < LUKS2_NAMES; i++) {
        char number[12];
        snprintf(number, sizeof number, "%u", i);
        show_text(number, list[i]);
    }
    printf("\"n\":%u},", n);
}

static void show(const struct luks2 *l)
{
    const char *sep = "";
    printf("{");
    show_text("uuid", l->uuid_text);
    show_names("flags", l->flag, l->n_flags);
    show_names("requirements", l->requirement, l->n_requirements);
    printf(
        "\"seqid\":%llu,\"hdr_size\":%u,\"json_len\":%u,\"secondary\":%s,\"reencrypting\":%s,\"n_slots\":%u,"
        "\"n_tokens\":%u,\"digest\":{\"hash\":%u,\"iterations\":%u,\"slots\":%u},\"segments\":[",
        (unsigned long long)l->seqid, l->hdr_size, l->json_len, truth(l->from_secondary),
        truth(l->reencrypting), l->n_slots, l->n_tokens, l->digest[0].hash, l->digest[0].iterations,
        l->digest[0].slots);
    for (unsigned i = 0; i < l->n_segments; i++, sep = ",") {
        printf("%s", sep);
        show_segment(&l->segment[i]);
    }
    printf("],\"slots\":{");
    sep = "";
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        if (l->slot[i].used) {
            printf("%s", sep);
            show_slot(i, &l->slot[i]);
            sep = ",";
        }
    printf("},\"tokens\":{");
    sep = "";
    for (unsigned i = 0; i < LUKS2_TOKENS; i++)
        if (l->token[i].there) {
            printf("%s", sep);
            show_token(i, &l->token[i]);
            sep = ",";
        }
    printf("}}\n");
}

static uint8_t area[LUKS2_AREA_MAX];

static enum err open_one(const struct volume_io *io, const struct luks2 *l, int slot, const char *path,
                         struct secret *ret)
{
    uint8_t *pass;
    size_t len;
    TRY(file_read(path, 4096, &pass, &len));
    enum err e = luks2_open_slot(io, l, (unsigned)slot, pass, len, area, sizeof area, ret);
    cr_wipe(pass, len);
    free(pass);
    return e;
}

static enum err open_slot(const struct volume_io *io, const struct luks2 *l, unsigned slot, const char *path)
{
    uint8_t hash[CR_SHA256_SIZE];
    SECRET(key);
    TRY(open_one(io, l, (int)slot, path, &key));
    TRY(cr_sha256(key.bytes, key.len, hash));
    print_hex("OK ", hash, sizeof hash, "");
    return ERR_OK;
}

static enum err open_any(const struct volume_io *io, const struct luks2 *l, const char *path)
{
    uint8_t hash[CR_SHA256_SIZE];
    enum err e = ERR_UNSUPPORTED;
    for (int slot = -1; luks2_next_slot(l, &slot);) {
        SECRET(key);
        e = open_one(io, l, slot, path, &key);
        if (e == ERR_AUTH)
            continue;
        TRY(e);
        TRY(cr_sha256(key.bytes, key.len, hash));
        char number[12];
        snprintf(number, sizeof number, " %d", slot);
        print_hex("OK ", hash, sizeof hash, number);
        return ERR_OK;
    }
    return e;
}

/* Keys of keyslots that the passphrase opens, until every segment has one. */
static enum err give_keys(const struct volume_io *io, struct luks2_data *d, const char *path)
{
    enum err e = ERR_UNSUPPORTED;
    for (int slot = -1; luks2_data_lacks_key(d) && luks2_next_slot(d->l, &slot);) {
        SECRET(key);
        e = open_one(io, d->l, slot, path, &key);
        if (e == ERR_OK)
            e = luks2_data_key(d, (unsigned)slot, &key);
    }
    return luks2_data_lacks_key(d) ? (e == ERR_OK ? ERR_NOT_FOUND : e) : ERR_OK;
}

static enum err copy_out(struct luks2_data *d, FILE *out, size_t step)
{
    uint8_t *buf = malloc(step);
    enum err e = buf == NULL ? ERR_NOMEM : ERR_OK;
    for (uint64_t off = 0; e == ERR_OK && off < d->size; off += step) {
        size_t n = d->size - off < step ? (size_t)(d->size - off) : step;
        e = luks2_read(d, off, buf, n);
        if (e == ERR_OK && fwrite(buf, 1, n, out) != n)
            e = ERR_IO;
    }
    free(buf);
    return e;
}

static enum err decrypt(const struct volume_io *io, const struct luks2 *l, char **arg, size_t step)
{
    static struct luks2_data d;
    struct luks2_problem why;
    int fd = open(arg[1], O_RDONLY | O_CLOEXEC);
    FILE *out = fopen(arg[2], "wbe");
    off_t len = lseek(fd, 0, SEEK_END);
    enum err e = fd < 0 || out == NULL || len < 0 || step == 0 ? ERR_IO : ERR_OK;
    if (e == ERR_OK) {
        e = luks2_data_init(l, &(struct volume_io){.read = read_fd, .ctx = &fd}, (uint64_t)len, &why, &d);
        if (e != ERR_OK)
            fprintf(stderr, "(%s: %s)\n", why.what, why.name);
    }
    if (e == ERR_OK)
        e = give_keys(io, &d, arg[0]);
    if (e == ERR_OK)
        e = copy_out(&d, out, step);
    luks2_data_wipe(&d);
    if (out != NULL && fclose(out) != 0)
        e = ERR_IO;
    close(fd);
    return e;
}

static enum err fingerprint(const struct volume_io *io, const struct luks2 *l, unsigned slot)
{
    uint8_t hash[32];
    TRY(luks2_fingerprint(io, l, slot, area, sizeof area, hash));
    print_hex("", hash, sizeof hash, "");
    return ERR_OK;
}

/* ret_len, ret_tries: what it took */
static enum err load(const struct volume_io *io, struct luks2_problem *why, struct luks2 *ret,
                     size_t *ret_len, unsigned *ret_tries)
{
    enum err e = ERR_FULL;
    size_t len = LUKS2_SCRATCH_USUAL;
    unsigned tries = 0;
    for (; e == ERR_FULL && tries < 2; tries++) {
        void *scratch = malloc(len);
        if (scratch == NULL)
            return ERR_NOMEM;
        *ret_len = len;
        e = luks2_load_why(io, scratch, len, why, ret);
        free(scratch);
        len = why->need;
    }
    *ret_tries = tries;
    return e;
}

static enum err command(int argc, char **argv, const struct volume_io *io, const struct luks2 *l)
{
    unsigned slot = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    if (strcmp(argv[1], "show") == 0) {
        show(l);
        return ERR_OK;
    }
    if (strcmp(argv[1], "open") == 0 && argc == 5)
        return open_slot(io, l, slot, argv[4]);
    if (strcmp(argv[1], "any") == 0 && argc == 4)
        return open_any(io, l, argv[3]);
    if (strcmp(argv[1], "decrypt") == 0 && argc >= 6)
        return decrypt(io, l, argv + 3, argc > 6 ? (size_t)strtoul(argv[6], NULL, 10) : 1u << 20);
    return strcmp(argv[1], "fingerprint") == 0 && argc == 4 ? fingerprint(io, l, slot) : ERR_RANGE;
}

static enum err run(int argc, char **argv, const struct volume_io *io)
{
    static struct luks2 l;
    struct luks2_problem why = {.off = LUKS2_NO_OFF};
    size_t len = 0;
    unsigned tries = 0;
    if (strcmp(argv[1], "probe") == 0)
        return probe(io);
    enum err e = load(io, &why, &l, &len, &tries);
    if (e != ERR_OK && why.what != NULL)
        fprintf(stderr, "(%s%s%s, offset %lld)\n", why.what, why.name[0] ? ": " : "", why.name,
                (long long)why.off);
    TRY(e);
    if (strcmp(argv[1], "cost") != 0)
        return command(argc, argv, io, &l);
    printf("%zu %u %llu\n", len, tries, bytes_read);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: luks2_tool probe|show|open|any|fingerprint|decrypt|cost IMG ...\n");
        return 2;
    }
    int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    const struct volume_io io = {.read = read_fd, .ctx = &fd};
    enum err e = fd < 0 ? ERR_IO : run(argc, argv, &io);
    if (e != ERR_OK)
        fprintf(stderr, "%s\n", err_name(e));
    return e == ERR_OK ? 0 : 1;
}
