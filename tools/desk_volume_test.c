/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk volume test: does it open? */
#include "tools/desk_volume_json.h"
#include "tools/desk_volume_open.h"
#include "tools/desk_volume_text.h"

int desk_volume_test(const struct desk_volume_request *req)
{
    struct desk_volume_session s = {.req = req};
    int code = desk_volume_unlock(&s), printed = KH_EXIT_OK;
    if (req->json && (code == KH_EXIT_OK || code == KH_EXIT_NO))
        printed = desk_volume_json_test(&s, code == KH_EXIT_OK);
    else if (code == KH_EXIT_OK) {
        char what[256];
        desk_text_protector(&s.v->info, s.v->opened_by, what, sizeof what);
        printed = printf("opens: %s\n", what) < 0 || fflush(stdout) != 0 ? KH_EXIT_FAILED : KH_EXIT_OK;
        if (printed != KH_EXIT_OK)
            desk_say("the answer cannot be written");
    }
    desk_volume_end(&s);
    return printed == KH_EXIT_OK ? code : printed;
}
