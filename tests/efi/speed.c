/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long bare PBKDF2-HMAC-SHA256 takes on this machine, for a passphrase of a volume key's length and one
 * block of output: what the recovery app's times are compared with. Prints a line, then switches off. */
#include "crypto/hash.h"
#include "efi/firmware.h"

#define ITERATIONS 100000u
#define RUNS       3

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static void put(const char *text)
{
    for (; *text; text++) {
        CHAR16 c[2] = {(unsigned char)*text, 0};
        fw.st->ConOut->OutputString(fw.st->ConOut, c);
    }
}

static void put_u64(uint64_t v)
{
    char digits[21] = "", *p = digits + 20;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    put(p);
}

/* The fastest of some: other work of the machine only adds. */
static uint64_t best_ms(void)
{
    static const uint8_t key[64] = {1, 2, 3}, salt[32] = {4, 5, 6};
    uint64_t best = UINT64_MAX;
    uint8_t out[32];
    for (int i = 0; i < RUNS; i++) {
        uint64_t start = firmware_uptime_ms();
        if (cr_pbkdf2(CR_SHA256, key, sizeof key, salt, sizeof salt, ITERATIONS, out, sizeof out) != ERR_OK)
            return 0;
        uint64_t took = firmware_uptime_ms() - start;
        best = took < best ? took : best;
    }
    return best;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    firmware_uptime_ms(); /* measures the counter */
    put("\r\nPBKDF2 ");
    put_u64(ITERATIONS);
    put(" iterations in ");
    put_u64(best_ms());
    put(" ms\r\n");
    firmware_power_off();
}
