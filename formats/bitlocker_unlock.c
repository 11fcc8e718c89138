/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recovery passwords and passphrases: which protectors are tried, and in which company. */
#include "crypto/sha256.h"
#include "formats/bitlocker_stretch.h"

/* One search: the first digest, and what opened. */
struct attempt {
    const struct bitlocker *b;
    uint8_t kind;
    uint8_t first[32];
    unsigned opened; /* protector */
    struct secret vmk;
};

static void attempt_wipe(struct attempt *a)
{
    cr_wipe(a, sizeof *a);
}
#define ATTEMPT(name, ...) __attribute__((cleanup(attempt_wipe))) struct attempt name = {__VA_ARGS__}

static enum err open_with(struct attempt *a, unsigned protector, const uint8_t key[static 32])
{
    TRY(bitlocker_protector_open(a->b, &a->b->protector[protector], key, &a->vmk));
    a->opened = protector;
    return ERR_OK;
}

static enum err try_one(struct attempt *a, unsigned protector)
{
    uint8_t key[32];
    const uint8_t *salt = bitlocker_protector_salt(a->b, &a->b->protector[protector]);
    if (salt == NULL)
        return ERR_FORMAT;
    bitlocker_stretch(a->first, salt, key);
    enum err e = open_with(a, protector, key);
    cr_wipe(key, sizeof key);
    return e;
}

static enum err try_two(struct attempt *a, unsigned p, unsigned q)
{
    uint8_t key_p[32], key_q[32];
    const uint8_t *salt_p = bitlocker_protector_salt(a->b, &a->b->protector[p]);
    const uint8_t *salt_q = bitlocker_protector_salt(a->b, &a->b->protector[q]);
    if (salt_p == NULL || salt_q == NULL)
        return ERR_FORMAT;
    bitlocker_stretch2(a->first, salt_p, salt_q, key_p, key_q);
    enum err e = open_with(a, p, key_p);
    if (e == ERR_AUTH)
        e = open_with(a, q, key_q);
    cr_wipe(key_p, sizeof key_p);
    cr_wipe(key_q, sizeof key_q);
    return e;
}

static bool fits(const struct attempt *a, unsigned protector)
{
    return protector < a->b->n_protectors && a->b->protector[protector].kind == a->kind &&
           a->b->protector[protector].opens_here;
}

/* The next fitting protector of a share, from *at on; n_protectors when there is none. *nth counts the
 * fitting. */
static unsigned next(const struct attempt *a, unsigned share, unsigned n_shares, unsigned *at, unsigned *nth)
{
    while (*at < a->b->n_protectors) {
        unsigned i = (*at)++;
        if (fits(a, i) && (*nth)++ % n_shares == share)
            return i;
    }
    return a->b->n_protectors;
}

static enum err try_share(struct attempt *a, unsigned share, unsigned n_shares)
{
    unsigned at = 0, nth = 0, none = a->b->n_protectors;
    enum err worst = ERR_NOT_FOUND;
    for (;;) {
        unsigned p = next(a, share, n_shares, &at, &nth);
        if (p == none)
            return worst;
        /* without SHA-NI two cost twice as much as one, and the first may open */
        unsigned q = cr_sha256_path() == CR_SHA256_NI ? next(a, share, n_shares, &at, &nth) : none;
        enum err e = q == none ? try_one(a, p) : try_two(a, p, q);
        if (e != ERR_AUTH)
            return e;
        worst = ERR_AUTH;
    }
}

static enum err hand_over(struct attempt *a, enum err e, unsigned *ret_protector, struct secret *ret_vmk)
{
    TRY(e);
    *ret_protector = a->opened;
    *ret_vmk = a->vmk;
    return ERR_OK;
}

enum err bitlocker_try_recovery(const struct bitlocker *b, unsigned protector,
                                const uint8_t password[static RP_BYTES], struct secret *ret_vmk)
{
    ATTEMPT(a, .b = b, .kind = BITLOCKER_RECOVERY);
    unsigned which;
    if (!fits(&a, protector))
        return ERR_NOT_FOUND;
    TRY(bitlocker_first_recovery(password, a.first));
    return hand_over(&a, try_one(&a, protector), &which, ret_vmk);
}

enum err bitlocker_try_passphrase(const struct bitlocker *b, unsigned protector, const char *text, size_t len,
                                  struct secret *ret_vmk)
{
    ATTEMPT(a, .b = b, .kind = BITLOCKER_PASSPHRASE);
    unsigned which;
    if (!fits(&a, protector))
        return ERR_NOT_FOUND;
    TRY(bitlocker_first_passphrase(text, len, a.first));
    return hand_over(&a, try_one(&a, protector), &which, ret_vmk);
}

enum err bitlocker_unlock_recovery_share(const struct bitlocker *b, const uint8_t password[static RP_BYTES],
                                         unsigned share, unsigned n_shares, unsigned *ret_protector,
                                         struct secret *ret_vmk)
{
    ATTEMPT(a, .b = b, .kind = BITLOCKER_RECOVERY);
    if (n_shares == 0 || share >= n_shares)
        return ERR_RANGE;
    TRY(bitlocker_first_recovery(password, a.first));
    return hand_over(&a, try_share(&a, share, n_shares), ret_protector, ret_vmk);
}

enum err bitlocker_unlock_recovery(const struct bitlocker *b, const uint8_t password[static RP_BYTES],
                                   unsigned *ret_protector, struct secret *ret_vmk)
{
    return bitlocker_unlock_recovery_share(b, password, 0, 1, ret_protector, ret_vmk);
}

enum err bitlocker_unlock_passphrase(const struct bitlocker *b, const char *text, size_t len,
                                     unsigned *ret_protector, struct secret *ret_vmk)
{
    ATTEMPT(a, .b = b, .kind = BITLOCKER_PASSPHRASE);
    TRY(bitlocker_first_passphrase(text, len, a.first));
    return hand_over(&a, try_share(&a, 0, 1), ret_protector, ret_vmk);
}
