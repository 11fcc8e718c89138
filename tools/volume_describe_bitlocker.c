/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume_describe.h"
#include <stdio.h>
#include <stdlib.h>

/* As dm-crypt calls it. */
static const char *cipher_name(uint16_t method)
{
    switch (method) {
    case BITLOCKER_AES128_ELEPHANT:
    case BITLOCKER_AES256_ELEPHANT:
        return "aes-cbc-elephant";
    case BITLOCKER_AES128_CBC:
    case BITLOCKER_AES256_CBC:
        return "aes-cbc-eboiv";
    case BITLOCKER_AES128_XTS:
    case BITLOCKER_AES256_XTS:
        return "aes-xts-plain64";
    default:
        return "";
    }
}

static void describe_state(struct volume_info *info, const struct bitlocker *b)
{
    static const char *const words[] = {"unknown", "encrypted", "encrypting", "decrypting", "decrypted"};
    unsigned state = b->state <= BITLOCKER_DECRYPTED ? b->state : 0;
    char how_far[96] = "";
    bool little = b->encrypted_size < UINT64_C(16) << 20;
    info->state = words[state];
    info->suspended = b->suspended;
    if (b->encrypt_on_write)
        snprintf(how_far, sizeof how_far,
                 " on write: what was written since is encrypted, the rest is in clear");
    else if (state == BITLOCKER_ENCRYPTING || state == BITLOCKER_DECRYPTING)
        snprintf(how_far, sizeof how_far, "%s: the first %llu %s are encrypted, the rest is in clear",
                 b->paused ? ", paused" : "", (unsigned long long)(b->encrypted_size >> (little ? 10 : 20)),
                 little ? "KiB" : "MiB");
    snprintf(info->state_text, sizeof info->state_text, "%s%s%s", bitlocker_state_name(b->state), how_far,
             b->suspended ? "; protection is suspended: the clear key opens it, no password is needed" : "");
}

/* How many of the blocks are good, and what is wrong with the first that is not. */
static void describe_header(struct volume_info *info, const struct bitlocker *b)
{
    unsigned n_bad = 0, first = 0;
    for (unsigned i = BITLOCKER_BLOCKS; i-- > 0;)
        if (b->block[i].problem.what) {
            n_bad++;
            first = i;
        }
    if (n_bad)
        snprintf(info->header, sizeof info->header,
                 "%u of %u metadata blocks are good; block %u: %s (at offset %llu)",
                 (unsigned)BITLOCKER_BLOCKS - n_bad, (unsigned)BITLOCKER_BLOCKS, first + 1,
                 b->block[first].problem.what, (unsigned long long)b->block[first].problem.off);
}

static const char *why_not(uint8_t kind)
{
    switch (kind) {
    case BITLOCKER_TPM:
        return "its key comes from the computer's TPM";
    case BITLOCKER_TPM_PIN:
        return "its key comes from the computer's TPM, for a PIN";
    case BITLOCKER_TPM_STARTUP_KEY:
    case BITLOCKER_TPM_PIN_STARTUP_KEY:
        return "part of its key comes from the computer's TPM";
    case BITLOCKER_PUBLIC_KEY:
        return "its key comes from a smart card or a data recovery agent";
    case BITLOCKER_CLEAR_KEY:
    case BITLOCKER_RECOVERY:
    case BITLOCKER_PASSPHRASE:
    case BITLOCKER_STARTUP_KEY:
        return "its entry in the metadata is damaged or lacks what it seals";
    default:
        return "it is of a kind that is not known here";
    }
}

static void describe_protector(const struct bitlocker_protector *from, unsigned number,
                               struct volume_protector *p)
{
    p->number = number;
    p->has_key_id = true;
    p->key_id = from->key_id;
    p->changed = from->changed;
    p->recovery = from->kind == BITLOCKER_RECOVERY;
    p->clear = from->kind == BITLOCKER_CLEAR_KEY;
    snprintf(p->type, sizeof p->type, "%s", bitlocker_kind_name(from->kind));
    snprintf(p->note, sizeof p->note, "%s", from->description);
    if (!from->opens_here)
        snprintf(p->why_not, sizeof p->why_not, "%s", why_not(from->kind));
    if (p->recovery || from->kind == BITLOCKER_PASSPHRASE)
        p->kdf = (struct volume_kdf){.name = "sha256-chain", .hash = "sha256", .iterations = 1u << 20};
}

/* Where nothing is encrypted nothing is needed: shown as a protector, so that a person sees the way in. */
static void in_clear(unsigned number, struct volume_protector *p)
{
    *p = (struct volume_protector){.number = number, .clear = true};
    snprintf(p->type, sizeof p->type, "clear key");
    snprintf(p->note, sizeof p->note, "nothing is encrypted");
}

enum err volume_describe_bitlocker(const struct bitlocker *b, struct volume_info *info)
{
    static const char *const layouts[] = {"", "Windows Vista", "", "To Go"};
    info->protector = calloc(b->n_protectors + 1, sizeof *info->protector);
    if (!info->protector)
        return ERR_NOMEM;
    for (unsigned i = 0; i < b->n_protectors; i++)
        describe_protector(&b->protector[i], i, &info->protector[i]);
    info->n_protectors = b->n_protectors;
    if (b->state == BITLOCKER_DECRYPTED && !b->suspended)
        in_clear(info->n_protectors++, &info->protector[b->n_protectors]);
    info->format = "BitLocker";
    snprintf(info->variant, sizeof info->variant, "%s",
             b->layout <= BITLOCKER_TO_GO ? layouts[b->layout] : "");
    guid_encode(&b->volume_id, info->id);
    snprintf(info->label, sizeof info->label, "%s", b->description);
    info->created = b->created;
    snprintf(info->cipher, sizeof info->cipher, "%s", bitlocker_method_name(b->method));
    snprintf(info->cipher_name, sizeof info->cipher_name, "%s", cipher_name(b->method));
    if (!info->cipher_name[0])
        snprintf(info->why_not, sizeof info->why_not, "its encryption method, 0x%04x, is not known here",
                 b->method);
    info->key_bits = b->key_bits;
    info->sector_size = b->sector_size;
    info->size = b->size;
    describe_state(info, b);
    describe_header(info, b);
    return ERR_OK;
}
