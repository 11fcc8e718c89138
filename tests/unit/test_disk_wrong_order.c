/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same fake disk under a table of steps in the wrong order (tests/agent/wrong_table.c: the keyslot before
 * its token) does show a keyslot whose password nobody can read: what test_disk_faults.c looks for is found
 * where it is. */
#include "tests/unit/fake_keeper.h"
#include "tests/unit/fake_tpm.h"
#include <setjmp.h>
#include <stdarg.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static enum err protect(void)
{
    struct protect_result r;
    return fake_protect(&r);
}

static void a_lost_key_is_found(void **state)
{
    unsigned cuts = 0, lost = 0;
    (void)state;
    for (bool cut = true; cut; cuts += cut) {
        struct fake_way_in w;
        fake_tpm_reset(1);
        fake_disk_make();
        fake_keeper_forget();
        fake_disk->fault = FAULT_CUT_AFTER;
        fake_disk->at = cuts + 1;
        cut = fake_in_process(protect);
        fake_look_from_outside(&w);
        lost += cut && w.unnamed > 0 && w.opens == 0;
        fake_disk_free();
    }
    assert_true(cuts >= 3);
    assert_true(lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_key_is_found),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
