/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/plain.h"
#include <string.h>

enum err plain_of_luks2(struct disk *d, const struct luks2 *l, unsigned slot, const struct secret *key,
                        const char **ret_why, struct plain **ret)
{
    struct luks2_problem why = {.what = NULL};
    struct plain *p = firmware_alloc(sizeof *p);
    if (!p)
        return ERR_NOMEM;
    p->disk = d;
    enum err e = luks2_data_init(l, &d->io, d->size, &why, &p->luks);
    if (e == ERR_OK)
        e = luks2_data_key(&p->luks, slot, key);
    if (e == ERR_OK) {
        p->size = p->luks.size;
        p->block_size = p->luks.sector_size;
        e = plain_look(p);
    }
    if (e != ERR_OK) {
        *ret_why = why.what;
        plain_free(p);
        return e;
    }
    *ret = p;
    return ERR_OK;
}

enum err plain_of_bitlocker(struct disk *d, const char **ret_why, struct plain **ret)
{
    struct bitlocker_problem problem = {.what = NULL};
    struct plain *p = firmware_alloc(sizeof *p);
    if (!p)
        return ERR_NOMEM;
    p->disk = d;
    p->memory = firmware_alloc(BITLOCKER_MEMORY);
    enum err e = p->memory
                     ? bitlocker_load(&d->io, d->size, p->memory, BITLOCKER_MEMORY, &p->bitlocker, &problem)
                     : ERR_NOMEM;
    if (e != ERR_OK) {
        *ret_why = problem.what;
        plain_free(p);
        return e;
    }
    *ret = p;
    return ERR_OK;
}

enum err plain_unlock_bitlocker(struct plain *p, const struct secret *vmk, const char **ret_why)
{
    struct bitlocker_problem problem = {.what = NULL};
    enum err e = bitlocker_open(&p->bitlocker, vmk, &p->content, &problem);
    if (e == ERR_OK) {
        p->size = p->bitlocker.size;
        p->block_size = p->bitlocker.sector_size;
        e = plain_look(p);
    }
    if (e != ERR_OK)
        *ret_why = problem.what;
    return e;
}

enum err plain_read(struct plain *p, uint64_t off, void *buf, size_t len)
{
    if (p->wiped)
        return ERR_IO;
    return p->memory ? bitlocker_read(&p->content, off, buf, len) : luks2_read(&p->luks, off, buf, len);
}

enum err plain_look(struct plain *p)
{
    uint8_t head[FILE_SYSTEM_HEAD];
    p->file_system = FILE_SYSTEM_UNKNOWN;
    if (p->size < sizeof head)
        return ERR_OK;
    TRY(plain_read(p, 0, head, sizeof head));
    p->file_system = file_system_of(head, sizeof head);
    cr_wipe(head, sizeof head);
    return ERR_OK;
}

void plain_wipe(struct plain *p)
{
    p->wiped = true;
    luks2_data_wipe(&p->luks);
    bitlocker_wipe(&p->content);
    if (p->memory)
        cr_wipe(p->memory, BITLOCKER_MEMORY); /* a clear key may lie open in it */
}

void plain_free(struct plain *p)
{
    if (!p)
        return;
    plain_wipe(p);
    firmware_free(p->memory);
    firmware_free(p);
}
