/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A thread for each lane; memory straight from the system, in large pages where it has some: the algorithm
 * jumps about in it. */
#include "crypto/argon2_run.h"
#include "crypto/secret.h"
#include <sys/mman.h>

/* What this thread's run has allocated: where the library cannot start its threads it returns without giving
 * it back. */
static _Thread_local struct {
    uint8_t *p;
    size_t len;
} held;

static int take(uint8_t **memory, size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *memory = NULL;
    if (p == MAP_FAILED)
        return ARGON2_MEMORY_ALLOCATION_ERROR;
    (void)madvise(p, len, MADV_HUGEPAGE); /* a wish: kernels without large pages do without */
    *memory = held.p = p;
    held.len = len;
    return ARGON2_OK;
}

static void give_back(uint8_t *memory, size_t len)
{
    (void)munmap(memory, len); /* wiped by the library */
    held.p = NULL;
}

int argon2_run(argon2_context *context, argon2_type type)
{
    context->allocate_cbk = take;
    context->free_cbk = give_back;
    context->threads = context->lanes;
    int code = argon2_ctx(context, type);
    if (code != ARGON2_THREAD_FAIL)
        return code;
    if (held.p) {
        cr_wipe(held.p, held.len);
        give_back(held.p, held.len);
    }
    context->threads = 1; /* a process that may start none still opens the slot */
    return argon2_ctx(context, type);
}
