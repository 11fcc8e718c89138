/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any text as what the probe says and as a line of the mount table, any bytes as a LUKS1 header. */
#include "agent/device/mounts.h"
#include "agent/device/probed.h"
#include "formats/luks1.h"
#include "formats/text.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {
    "{\"err\":0,\"type\":\"crypto_LUKS\",\"usage\":\"crypto\",\"version\":\"2\",\"label\":\"a\",\"ours\":1,"
    "\"slots\":3,"
    "\"volume_id\":\"8F595209-F5B9-49A0-85D4-CB8F80258C27\",\"parts\":[{\"number\":1,\"type\":\"0x83\"}],"
    "\"protectors\":[{\"kind\":2,\"n\":1,\"id\":\"64311DEA-4587-4029-924A-BA299647998E\"},{\"kind\":1,\"n\":"
    "4}]}",
    "26 24 8:1 / /media/my\\040stick ro,nosuid master:5 - vfat /dev/sda1 rw", "LUKS\xba\xbe", NULL};
const char *const fuzz_words[] = {"\"kind\":", "\"parts\":[", "\\134",      " - ",
                                  "\\u001b",   "0:0",         "4294967296", NULL};

static void require(bool good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct probed p;
    struct mount m;
    struct luks1 l;
    char *text = malloc(len + 1);
    require(text != NULL);
    memcpy(text, data, len);
    text[len] = 0;
    if (probed_decode(text, len, &p) == ERR_OK)
        require(text_is_printable(p.label, strlen(p.label)) && p.n_parts <= PROBED_PARTS &&
                p.n_protectors <= PROBED_PROTECTORS);
    if (mount_parse(text, &m) == ERR_OK)
        require(strlen(m.point) < MOUNT_TEXT && strlen(m.source) < MOUNT_TEXT && strlen(m.type) < MOUNT_TYPE);
    if (luks1_decode(data, len, &l) == ERR_OK)
        require(l.slots <= LUKS1_SLOTS && text_is_printable(l.cipher, strlen(l.cipher)));
    free(text);
    return 0;
}
