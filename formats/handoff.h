#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What passes between recovery app and operating system in EFI variables: the two shares of a recovery
 * password, the reason for recovery, the boot event. Contents without the 4 attribute bytes that Linux
 * puts in front. Layouts: docs/formats.md. Both worlds. */

#include "crypto/err.h"
#include "formats/guid.h"
#include "formats/names.h"
#include "formats/recovery_password.h"
#include <stddef.h>
#include <stdint.h>

#define HANDOFF_SHARE_LEN  72
#define HANDOFF_REASON_LEN 16
#define HANDOFF_EVENT_LEN  64

/* Split a password: share = password XOR pad. nonce and pad are fresh random bytes of the caller.
 * ret_pad goes to the volatile variable, ret_share to the non-volatile one. */
void handoff_split(const struct guid *volume, const struct guid *key_id, const uint8_t nonce[static 16],
                   const uint8_t pad[static RP_BYTES], const uint8_t password[static RP_BYTES],
                   uint8_t ret_pad[static HANDOFF_SHARE_LEN], uint8_t ret_share[static HANDOFF_SHARE_LEN]);
/* Join two shares.
 * ret_password: 16 bytes in a secret
 * err: FORMAT, VERSION, TRUNCATED, CONFLICT (shares of two different hand-offs) */
MUST_CHECK enum err handoff_join(const uint8_t *pad, size_t pad_len, const uint8_t *share, size_t share_len,
                                 struct guid *ret_volume, struct guid *ret_key_id,
                                 struct secret *ret_password);

struct handoff_reason {
    uint8_t reason; /* enum kh_reason */
    uint64_t time;  /* seconds UTC, 0 unknown */
};
void handoff_reason_encode(const struct handoff_reason *r, uint8_t ret[static HANDOFF_REASON_LEN]);
MUST_CHECK enum err handoff_reason_decode(const uint8_t *in, size_t len, struct handoff_reason *ret);

enum boot_result { BOOT_OPENED = 1, BOOT_NOT_OPENED = 2 };

struct boot_event {
    struct guid key_id, volume;
    uint64_t time;     /* firmware clock, seconds UTC, 0 unknown */
    uint8_t result;    /* enum boot_result */
    uint8_t reason;    /* enum kh_reason */
    uint16_t attempts; /* wrong passwords before */
};
void boot_event_encode(const struct boot_event *e, uint8_t ret[static HANDOFF_EVENT_LEN]);
MUST_CHECK enum err boot_event_decode(const uint8_t *in, size_t len, struct boot_event *ret);
