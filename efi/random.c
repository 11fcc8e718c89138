/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cr_random() for EFI: whatever the firmware's and the processor's generators give, hashed together with the
 * time stamp counter, so that one bad source does not spoil a good one. */
#include "crypto/random.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "efi/firmware.h"
#include <cpuid.h>
#include <stdbool.h>
#include <string.h>

#define SOURCE_LEN   32
#define RDRAND_TRIES 10 /* Intel SDM volume 1, 7.3.17.1 */

/* gnu-efi declares this protocol only without the MS calling convention's checks. */
struct rng_protocol {
    EFI_STATUS(EFIAPI *info)(struct rng_protocol *self, UINTN *len, EFI_GUID *list);
    EFI_STATUS(EFIAPI *get)(struct rng_protocol *self, EFI_GUID *algorithm, UINTN len, UINT8 *ret);
};

static bool from_firmware(uint8_t ret[static SOURCE_LEN])
{
    static EFI_GUID guid = {0x3152bca5, 0xeade, 0x433d, {0x86, 0x2e, 0xc0, 0x1c, 0xdc, 0x29, 0x1f, 0x44}};
    void *p = NULL;
    if (fw.bs->LocateProtocol(&guid, NULL, &p) != EFI_SUCCESS)
        return false;
    struct rng_protocol *rng = p;
    return rng->get(rng, NULL, SOURCE_LEN, ret) == EFI_SUCCESS;
}

static bool rdrand(uint64_t *ret)
{
    for (int i = 0; i < RDRAND_TRIES; i++) {
        uint8_t ok;
        uint64_t v;
        __asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=qm"(ok) : : "cc");
        if (ok) {
            *ret = v;
            return true;
        }
    }
    return false;
}

/* Some processors answer "success" with a constant after a suspend or without a microcode update. */
static bool from_processor(uint8_t ret[static SOURCE_LEN])
{
    unsigned a, b, c = 0, d;
    uint64_t v[SOURCE_LEN / 8];
    bool stuck = true;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_RDRND))
        return false;
    for (size_t i = 0; i < SOURCE_LEN / 8; i++) {
        if (!rdrand(&v[i]))
            return false;
        stuck = stuck && v[i] == v[0];
    }
    memcpy(ret, v, SOURCE_LEN);
    cr_wipe(v, sizeof v);
    return !stuck;
}

enum err cr_random(void *ret, size_t len)
{
    static uint64_t counter;
    uint8_t firmware[SOURCE_LEN], processor[SOURCE_LEN], block[CR_SHA256_SIZE];
    uint8_t *out = ret;
    enum err e = ERR_OK;
    while (len > 0 && e == ERR_OK) {
        uint64_t stamp[2] = {++counter, firmware_ticks()};
        bool one = from_firmware(firmware), two = from_processor(processor);
        const struct cr_part part[] = {
            {stamp, sizeof stamp}, {firmware, one ? SOURCE_LEN : 0}, {processor, two ? SOURCE_LEN : 0}};
        e = one || two ? cr_hash_parts(CR_SHA256, part, 3, block) : ERR_UNSUPPORTED;
        if (e != ERR_OK)
            break;
        size_t n = len < sizeof block ? len : sizeof block;
        memcpy(out, block, n);
        out += n;
        len -= n;
    }
    cr_wipe(firmware, sizeof firmware);
    cr_wipe(processor, sizeof processor);
    cr_wipe(block, sizeof block);
    return e;
}
