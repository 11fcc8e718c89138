/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Loaded into the keeper by make bench: how long libcryptsetup works for it. The nanoseconds of all calls are
 * added up in the file CRYPTSETUP_TIME (u64), which the bench reads; what we do beyond them is ours. */
#include <dlfcn.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t *sum;
static unsigned depth; /* libcryptsetup may call itself */

__attribute__((constructor)) static void open_sum(void)
{
    const char *path = getenv("CRYPTSETUP_TIME");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    sum = p == MAP_FAILED ? NULL : p;
    if (fd >= 0)
        (void)close(fd);
}

static uint64_t now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#define TIMED(ret_, name_, params_, args_)                                                                   \
    ret_ name_ params_                                                                                       \
    {                                                                                                        \
        static ret_(*real) params_;                                                                          \
        if (!real)                                                                                           \
            *(void **)&real = dlsym(RTLD_NEXT, #name_);                                                      \
        uint64_t start = now();                                                                              \
        depth++;                                                                                             \
        ret_ r = real args_;                                                                                 \
        if (--depth == 0 && sum)                                                                             \
            *sum += now() - start;                                                                           \
        return r;                                                                                            \
    }

TIMED(int, crypt_init, (struct crypt_device * *cd, const char *device), (cd, device))
TIMED(int, crypt_load, (struct crypt_device * cd, const char *type, void *params), (cd, type, params))
TIMED(int, crypt_volume_key_get,
      (struct crypt_device * cd, int slot, char *key, size_t *len, const char *pass, size_t pass_len),
      (cd, slot, key, len, pass, pass_len))
TIMED(int, crypt_volume_key_verify, (struct crypt_device * cd, const char *key, size_t len), (cd, key, len))
TIMED(int, crypt_keyslot_add_by_volume_key,
      (struct crypt_device * cd, int slot, const char *key, size_t len, const char *pass, size_t pass_len),
      (cd, slot, key, len, pass, pass_len))
TIMED(int, crypt_keyslot_destroy, (struct crypt_device * cd, int slot), (cd, slot))
TIMED(int, crypt_activate_by_passphrase,
      (struct crypt_device * cd, const char *name, int slot, const char *pass, size_t len, uint32_t flags),
      (cd, name, slot, pass, len, flags))
TIMED(int, crypt_token_json_set, (struct crypt_device * cd, int token, const char *json), (cd, token, json))
TIMED(int, crypt_set_pbkdf_type, (struct crypt_device * cd, const struct crypt_pbkdf_type *kdf), (cd, kdf))
TIMED(int, crypt_keyslot_set_encryption, (struct crypt_device * cd, const char *cipher, size_t len),
      (cd, cipher, len))

void crypt_free(struct crypt_device *cd)
{
    static void (*real)(struct crypt_device *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "crypt_free");
    uint64_t start = now();
    depth++;
    real(cd);
    if (--depth == 0 && sum)
        *sum += now() - start;
}
