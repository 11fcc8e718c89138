/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/device_io.h"
#include "agent/device/probe.h"
#include "formats/luks1.h"
#include "formats/luks2.h"
#include "formats/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t kind_of_token(const struct luks2_token *t)
{
    static const struct {
        const char *type;
        uint8_t kind;
    } known[] = {{KH_TOKEN_MANAGEMENT, PROTECTOR_MANAGEMENT},
                 {"systemd-tpm2", PROTECTOR_TPM},
                 {"systemd-fido2", PROTECTOR_FIDO2},
                 {"systemd-pkcs11", PROTECTOR_PKCS11},
                 {"systemd-recovery", PROTECTOR_SYSTEMD_RECOVERY},
                 {"clevis", PROTECTOR_CLEVIS}};
    if (t->used)
        return PROTECTOR_RECOVERY;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(t->type, known[i].type) == 0)
            return known[i].kind;
    return PROTECTOR_OTHER;
}

/* What a keyslot is for is what the token says that names it. */
static uint8_t kind_of_slot(const struct luks2 *l, unsigned slot)
{
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (l->token[i].there && (l->token[i].slots >> slot & 1))
            return kind_of_token(&l->token[i]);
    return PROTECTOR_PASSPHRASE;
}

static void take_luks2(const struct luks2 *l, struct probed *p)
{
    p->has_volume_id = true;
    p->volume_id = l->uuid;
    p->reencrypting = l->reencrypting;
    p->damaged = l->from_secondary;
    p->slots = l->n_slots;
    p->slots_max = LUKS2_SLOTS;
    if (l->hdr_size > LUKS2_BIN_HDR + l->json_len)
        p->room = l->hdr_size - LUKS2_BIN_HDR - l->json_len;
    for (int i = 0; i < LUKS2_TOKENS; i++)
        p->ours = p->ours || l->token[i].used;
    for (unsigned i = 0; i < l->n_segments; i++)
        if (l->segment[i].crypt) {
            (void)snprintf(p->cipher, sizeof p->cipher, "%s", l->segment[i].cipher_name);
            p->key_bits = l->segment[i].key_size * 8;
            break;
        }
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        if (l->slot[i].used && !l->slot[i].unbound && strcmp(l->slot[i].type, "reencrypt") != 0)
            probed_add_slots(p, kind_of_slot(l, i), 1);
}

static bool probe_luks2(const struct volume_io *io, struct probed *p)
{
    const size_t len = LUKS2_SCRATCH(LUKS2_HDR_MIN) * 4;
    struct luks2_problem why = {.what = "it cannot be read", .name = ""};
    struct luks2 *l = calloc(1, sizeof *l);
    void *scratch = malloc(len);
    enum err e = l && scratch ? luks2_load_why(io, scratch, len, &why, l) : ERR_NOMEM;
    if (e == ERR_OK)
        take_luks2(l, p);
    else
        (void)snprintf(p->problem, sizeof p->problem, "its LUKS2 header: %s%s%s", why.what,
                       why.name[0] ? ": " : "", why.name);
    free(scratch);
    free(l);
    return true;
}

static bool probe_luks1(const struct volume_io *io, struct probed *p)
{
    uint8_t header[LUKS1_HEADER];
    struct luks1 l;
    enum err e = io->read(io->ctx, 0, header, sizeof header);
    if (e == ERR_OK)
        e = luks1_decode(header, sizeof header, &l);
    if (e != ERR_OK) {
        (void)snprintf(p->problem, sizeof p->problem, "its LUKS1 header: %s", err_text(e));
        return true;
    }
    p->has_volume_id = true;
    p->volume_id = l.uuid;
    (void)snprintf(p->cipher, sizeof p->cipher, "%.16s-%.20s", l.cipher, l.mode);
    p->key_bits = l.key_bytes <= 512 ? l.key_bytes * 8 : 0;
    p->slots = l.slots;
    p->slots_max = LUKS1_SLOTS;
    probed_add_slots(p, PROTECTOR_PASSPHRASE, l.slots);
    return true;
}

bool probe_luks(const int *fd, struct probed *p)
{
    struct volume_io io = device_io(fd);
    enum luks2_kind kind = LUKS2_NOT_LUKS;
    if (luks2_probe(&io, &kind) != ERR_OK || kind == LUKS2_NOT_LUKS)
        return false;
    return kind == LUKS2_IS_LUKS1 ? probe_luks1(&io, p) : probe_luks2(&io, p);
}
