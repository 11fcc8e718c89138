/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A computer whose clock is wrong by years: scheduled rotation goes on once it is right. */
#include "agent/volume/rotate.h"
#include "agent/volume/settle.h"
#include "tests/unit/fake_keeper.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define DAY  INT64_C(86400)
#define YEAR (365 * DAY)

static int64_t ahead; /* s */

/* In place of the C library's. */
time_t time(time_t *ret)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    time_t t = (time_t)(now.tv_sec + ahead);
    if (ret)
        *ret = t;
    return t;
}

static struct protect_result made;

static uint8_t wanted(int64_t days)
{
    struct cache_volume v;
    ahead = days * DAY;
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(cache_get_volume(fake_agent.cache, &made.volume, &v), ERR_OK);
    return v.rotate;
}

static unsigned live(void)
{
    struct fake_way_in w;
    fake_look_from_outside(&w);
    return w.live;
}

/* Made in 30 years: as old as the first look with the right clock; and so is its successor, whose envelope
 * says a later time still. */
static void made_in_the_future(void **state)
{
    (void)state;
    fake_keeper_begin();
    fake_agent.policy.rotate_days = 365;
    ahead = 30 * YEAR;
    assert_int_equal(fake_protect(&made), ERR_OK);
    assert_int_equal(wanted(0), 0);
    assert_int_equal(wanted(364), 0);
    for (int round = 1; round <= 2; round++) {
        assert_int_equal(wanted(366 * round), KH_CAUSE_SCHEDULE);
        rotate_pending(&fake_agent, NULL);
        assert_int_equal(wanted(366 * round), 0);
        assert_int_equal(wanted(366 * round + 364), 0);
        assert_int_equal(live(), 1);
    }
    fake_keeper_end();
}

/* made, proved, now, since */
static void since(void **state)
{
    static const uint64_t rows[][4] = {{5, 7, 10, 5},    {10, 10, 10, 10}, {50, 0, 10, 50},
                                       {50, 50, 10, 50}, {50, 60, 10, 50}, {50, 9, 10, 9}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (settle_since(rows[i][0], rows[i][1], rows[i][2]) != rows[i][3])
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(since),
        cmocka_unit_test(made_in_the_future),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
