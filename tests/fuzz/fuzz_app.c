/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a name of a file to be copied, as a boot entry's file, as the first bytes of an opened volume,
 * and as key strokes of the recovery app. */
#include "efi/bls.h"
#include "efi/copy_name.h"
#include "efi/copy_plan.h"
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

/* Any name that a driver gives: what comes out fits, ends, and is safe as it stands. */
static void named(const uint8_t *data, size_t len)
{
    uint16_t name[TREE_NAME], mended[TREE_NAME], safe[TREE_NAME], again[TREE_NAME];
    char text[COPY_NAME_TEXT];
    size_t n = len / 2 < TREE_NAME - 1 ? len / 2 : TREE_NAME - 1;
    memcpy(name, data, n * sizeof *name);
    name[n] = 0;
    copy_name_mend(name, mended);
    copy_name_make_safe(mended, safe);
    copy_short_path(safe, text);
    if (tree_len(safe) == 0 || tree_len(safe) >= TREE_NAME || copy_name_make_safe(safe, again))
        abort();
    copy_name_other(safe, 2 + (unsigned)len, again);
    if (tree_len(again) >= TREE_NAME)
        abort();
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
    named(data, len);
    return 0;
}
