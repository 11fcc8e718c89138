/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/enroll_text.h"
#include "crypto/cursor.h"
#include "crypto/hash.h"

static const char label[] = "keyholt enroll v1"; /* with its zero byte */

enum err enroll_text(const uint8_t token[static 32], const uint8_t *csr, size_t csr_len, uint64_t time,
                     uint8_t ret[static ENROLL_TEXT_LEN])
{
    struct writer w;
    uint8_t hash[CR_SHA256_SIZE];
    size_t len;
    _Static_assert(sizeof label == 18, "the label and its zero byte");
    TRY(cr_sha256(csr, csr_len, hash));
    writer_init(&w, ret, ENROLL_TEXT_LEN);
    writer_bytes(&w, label, sizeof label);
    writer_bytes(&w, token, 32);
    writer_bytes(&w, hash, sizeof hash);
    writer_u64(&w, time);
    TRY(writer_end(&w, &len));
    return len == ENROLL_TEXT_LEN ? ERR_OK : ERR_INTERNAL;
}
