#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk volume: one sub-verb per file; their table stands in desk_volume.c. */

#include "tools/desk.h"
#include "tools/volume.h"

/* The command line. */
struct desk_volume_request {
    const char *image;
    const char *out;     /* decrypt only */
    const char *header;  /* detached LUKS2 header, NULL none */
    enum volume_way way; /* test and decrypt: what it is to be opened with */
    const char *key;     /* file that holds it, NULL for a clear key */
    int keyslot;         /* of LUKS2: the only one to try, -1 any */
    bool json;
    bool force, cut_short; /* decrypt only */
};

/* Returns an enum kh_exit. */
int desk_volume_show(const struct desk_volume_request *req);
int desk_volume_test(const struct desk_volume_request *req);
int desk_volume_decrypt(const struct desk_volume_request *req);
/* It has options of its own, because it opens something: argv[0] is "rebuild". */
int desk_volume_rebuild(int argc, char **argv);
