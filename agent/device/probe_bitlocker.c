/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/device_io.h"
#include "agent/device/probe.h"
#include "formats/bitlocker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t kind_of(uint8_t kind)
{
    static const uint8_t kinds[] = {[BITLOCKER_CLEAR_KEY] = PROTECTOR_CLEAR_KEY,
                                    [BITLOCKER_RECOVERY] = PROTECTOR_RECOVERY,
                                    [BITLOCKER_PASSPHRASE] = PROTECTOR_PASSPHRASE,
                                    [BITLOCKER_STARTUP_KEY] = PROTECTOR_STARTUP_KEY,
                                    [BITLOCKER_TPM] = PROTECTOR_TPM,
                                    [BITLOCKER_TPM_PIN] = PROTECTOR_TPM_PIN,
                                    [BITLOCKER_TPM_STARTUP_KEY] = PROTECTOR_TPM_STARTUP_KEY,
                                    [BITLOCKER_TPM_PIN_STARTUP_KEY] = PROTECTOR_TPM_PIN_STARTUP_KEY,
                                    [BITLOCKER_PUBLIC_KEY] = PROTECTOR_PUBLIC_KEY};
    return kind > 0 && kind < sizeof kinds ? kinds[kind] : PROTECTOR_OTHER;
}

static void take(const struct bitlocker *b, struct probed *p)
{
    p->has_volume_id = true;
    p->volume_id = b->volume_id;
    p->key_bits = b->key_bits;
    p->suspended = b->suspended;
    p->decrypted = b->state == BITLOCKER_DECRYPTED;
    p->reencrypting = b->state == BITLOCKER_ENCRYPTING || b->state == BITLOCKER_DECRYPTING;
    (void)snprintf(p->cipher, sizeof p->cipher, "%s", bitlocker_method_name(b->method));
    for (unsigned i = 0; i < BITLOCKER_BLOCKS; i++)
        p->damaged = p->damaged || b->block[i].problem.what;
    for (unsigned i = 0; i < b->n_protectors && p->n_protectors < PROBED_PROTECTORS; i++)
        p->protector[p->n_protectors++] = (struct probed_protector){
            .kind = kind_of(b->protector[i].kind), .n = 1, .has_id = true, .id = b->protector[i].key_id};
}

bool probe_bitlocker(const int *fd, struct probed *p)
{
    struct volume_io io = device_io(fd);
    struct bitlocker_problem why = {"it cannot be read", 0};
    struct bitlocker *b;
    uint64_t size;
    bool there = false;
    if (bitlocker_probe(&io, &there) != ERR_OK || !there || device_size(*fd, &size) != ERR_OK)
        return false;
    b = calloc(1, sizeof *b);
    void *memory = malloc(BITLOCKER_MEMORY);
    enum err e = b && memory ? bitlocker_load(&io, size, memory, BITLOCKER_MEMORY, b, &why) : ERR_NOMEM;
    if (e == ERR_OK)
        take(b, p);
    else
        (void)snprintf(p->problem, sizeof p->problem, "its BitLocker metadata: %s",
                       why.what ? why.what : err_text(e));
    free(memory);
    free(b);
    return true;
}
