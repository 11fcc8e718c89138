/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded into every process of a server, loses memory at once: whoever looks for leaks must find it in
 * each. */
#include <stdlib.h>

__attribute__((constructor)) static void leak_shim(void)
{
    void *volatile p = malloc(4321);
    p = NULL; /* cppcheck-suppress memleak */
    (void)p;
}
