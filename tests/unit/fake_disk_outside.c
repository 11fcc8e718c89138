/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fake disk from outside: made, looked at, and changed by others, with no fault in the way. */
#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_disk_json.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct fake_disk *fake_disk;
uint8_t fake_volume_key[FAKE_KEY] = "the volume's key";

/* What opening a keyslot gives depends on nothing but these bytes: it is asked thousands of times, and worked
 * out once. */
#define REMEMBERED 64
static struct opened {
    uint8_t of[CR_SHA256_SIZE];
    enum err e;
    struct secret key;
} * remembered; /* shared with child processes, too */
static unsigned *next_one;

static void name_of(const struct luks2 *l, unsigned slot, const void *passphrase, size_t len,
                    uint8_t ret[static 32])
{
    const struct luks2_slot *s = &l->slot[slot];
    const struct luks2_digest *d = &l->digest[0];
    const struct cr_part parts[] = {{s->salt, sizeof s->salt},
                                    {&s->iterations, sizeof s->iterations},
                                    {fake_disk->image.p + s->area_off, FAKE_AREA},
                                    {&d->iterations, sizeof d->iterations},
                                    {d->salt, sizeof d->salt},
                                    {d->value, sizeof d->value},
                                    {passphrase, len}};
    if (cr_hash_parts(CR_SHA256, parts, 7, ret) != ERR_OK)
        abort();
}

enum err fake_disk_open_slot(const struct luks2 *l, unsigned slot, const void *passphrase, size_t len,
                             struct secret *ret)
{
    static uint8_t area[FAKE_AREA];
    uint8_t of[CR_SHA256_SIZE];
    struct volume_io io = image_io(&fake_disk->image);
    if (slot >= LUKS2_SLOTS || !l->slot[slot].supported)
        return ERR_NOT_FOUND;
    name_of(l, slot, passphrase, len, of);
    struct opened *o = NULL;
    for (unsigned i = 0; !o && i < REMEMBERED; i++)
        o = memcmp(remembered[i].of, of, sizeof of) == 0 ? &remembered[i] : NULL;
    if (!o) {
        o = &remembered[(*next_one)++ % REMEMBERED];
        memcpy(o->of, of, sizeof of);
        o->e = luks2_open_slot(&io, l, slot, passphrase, len, area, sizeof area, &o->key);
    }
    if (o->e == ERR_OK)
        *ret = o->key;
    return o->e;
}

static void *shared(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

/* A hand of somebody else's on the bytes, which no fault hits. */
static void lay_hands_on(void (*what)(struct disk *d, const void *with), const void *with)
{
    struct disk d = {0};
    if (fake_disk_parse(&d) != ERR_OK)
        abort();
    what(&d, with);
    json_object_put(d.header);
}

struct slot_of {
    unsigned slot;
    const char *passphrase;
};

static void do_add_slot(struct disk *d, const void *with)
{
    const struct slot_of *s = with;
    if (fake_disk_add_slot(d, &(struct operation){0}, s->slot, FAKE_COUNT, s->passphrase,
                           strlen(s->passphrase)) != ERR_OK)
        abort();
}

static void do_destroy_slot(struct disk *d, const void *with)
{
    const struct slot_of *s = with;
    fake_disk_wipe_area(d, s->slot);
    fake_json_remove_slot(d->header, s->slot);
    if (fake_disk_commit(d, &(struct operation){0}) != ERR_OK)
        abort();
}

static void do_put_token(struct disk *d, const void *with)
{
    int n;
    if (fake_disk_put_token(d, &(struct operation){0}, DISK_TOKEN_NEW, with, &n) != ERR_OK)
        abort();
}

static void do_remove_token(struct disk *d, const void *with)
{
    int n;
    if (fake_disk_put_token(d, &(struct operation){0}, *(const int *)with, NULL, &n) != ERR_OK)
        abort();
}

void fake_rival_add_slot(unsigned slot, const char *passphrase)
{
    lay_hands_on(do_add_slot, &(struct slot_of){slot, passphrase});
}

void fake_rival_destroy_slot(unsigned slot)
{
    lay_hands_on(do_destroy_slot, &(struct slot_of){.slot = slot});
}

void fake_rival_put_token(const char *json)
{
    lay_hands_on(do_put_token, json);
}

void fake_rival_remove_token(int token)
{
    lay_hands_on(do_remove_token, &token);
}

static void do_edit(struct disk *d, const void *with)
{
    void (*const *change)(json_object * header) = with;
    (*change)(d->header);
    if (fake_disk_commit(d, &(struct operation){0}) != ERR_OK)
        abort();
}

void fake_rival_edit(void (*change)(struct json_object *header))
{
    lay_hands_on(do_edit, &change);
}

void fake_rival_destroy_header(void)
{
    memset(fake_disk->image.p, 0, FAKE_START);
}

void fake_rival_flip(unsigned slot)
{
    fake_disk->image.p[fake_disk_look()->slot[slot].area_off + 1000] ^= 1;
}

void fake_disk_make(void)
{
    struct image i;
    char *text = fake_json_new(fake_volume_key);
    image_make(&i, text, strlen(text), FAKE_HDR);
    fake_disk = shared(sizeof *fake_disk);
    if (!remembered) {
        remembered = shared(REMEMBERED * sizeof *remembered);
        next_one = shared(sizeof *next_one);
    }
    fake_disk->image = i;
    fake_disk->image.p = shared(i.len);
    memcpy(fake_disk->image.p, i.p, i.len);
    image_free(&i);
    free(text);
    fake_rival_add_slot(0, FAKE_DISK_PASSPHRASE);
    fake_rival_put_token(
        "{\"type\":\"clevis\",\"keyslots\":[\"0\"],\"jwe\":{\"a\":[1,-2.5e3,true,null],\"b\":\"x/y\"}}");
    fake_disk_restart();
}

void fake_disk_free(void)
{
    (void)munmap(fake_disk->image.p, fake_disk->image.len);
    (void)munmap(fake_disk, sizeof *fake_disk);
    fake_disk = NULL;
}

void fake_disk_restart(void)
{
    const struct image i = fake_disk->image;
    *fake_disk = (struct fake_disk){.image = i};
}

void fake_disk_save(uint8_t *ret)
{
    memcpy(ret, fake_disk->image.p, IMAGE_SIZE);
}

void fake_disk_restore(const uint8_t *bytes)
{
    memcpy(fake_disk->image.p, bytes, IMAGE_SIZE);
}

struct luks2 *fake_disk_look(void)
{
    static struct luks2 l;
    if (image_load(&fake_disk->image, &l) != ERR_OK)
        abort();
    return &l;
}

bool fake_disk_opens_slot(unsigned slot, const void *passphrase, size_t len)
{
    SECRET(key);
    return fake_disk_open_slot(fake_disk_look(), slot, passphrase, len, &key) == ERR_OK &&
           key.len == FAKE_KEY && memcmp(key.bytes, fake_volume_key, FAKE_KEY) == 0;
}

int fake_disk_opens(const void *passphrase, size_t len)
{
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        if (fake_disk_opens_slot(i, passphrase, len))
            return (int)i;
    return -1;
}

static void do_hash(struct disk *d, const void *with)
{
    uint8_t *const *ret = with;
    fake_json_hash_others(d->header, fake_disk->image.p, *ret);
}

void fake_disk_others(uint8_t ret[static 32])
{
    lay_hands_on(do_hash, &ret);
}
