/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In the place of vault_seccomp.c, in a vault that only tests/server/test_sanitized.py starts: whoever looks
 * for leaks stops the process with ptrace(2), for which the filter would end it. */
#include "escrow-server/vault/vault.h"

enum err vault_confine(bool has_module)
{
    (void)has_module;
    return ERR_OK;
}
