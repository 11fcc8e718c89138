/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Volumes of the writer as files, for tests beside cryptsetup.
 *     bitlocker_write list             the names
 *     bitlocker_write NAME OUT BEK [CONTENT]
 *                                  one JSON object: recovery passwords, passphrase, SHA-256 of what Windows
 * shows, and whether cryptsetup 2.6.1 can open the like. BEK: the startup key file, where the volume has such
 * a protector. CONTENT: a file that the volume begins with. */
#include "tests/bitlocker/bitlocker_writer.h"
#include "tests/bitlocker/bitlocker_writer_crypto.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void two_recovery(struct bw_options *o)
{
    o->n_recovery = 2;
}
static void elephant(struct bw_options *o)
{
    o->method = 0x8000;
}
static void elephant_256(struct bw_options *o)
{
    o->method = 0x8001;
}
static void cbc(struct bw_options *o)
{
    o->method = 0x8002;
}
static void cbc_256(struct bw_options *o)
{
    o->method = 0x8003;
}
static void xts_256(struct bw_options *o)
{
    o->method = 0x8005;
}
static void sectors_4k(struct bw_options *o)
{
    o->sector_size = 4096;
}
static void to_go(struct bw_options *o)
{
    o->layout = BW_TO_GO;
    o->header_len = 0x8000;
}
static void startup_key(struct bw_options *o)
{
    o->startup_key = true;
}
static void suspended(struct bw_options *o)
{
    o->clear_key = true;
}
static void no_entry(struct bw_options *o)
{
    o->header_entry = false;
}
static void listed(struct bw_options *o)
{
    o->other[o->n_others++] = 0x0100;
    o->other[o->n_others++] = 0x0500;
    o->other[o->n_others++] = 0x1000;
}
static void encrypting(struct bw_options *o)
{
    o->state_now = 5;
    o->encrypted_size = 0x90000;
}
static void on_write(struct bw_options *o)
{
    o->on_write = true;
}
static void unknown(struct bw_options *o)
{
    o->unknown = true;
}
static void nested(struct bw_options *o)
{
    o->nested = true;
}
/* The older blocks know one recovery password less. */
static void newer_block(struct bw_options *o)
{
    two_recovery(o);
    o->lacks[1] = o->lacks[2] = 1;
}
static void vista(struct bw_options *o)
{
    o->layout = BW_VISTA;
    o->method = 0x8000;
    o->seal = o->header_entry = false;
}
static void nothing(struct bw_options *o)
{
    (void)o;
}

static const struct {
    const char *name;
    void (*change)(struct bw_options *o);
    bool cryptsetup;
} rows[] = {{"xts", nothing, true},
            {"two-recovery", two_recovery, true},
            {"elephant", elephant, true},
            {"elephant-256", elephant_256, true},
            {"cbc", cbc, true},
            {"cbc-256", cbc_256, true},
            {"xts-256", xts_256, true},
            {"4k", sectors_4k, true},
            {"to-go", to_go, true},
            {"startup-key", startup_key, true},
            {"suspended", suspended, false},
            {"no-header-entry", no_entry, true},
            {"listed", listed, true},
            {"encrypting", encrypting, false},
            {"on-write", on_write, false},
            {"unknown-properties", unknown, false},
            {"nested", nested, false},
            {"newer-block", newer_block, false},
            {"vista", vista, false}};

static void print_password(const uint8_t p[16])
{
    for (unsigned i = 0; i < 8; i++)
        printf("%s%06u", i == 0 ? "" : "-", 11 * (p[2 * i] | (unsigned)p[2 * i + 1] << 8));
}

static void describe(const struct bw_options *o, const uint8_t *shown, bool cryptsetup)
{
    uint8_t hash[32];
    printf("{\"recovery\":[");
    for (unsigned i = 0; i < o->n_recovery; i++) {
        printf(i == 0 ? "\"" : ",\"");
        print_password(o->recovery[i]);
        printf("\"");
    }
    printf("],\"passphrase\":\"%s\",\"startup_key\":%s,\"clear_key\":%s,\"cryptsetup\":%s,\"sha256\":\"",
           o->passphrase, o->startup_key ? "true" : "false", o->clear_key ? "true" : "false",
           cryptsetup ? "true" : "false");
    bw_sha256(shown, o->size, hash);
    for (unsigned i = 0; i < sizeof hash; i++)
        printf("%02x", hash[i]);
    printf("\"}\n");
}

static int save(const char *path, const uint8_t *p, size_t len)
{
    FILE *f = fopen(path, "wbe");
    int failed = f == NULL || fwrite(p, 1, len, f) != len;
    return (f != NULL && fclose(f) != 0) || failed;
}

/* The beginning of a file. */
static size_t load(const char *path, uint8_t *ret, size_t most)
{
    FILE *f = fopen(path, "rbe");
    size_t len = f == NULL ? 0 : fread(ret, 1, most, f);
    if (f != NULL)
        fclose(f);
    return len;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bw_options o;
        uint8_t bek[256];
        if (argc < 4) {
            printf("%s\n", rows[i].name);
            continue;
        }
        if (strcmp(argv[1], rows[i].name) != 0)
            continue;
        bw_defaults(&o);
        o.passphrase = "correct horse";
        rows[i].change(&o);
        static uint8_t content[0x40000]; /* where the first block begins */
        if (argc > 4)
            o.content_len = load(argv[4], content, sizeof content);
        o.content = o.content_len ? content : NULL;
        uint8_t *volume = bw_make(&o), *shown = bw_shown(&o);
        int failed = save(argv[2], volume, o.size) || save(argv[3], bek, bw_startup_key(bek));
        describe(&o, shown, rows[i].cryptsetup);
        free(volume);
        free(shown);
        return failed;
    }
    return argc < 4 ? 0 : 2;
}
