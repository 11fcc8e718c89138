/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/argon2.h"
#include "crypto/argon2_run.h"

#define LENGTH_MAX INT32_MAX /* of every input; Argon2 itself would take twice that */
#define RET_MIN    4         /* RFC 9106 section 3.1 */
#define RET_MAX    1024

static enum err check(const struct cr_part *password, const struct cr_part *salt, uint32_t time,
                      uint32_t memory_kib, uint32_t lanes, size_t ret_len)
{
    if (lanes == 0 || lanes > CR_ARGON2_LANES_MAX || time == 0 || memory_kib < 8 * lanes ||
        memory_kib > CR_ARGON2_MEMORY_MAX_KIB)
        return ERR_RANGE;
    return password->len > LENGTH_MAX || salt->len < CR_ARGON2_SALT_MIN || salt->len > LENGTH_MAX ||
                   ret_len < RET_MIN || ret_len > RET_MAX
               ? ERR_RANGE
               : ERR_OK;
}

/* The library takes inputs without const; it changes them only where its flags ask for that. */
static uint8_t *input(const struct cr_part *part)
{
    return (uint8_t *)(uintptr_t)part->p;
}

static enum err err_from_argon2(int code)
{
    switch (code) {
    case ARGON2_OK:
        return ERR_OK;
    case ARGON2_MEMORY_ALLOCATION_ERROR:
        return ERR_NOMEM;
    default: /* sizes are checked before */
        return ERR_INTERNAL;
    }
}

enum err cr_argon2_with(enum cr_argon2_type type, const struct cr_part *password, const struct cr_part *salt,
                        const struct cr_part *secret, const struct cr_part *data, uint32_t time,
                        uint32_t memory_kib, uint32_t lanes, uint8_t *ret, size_t ret_len)
{
    if (type != CR_ARGON2I && type != CR_ARGON2ID)
        return ERR_UNSUPPORTED;
    TRY(check(password, salt, time, memory_kib, lanes, ret_len));
    argon2_context context = {
        .out = ret,
        .outlen = (uint32_t)ret_len,
        .pwd = input(password),
        .pwdlen = (uint32_t)password->len,
        .salt = input(salt),
        .saltlen = (uint32_t)salt->len,
        .secret = input(secret),
        .secretlen = (uint32_t)secret->len,
        .ad = input(data),
        .adlen = (uint32_t)data->len,
        .t_cost = time,
        .m_cost = memory_kib,
        .lanes = lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .flags = ARGON2_DEFAULT_FLAGS,
    };
    return err_from_argon2(argon2_run(&context, type == CR_ARGON2I ? Argon2_i : Argon2_id));
}

enum err cr_argon2(enum cr_argon2_type type, const void *password, size_t password_len, const void *salt,
                   size_t salt_len, uint32_t time, uint32_t memory_kib, uint32_t lanes, uint8_t *ret,
                   size_t ret_len)
{
    const struct cr_part p = {password, password_len}, s = {salt, salt_len}, none = {NULL, 0};
    return cr_argon2_with(type, &p, &s, &none, &none, time, memory_kib, lanes, ret, ret_len);
}
