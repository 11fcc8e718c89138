/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/tpm/tpm_module.h"
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

#define MODULE "keyholt-tpm.so" /* found by the program's run path, which is its own folder */
#define OPS    "tpm_esys"

static void *module;

static void unload(void)
{
    if (module)
        (void)dlclose(module);
    module = NULL;
}

static enum err load(const struct tpm_ops **ret)
{
    module = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
    const struct tpm_ops *ops = module ? dlsym(module, OPS) : NULL;
    if (!ops) {
        (void)fprintf(stderr, "keeper: the TPM cannot be used: %s\n", dlerror());
        unload();
        return ERR_UNSUPPORTED;
    }
    *ret = ops;
    return ERR_OK;
}

static void pause_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

const struct tpm_edge tpm_module = {.load = load, .unload = unload, .pause = pause_ms};
