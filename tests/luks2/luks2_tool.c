/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What formats/luks2.h sees in an image, for tests beside cryptsetup.
 *     luks2_tool probe IMG               not-luks, luks1 or luks2
 *     luks2_tool show IMG                one JSON object
 *     luks2_tool open IMG SLOT PASSFILE  OK and the SHA-256 of the volume key, never the key
 *     luks2_tool fingerprint IMG SLOT    hex
 * Exit code 1 and the error's name on stderr when it fails. */
#include "crypto/host/file.h"
#include "formats/base.h"
#include "formats/luks2.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum err read_fd(void *ctx, uint64_t off, void *buf, size_t len)
{
    const int *fd = ctx;
    ssize_t n = pread(*fd, buf, len, (off_t)off);
    if (n < 0)
        return ERR_IO;
    return (size_t)n == len ? ERR_OK : ERR_TRUNCATED;
}

static void print_hex(const char *label, const uint8_t *p, size_t len)
{
    char hex[BASE16_LEN(sizeof(struct secret)) + 1];
    base16_encode(p, len, hex);
    printf("%s%s\n", label, hex);
}

static enum err probe(const struct volume_io *io)
{
    static const char *const names[] = {"", "not-luks", "luks1", "luks2"};
    enum luks2_kind kind;
    TRY(luks2_probe(io, &kind));
    printf("%s\n", names[kind]);
    return ERR_OK;
}

static void show_slot(unsigned id, const struct luks2_slot *s, bool first)
{
    printf("%s\"%u\":{\"kdf\":%u,\"hash\":%u,\"af_hash\":%u,\"iterations\":%u,\"memory\":%u,\"lanes\":%u,"
           "\"salt_len\":%u,\"key_size\":%u,\"stripes\":%u,\"offset\":%llu,\"size\":%llu,"
           "\"area_key_size\":%u,\"supported\":%s}",
           first ? "" : ",", id, s->kdf, s->hash, s->af_hash, s->iterations, s->memory_kib, s->lanes,
           s->salt_len, s->key_size, s->af_stripes, (unsigned long long)s->area_off,
           (unsigned long long)s->area_size, s->area_key_size, s->supported ? "true" : "false");
}

static void show_token(unsigned id, const struct luks2_token *t, bool first)
{
    char guid[GUID_TEXT];
    guid_encode(&t->key_id, guid);
    printf("%s\"%u\":{\"state\":%u,\"slot\":%d,\"assigned\":%s,\"count\":%u,\"key_id\":\"%s\",\"envelope_"
           "len\":%zu,"
           "\"has_fingerprint\":%s}",
           first ? "" : ",", id, t->state, t->slot, t->assigned ? "true" : "false", t->count, guid,
           t->envelope_len, t->has_fingerprint ? "true" : "false");
}

static void show(const struct luks2 *l)
{
    printf("{\"uuid\":\"%s\",\"seqid\":%llu,\"hdr_size\":%u,\"secondary\":%s,\"reencrypting\":%s,"
           "\"n_slots\":%u,\"n_tokens\":%u,\"segment\":{\"offset\":%llu,\"sector_size\":%u,\"key_size\":%u,"
           "\"xts\":%s},\"digest\":{\"hash\":%u,\"iterations\":%u,\"slots\":%u},\"slots\":{",
           l->uuid_text, (unsigned long long)l->seqid, l->hdr_size, l->from_secondary ? "true" : "false",
           l->reencrypting ? "true" : "false", l->n_slots, l->n_tokens, (unsigned long long)l->segment[0].off,
           l->segment[0].sector_size, l->segment[0].key_size, l->segment[0].cipher == LUKS2_XTS_PLAIN64 ? "true" : "false",
           l->digest[0].hash, l->digest[0].iterations, l->digest[0].slots);
    bool first = true;
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        if (l->slot[i].used) {
            show_slot(i, &l->slot[i], first);
            first = false;
        }
    printf("},\"tokens\":{");
    first = true;
    for (unsigned i = 0; i < LUKS2_TOKENS; i++)
        if (l->token[i].used) {
            show_token(i, &l->token[i], first);
            first = false;
        }
    printf("}}\n");
}

static enum err open_slot(const struct volume_io *io, const struct luks2 *l, unsigned slot, const char *path)
{
    static uint8_t area[LUKS2_AREA_MAX];
    uint8_t *pass, hash[CR_SHA256_SIZE];
    size_t len;
    SECRET(key);
    TRY(file_read(path, 4096, &pass, &len));
    enum err e = luks2_open_slot(io, l, slot, pass, len, area, sizeof area, &key);
    cr_wipe(pass, len);
    free(pass);
    TRY(e);
    TRY(cr_sha256(key.bytes, key.len, hash));
    print_hex("OK ", hash, sizeof hash);
    return ERR_OK;
}

static enum err fingerprint(const struct volume_io *io, const struct luks2 *l, unsigned slot)
{
    static uint8_t area[LUKS2_AREA_MAX];
    uint8_t hash[32];
    TRY(luks2_fingerprint(io, l, slot, area, sizeof area, hash));
    print_hex("", hash, sizeof hash);
    return ERR_OK;
}

static enum err run(int argc, char **argv, const struct volume_io *io)
{
    static struct luks2 l;
    size_t len = LUKS2_SCRATCH(LUKS2_HDR_MAX);
    if (strcmp(argv[1], "probe") == 0)
        return probe(io);
    void *scratch = malloc(len);
    enum err e = scratch == NULL ? ERR_NOMEM : luks2_load(io, scratch, len, &l);
    free(scratch);
    TRY(e);
    unsigned slot = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    if (strcmp(argv[1], "show") == 0) {
        show(&l);
        return ERR_OK;
    }
    if (strcmp(argv[1], "open") == 0 && argc == 5)
        return open_slot(io, &l, slot, argv[4]);
    return strcmp(argv[1], "fingerprint") == 0 && argc == 4 ? fingerprint(io, &l, slot) : ERR_RANGE;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: luks2_tool probe|show|open|fingerprint IMG [SLOT [PASSFILE]]\n");
        return 2;
    }
    int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    const struct volume_io io = {.read = read_fd, .ctx = &fd};
    enum err e = fd < 0 ? ERR_IO : run(argc, argv, &io);
    if (e != ERR_OK)
        fprintf(stderr, "%s\n", err_name(e));
    return e == ERR_OK ? 0 : 1;
}
