/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a boot entry's file, as the first bytes of an opened volume, and as key strokes of the
 * recovery app. */
#include "efi/bls.h"
#include "efi/file_system.h"
#include "efi/model.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {
    "title Debian\nversion 6.1\nlinux /a/linux\ninitrd /a/initrd.img\noptions root=/dev/x quiet\n",
    "efi \\EFI\\x.efi\r\n", "084612336798594957691108000000720885002816167519\r", "\x08\x08\t\rlbcf", NULL};
const char *const fuzz_words[] = {"linux ", "efi /", "initrd /", "\n", "\b\b\b", "NTFS    ", NULL};

/* Whatever is typed: the cursor stays in the entry, no group holds more than six digits, messages end. */
static void typed(const uint8_t *data, size_t len)
{
    static const struct menu menu = {.n = 3};
    struct model m;
    model_init(&m, true);
    for (size_t i = 0; i < len; i++) {
        enum model_action a =
            model_key(&m, keymap_translate(data[i] & 0x80 ? data[i] & 31 : 0, data[i] & 0x7f));
        if (a == MODEL_OPEN_LIST)
            model_list(&m, &menu, data[i]);
        if (a == MODEL_OPEN && !m.keyless)
            model_failed(&m, true, "no");
        if (m.at >= RP_GROUPS || m.pos > MODEL_DIGITS || m.pos > m.group[m.at].n || m.menu_at > menu.n ||
            !memchr(m.message, 0, sizeof m.message))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bls b;
    if (bls_decode((const char *)data, len, &b) == ERR_OK &&
        (b.program[0] != '\\' || !memchr(b.title, 0, sizeof b.title) ||
         !memchr(b.options, 0, sizeof b.options)))
        abort();
    (void)file_system_name(file_system_of(data, len));
    typed(data, len);
    return 0;
}
