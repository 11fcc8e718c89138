/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/totp.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include <stdio.h>
#include <string.h>

enum err totp_code(const uint8_t secret[static TOTP_SECRET], uint64_t step, char ret[static TOTP_DIGITS + 1])
{
    uint8_t counter[8], mac[20];
    for (unsigned i = 0; i < 8; i++)
        counter[i] = (uint8_t)(step >> (56 - 8 * i));
    const struct cr_part part = {counter, sizeof counter};
    TRY(cr_hmac(CR_SHA1, secret, TOTP_SECRET, &part, 1, mac));
    const uint8_t *at = mac + (mac[19] & 15);
    uint32_t number = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    snprintf(ret, TOTP_DIGITS + 1, "%06u", (unsigned)(number % 1000000));
    cr_wipe(mac, sizeof mac);
    return ERR_OK;
}

enum err totp_check(const uint8_t secret[static TOTP_SECRET], const char *code, uint64_t now,
                    uint64_t last_step, uint64_t *ret_step)
{
    uint64_t step = now / TOTP_STEP_S;
    if (strlen(code) != TOTP_DIGITS)
        return ERR_AUTH;
    for (uint64_t s = step > TOTP_STEPS_OFF ? step - TOTP_STEPS_OFF : 0; s <= step + TOTP_STEPS_OFF; s++) {
        char want[TOTP_DIGITS + 1];
        TRY(totp_code(secret, s, want));
        if (s <= last_step || !cr_equal(want, code, TOTP_DIGITS))
            continue;
        *ret_step = s;
        return ERR_OK;
    }
    return ERR_AUTH;
}
