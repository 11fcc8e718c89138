/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_gap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct audit_entry entry(const char *action, const char *note)
{
    struct audit_entry e = {.n = 7, .time = 500};
    snprintf(e.action, sizeof e.action, "%s", action);
    snprintf(e.note, sizeof e.note, "%s", note);
    return e;
}

static const struct audit_gap gap = {.lost = 20, .have = 12, .from = 100, .to = 200, .until = 300};

/* As docs/formats.md has the notes. */
static const struct {
    const char *action, *note;
    struct audit_gap_note is;
} notes[] = {
    {AUDIT_ALARM, "lost=20 have=12 from=100 to=200 until=300", {.word = AUDIT_GAP_ALARM, .n = 7, .gap = gap}},
    {AUDIT_ACKNOWLEDGE,
     "alarm=5 lost=20 have=12 from=100 to=200 until=300",
     {.word = AUDIT_GAP_ACKNOWLEDGED, .n = 5, .gap = gap}},
    {AUDIT_ROTATION, "alarm=5 rotate=none", {.word = AUDIT_GAP_STOP, .n = 5}},
    {AUDIT_ROTATION,
     "alarm=5 rotate=120-180",
     {.word = AUDIT_GAP_ROTATE, .n = 5, .rotate_from = 120, .rotate_until = 180}},
};

static void test_notes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        char text[AUDIT_TEXT + 1], longer[2 * AUDIT_TEXT];
        struct audit_gap_note got;
        struct audit_entry e = entry(notes[i].action, notes[i].note);
        audit_gap_encode(&notes[i].is, text);
        assert_string_equal(text, notes[i].note);
        assert_int_equal(audit_gap_decode(&e, &got), ERR_OK);
        assert_memory_equal(&got.gap, &notes[i].is.gap, sizeof gap);
        assert_true(got.word == notes[i].is.word && got.n == notes[i].is.n &&
                    got.rotate_from == notes[i].is.rotate_from &&
                    got.rotate_until == notes[i].is.rotate_until);
        snprintf(longer, sizeof longer, "%s totp=9", text);
        e = entry(notes[i].action, longer);
        assert_int_equal(audit_gap_decode(&e, &got), ERR_OK);
    }
}

static void test_what_is_none(void **state)
{
    static const struct {
        const char *action, *note;
        enum err err;
    } rows[] = {{AUDIT_DISCLOSE, "lost=20 have=12 from=100 to=200", ERR_NOT_FOUND},
                {AUDIT_ALARM, "something else is wrong", ERR_NOT_FOUND},
                {AUDIT_ALARM, "lost=20 have=12", ERR_FORMAT},
                {AUDIT_ACKNOWLEDGE, "lost=20 have=12 from=100 to=200", ERR_FORMAT},
                {AUDIT_ACKNOWLEDGE, "alarm=5 ", ERR_FORMAT},
                {AUDIT_ROTATION, "alarm=5", ERR_FORMAT},
                {AUDIT_ROTATION, "alarm=5 rotate=12", ERR_FORMAT}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct audit_gap_note got;
        struct audit_entry e = entry(rows[i].action, rows[i].note);
        if (audit_gap_decode(&e, &got) != rows[i].err)
            fail_msg("%s %s", rows[i].action, rows[i].note);
    }
}

/* An alarm without an end is over when it was raised. */
static void test_an_alarm_of_before(void **state)
{
    struct audit_gap_note got;
    struct audit_entry e = entry(AUDIT_ALARM, "lost=20 have=12 from=100 to=200 hash=ab");
    (void)state;
    assert_int_equal(audit_gap_decode(&e, &got), ERR_OK);
    assert_int_equal(got.gap.until, 500);
}

static void test_covers(void **state)
{
    struct audit_gap more = gap, other = gap, elsewhere = gap;
    (void)state;
    more.lost++;
    other.have++;
    elsewhere.from++;
    assert_true(audit_gap_covers(&gap, &gap));
    assert_true(audit_gap_covers(&more, &gap));
    assert_false(audit_gap_covers(&gap, &more));
    assert_false(audit_gap_covers(&more, &other));
    assert_false(audit_gap_covers(&more, &elsewhere));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_an_alarm_of_before),
        cmocka_unit_test(test_covers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
