/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery screen's logic, driven as a person drives it: one letter for each key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include "efi/model.h"
#include <string.h>

/* 0 to 9 digits, b backspace, x Delete, l r u d h e arrows, Home and End, E Enter, T Tab, Q Esc, B boot, P
 * off, R rescan, N no, L list, C contrast, F firmware, t tones, X restart, - separator, ? a key without
 * meaning. */
static enum key key_of(char c)
{
    static const struct {
        char letter;
        enum key key;
    } map[] = {{'b', KEY_BACKSPACE}, {'x', KEY_DELETE},  {'l', KEY_LEFT},     {'r', KEY_RIGHT},
               {'u', KEY_UP},        {'d', KEY_DOWN},    {'h', KEY_HOME},     {'e', KEY_END},
               {'E', KEY_ENTER},     {'T', KEY_TAB},     {'Q', KEY_ESC},      {'B', KEY_BOOT},
               {'P', KEY_OFF},       {'R', KEY_RESCAN},  {'N', KEY_NO},       {'-', KEY_SEPARATOR},
               {'?', KEY_OTHER},     {'L', KEY_LIST},    {'C', KEY_CONTRAST}, {'F', KEY_SETUP},
               {'t', KEY_TONES},     {'X', KEY_RESTART}, {'U', KEY_COPY}};
    if (c >= '0' && c <= '9')
        return (enum key)(KEY_0 + (c - '0'));
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (map[i].letter == c)
            return map[i].key;
    fail_msg("no key %c", c);
    return KEY_OTHER;
}

static enum model_action type(struct model *m, const char *keys)
{
    enum model_action last = MODEL_NOTHING;
    for (; *keys; keys++)
        last = model_key(m, key_of(*keys));
    return last;
}

/* "084612 33____ …" without the spaces: 48 characters, '_' where nothing is. */
static void entry_of(const struct model *m, char ret[static 49])
{
    for (unsigned i = 0; i < 48; i++)
        ret[i] = i % 6 < m->group[i / 6].n ? m->group[i / 6].digit[i % 6] : '_';
    ret[48] = '\0';
}

#define GOOD  "084612336798594957691108000000720885002816167519"
#define GOOD3 "084612336798594957" /* its first three groups */
#define EMPTY "______"

struct row {
    const char *name, *keys, *entry;
    unsigned at, pos;
    enum model_action last;
    const char *says; /* part of the message, "" for none */
};

static const struct row rows[] = {
    {"one digit", "0", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_NOTHING, ""},
    {"a group moves on", "084612", "084612" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 0, MODEL_NOTHING,
     ""},
    {"separators mean nothing", "08-4612-33", "08461233____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 2,
     MODEL_NOTHING, ""},
    {"unknown keys mean nothing", "08??46", "0846__" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 4,
     MODEL_NOTHING, ""},
    {"a wrong group is named at once", "084613", "084613" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 0,
     MODEL_NOTHING, "Group 1 is not right"},
    {"a group above the largest is wrong", "720896", "720896" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 0,
     MODEL_NOTHING, "Group 1 is not right"},
    {"typing on loses nothing", "084613336798", "084613336798" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 2, 0,
     MODEL_NOTHING, "Group 1 is not right"},
    {"two wrong groups", "084613336797", "084613336797" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 2, 0,
     MODEL_NOTHING, "Groups 1 and 2 are not right"},
    {"three wrong groups", "084613336797111112", "084613336797111112" EMPTY EMPTY EMPTY EMPTY EMPTY, 3, 0,
     MODEL_NOTHING, "Groups 1, 2 and 3 are not right"},
    {"backspace", "08b", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_NOTHING, ""},
    {"backspace on nothing", "bb", EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 0, MODEL_NOTHING, ""},
    {"backspace into the group before", "084612b", "08461_" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 5,
     MODEL_NOTHING, ""},
    {"backspace takes the complaint back", "084613b", "08461_" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0,
     5, MODEL_NOTHING, ""},
    {"last digit corrected", "084613b2", "084612" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 0,
     MODEL_NOTHING, ""},
    {"Delete at the end works backwards", "08x", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1,
     MODEL_NOTHING, ""},
    {"Delete under the cursor", "084lx", "08____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 2,
     MODEL_NOTHING, ""},
    {"insert a digit that was left out",
     "04612ll"
     "ll"
     "8",
     "084612" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 2, MODEL_NOTHING, ""},
    {"overwrite in a full group", "084613u084612", "084612" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 0,
     MODEL_NOTHING, ""},
    {"overwriting is not judged halfway", "084612u9", "984612" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0,
     1, MODEL_NOTHING, ""},
    {"but when the cursor leaves", "084612u9d", "984612" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 0,
     MODEL_NOTHING, "Group 1 is not right"},
    {"Enter goes to the wrong group", "084613336798E", "084613336798" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0,
     0, MODEL_NOTHING, "Group 1 is not right"},
    {"Enter names what is missing", "08461233679E", "08461233679_" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 5,
     MODEL_NOTHING, "Group 2 is not complete: 1 digit is missing"},
    {"Enter on nothing", "E", EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 0, MODEL_NOTHING,
     "Group 1 is still empty"},
    {"48 good digits open", GOOD, GOOD, 7, 6, MODEL_OPEN, ""},
    {"a 49th digit is left out", GOOD "3", GOOD, 7, 6, MODEL_NOTHING, ""},
    {"Enter opens them, too", GOOD "E", GOOD, 7, 6, MODEL_OPEN, ""},
    {"48 digits, one wrong: do not open", "084613336798594957691108000000720885002816167519",
     "084613336798594957691108000000720885002816167519", 7, 6, MODEL_NOTHING, "Group 1 is not right"},
    {"corrected in place they open", "084613336798594957691108000000720885002816167519E084612", GOOD, 1, 0,
     MODEL_OPEN, ""},
    {"arrows", "0846ll", "0846__" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 2, MODEL_NOTHING, ""},
    {"left into the group before", "084612l", "084612" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 6,
     MODEL_NOTHING, ""},
    {"right stops at the last group", "dddddddddr", EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 7, 0,
     MODEL_NOTHING, ""},
    {"Home and End", GOOD3 "he0", GOOD3 EMPTY EMPTY EMPTY EMPTY "0_____", 7, 1, MODEL_NOTHING, ""},
    {"Tab", "0T", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_NEXT_VOLUME, ""},
    {"R", "0R", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_RESCAN, ""},
    {"Esc only asks", "0Q", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_NOTHING,
     "without opening the disk?"},
    {"Esc twice stays", "0QQ", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_NOTHING, ""},
    {"No stays", "0BN", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_NOTHING, ""},
    {"a digit stays and counts", "0B8", "08____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 2,
     MODEL_NOTHING, ""},
    {"a question keeps the complaint", "084613BN", "084613" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 1, 0,
     MODEL_NOTHING, "Group 1 is not right"},
    {"boot", "0BE", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_BOOT, "?"},
    {"the firmware's settings", "0FE", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_SETUP,
     "firmware's settings?"},
    {"but only after a yes", "0FQ", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_NOTHING,
     ""},
    {"contrast", "0C", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_RECOLOR, ""},
    {"the list is asked for", "0L", "0_____" EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 1, MODEL_OPEN_LIST,
     ""},
    {"off", "PE", EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, 0, MODEL_OFF, "Turn the computer off?"},
};

static void typing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct model m;
        char entry[49];
        model_init(&m, true);
        enum model_action last = type(&m, r->keys);
        entry_of(&m, entry);
        if (strcmp(entry, r->entry) != 0 || m.at != r->at || m.pos != r->pos || last != r->last)
            fail_msg("%s: entry %s at %u.%u action %d", r->name, entry, m.at, m.pos, last);
        if (r->says[0] ? !strstr(m.message, r->says) : m.message[0] != '\0')
            fail_msg("%s: says \"%s\"", r->name, m.message);
    }
}

static void the_password(void **state)
{
    /* 084612 = 11 × 7692 and so on, as little-endian words */
    static const uint8_t want[] = {0x0c, 0x1e, 0x9a, 0x77, 0x47, 0xd3, 0x6c, 0xf5,
                                   0x00, 0x00, 0xff, 0xff, 0x00, 0x01, 0x7d, 0x3b};
    struct model m;
    SECRET(s);
    (void)state;
    model_init(&m, true);
    assert_int_equal(type(&m, GOOD3), MODEL_NOTHING);
    assert_int_equal(model_password(&m, &s), ERR_FORMAT);
    assert_int_equal(type(&m, GOOD + 18), MODEL_OPEN);
    assert_int_equal(model_password(&m, &s), ERR_OK);
    assert_int_equal(s.len, sizeof want);
    assert_memory_equal(s.bytes, want, sizeof want);
    assert_int_equal(type(&m, "b8"), MODEL_NOTHING);
    assert_int_equal(model_password(&m, &s), ERR_RANGE);
}

static void a_password_that_does_not_open(void **state)
{
    struct model m;
    char entry[49];
    (void)state;
    model_init(&m, true);
    assert_int_equal(type(&m, GOOD), MODEL_OPEN);
    model_progress(&m, MODEL_OPENING, "Opening");
    assert_int_equal(type(&m, "1EBQ"), MODEL_NOTHING); /* nothing happens while the key is derived */
    model_failed(&m, true, "well-formed, but not the one");
    entry_of(&m, entry);
    assert_string_equal(entry, GOOD);
    assert_string_equal(m.message, "well-formed, but not the one");
    assert_int_equal(type(&m, "E"), MODEL_NOTHING); /* the same digits again: no second try */
    assert_string_equal(m.message, "well-formed, but not the one");
    assert_int_equal(type(&m, "b9"), MODEL_OPEN);
    model_failed(&m, false, "the disk could not be read");
    assert_int_equal(type(&m, "E"), MODEL_OPEN); /* not the digits' fault */
    model_init(&m, true);
    assert_int_equal(type(&m, "0846"), MODEL_NOTHING);
    model_failed(&m, false, "something else failed");
    assert_int_equal(type(&m, "12"), MODEL_NOTHING); /* the cursor is where it was */
    assert_int_equal(model_group_state(&m, 0), GROUP_GOOD);
}

static void nothing_to_open(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, false);
    assert_non_null(strstr(m.message, "No locked disk was found"));
    assert_int_equal(type(&m, "084612E"), MODEL_NOTHING);
    assert_int_equal(m.group[0].n, 0);
    assert_int_equal(type(&m, "R"), MODEL_RESCAN);
    assert_int_equal(type(&m, "BE"), MODEL_BOOT);
    model_has_volume(&m, true);
    assert_string_equal(m.message, "");
    assert_int_equal(type(&m, "084612"), MODEL_NOTHING);
    assert_int_equal(m.group[0].n, 6);
}

static void notices_wait_for_enter(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, true);
    model_notice(&m, TONE_ASK, "Press Enter");
    assert_int_equal(type(&m, "0bQBPR"), MODEL_NOTHING);
    assert_int_equal(type(&m, "E"), MODEL_GO_ON);
}

static const struct menu menu = {.n = 12, .line = {"Debian", "Windows", "Leaves"}};

/* The digits are to open the volume for its files: said as long as nothing else is to be said. */
static void copying(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, true);
    m.may_copy = true;
    assert_int_equal(type(&m, "U"), MODEL_COPY);
    model_copying(&m, true);
    assert_non_null(strstr(m.message, "to copy its files"));
    type(&m, "084613");
    assert_non_null(strstr(m.message, "Group 1 is not right"));
    type(&m, "b2");
    assert_non_null(strstr(m.message, "to copy its files"));
    model_unlocked(&m, TONE_GOOD, "open", MODEL_NEXT_LOCKED);
    assert_int_equal(type(&m, "U"), MODEL_COPY);
    assert_int_equal(m.phase, MODEL_UNLOCKED);
    assert_int_equal(type(&m, "E"), MODEL_NEXT_LOCKED);
    model_again(&m, true);
    assert_true(!m.copying && m.may_copy);
    assert_string_equal(m.message, "");
}

static void choosing_a_line(void **state)
{
    static const struct {
        const char *keys;
        unsigned at;
        enum model_action last;
    } row[] = {{"E", 1, MODEL_PICKED},   {"dE", 2, MODEL_PICKED},  {"uuE", 11, MODEL_PICKED},
               {"hE", 0, MODEL_PICKED},  {"edE", 0, MODEL_PICKED}, {"3E", 2, MODEL_PICKED},
               {"dQ", 2, MODEL_NOTHING}, {"0E", 1, MODEL_PICKED}};
    struct model m;
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        model_init(&m, true);
        assert_int_equal(type(&m, "084L"), MODEL_OPEN_LIST);
        model_list(&m, &menu, 1);
        assert_non_null(strstr(m.message, "2 of 12: Windows"));
        enum model_action last = type(&m, row[i].keys);
        if (last != row[i].last || m.menu_at != row[i].at || m.phase != MODEL_ENTRY || m.group[0].n != 3)
            fail_msg("%s: action %d at %u", row[i].keys, last, m.menu_at);
    }
    model_next(&m, "Windows", true);
    assert_non_null(strstr(m.message, "Start \"Windows\" without opening"));
    assert_int_equal(type(&m, "Q"), MODEL_NOTHING);
    model_wipe(&m);
    assert_int_equal(type(&m, "B"), MODEL_NOTHING); /* what was chosen outlives what was typed */
    assert_non_null(strstr(m.message, "Windows"));
    const struct menu none = {.n = 0};
    model_list(&m, &none, 0);
    assert_int_equal(m.phase, MODEL_ASK_BOOT);
}

static void a_key_on_a_stick(void **state)
{
    struct model m;
    SECRET(digits);
    char entry[49];
    (void)state;
    model_init(&m, true);
    assert_int_equal(type(&m, "08"), MODEL_NOTHING);
    assert_true(model_offer(&m, "a stick"));
    assert_false(model_offer(&m, "another")); /* one question at a time */
    assert_int_equal(type(&m, "?d"), MODEL_NOTHING);
    assert_string_equal(m.message, "a stick");
    assert_int_equal(type(&m, "4"), MODEL_REFUSED); /* who goes on typing */
    entry_of(&m, entry);
    assert_int_equal(strncmp(entry, "084_", 4), 0);
    assert_true(model_offer(&m, "a stick"));
    assert_int_equal(type(&m, "N"), MODEL_REFUSED);
    assert_true(model_offer(&m, "a stick"));
    assert_int_equal(type(&m, "E"), MODEL_TAKE);
    memcpy(digits.bytes, GOOD, 48);
    digits.len = 48;
    model_fill(&m, &digits);
    entry_of(&m, entry);
    assert_string_equal(entry, GOOD);
    assert_int_equal(type(&m, "E"), MODEL_OPEN);
    model_again(&m, true);
    assert_int_equal(m.group[0].n, 0);
    assert_int_equal(m.phase, MODEL_ENTRY);
    model_init(&m, false);
    assert_false(model_offer(&m, "a stick"));
}

static void a_volume_without_protection(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, true);
    assert_int_equal(type(&m, "E"), MODEL_NOTHING);
    m.keyless = true;
    assert_int_equal(type(&m, "E"), MODEL_OPEN);
    assert_int_equal(type(&m, "0E"), MODEL_NOTHING); /* digits are judged as ever */
}

/* g and b: a good and a bad group is heard, x: it did not open */
static void what_is_heard(void **state)
{
    static const struct {
        const char *name, *keys, *heard;
    } row[] = {{"a group that is not complete", "08461", ""},
               {"a good one", "084612", "g"},
               {"a bad one", "084613", "b"},
               {"one after the other", "084613336798594957", "bgg"},
               {"corrected by its last digit", "084613b2", "bg"},
               {"overwritten: once, at its end", "084613h084612", "bg"},
               {"overwritten by the same", "084612h084612", "gg"},
               {"a digit put in where it was missing", "04612llll8", "g"},
               {"Enter that leads to a bad one", "084613336798E", "bgb"},
               {"Enter that leads to an empty one", "084612E", "gb"},
               {"all of them", GOOD, "gggggggg"},
               {"switched off and on", "0846t12t336798", "gggg"}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct model m;
        char heard[16] = "";
        model_init(&m, true);
        for (const char *k = row[i].keys; *k; k++) {
            unsigned before = m.n_sounds;
            (void)!model_key(&m, key_of(*k));
            if (m.n_sounds != before)
                strcat(heard, m.sound == SOUND_GROUP_GOOD ? "g" : m.sound == SOUND_GROUP_BAD ? "b" : "x");
        }
        if (strcmp(heard, row[i].heard) != 0)
            fail_msg("%s: %s", row[i].name, heard);
    }
}

static void opening_is_heard(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, true);
    assert_int_equal(type(&m, GOOD "t"), MODEL_NOTHING);
    unsigned n = m.n_sounds;
    model_progress(&m, MODEL_OPENING, "Opening");
    assert_int_equal(m.n_sounds, n);
    model_failed(&m, true, "no");
    assert_int_equal(m.sound, SOUND_NOT_OPENED);
    model_wipe(&m); /* what was typed, not what was heard, nor that nobody wants to hear it */
    assert_int_equal(m.n_sounds, n + 1);
    assert_true(m.quiet);
    model_progress(&m, MODEL_OPENED, "Opened");
    assert_int_equal(m.sound, SOUND_OPENED);
    model_unlocked(&m, TONE_GOOD, "Opened", MODEL_GO_ON);
    assert_int_equal(m.n_sounds, n + 3);
    assert_int_equal(type(&m, "0QBE"), MODEL_GO_ON);
    assert_int_equal(type(&m, "X"), MODEL_RESTART);
    model_unlocked(&m, TONE_GOOD, "Data", MODEL_NEXT_LOCKED);
    assert_int_equal(type(&m, "E"), MODEL_NEXT_LOCKED);
}

/* Hz of each tone; 0 is a pause */
static unsigned pattern_of(enum sound sound, uint16_t ret[static 8])
{
    struct tones t = {.left = 0};
    struct tone tone;
    unsigned n = 0, ms = 0;
    assert_true(tones_play(&t, sound));
    for (; tones_next(&t, &tone) && n < 8; n++) {
        ret[n] = tone.hz;
        ms += tone.ms;
    }
    assert_false(tones_next(&t, &tone));
    assert_in_range(ms, 50, TONES_MOST_MS);
    return n;
}

static void tones_differ_in_pitch_and_rhythm(void **state)
{
    uint16_t hz[8];
    (void)state;
    assert_int_equal(pattern_of(SOUND_GROUP_GOOD, hz), 1);
    uint16_t high = hz[0];
    assert_int_equal(pattern_of(SOUND_GROUP_BAD, hz), 3);
    assert_true(hz[0] == hz[2] && hz[1] == 0 && hz[0] * 4 < high);
    assert_int_equal(pattern_of(SOUND_OPENED, hz), 3);
    assert_true(hz[0] < hz[1] && hz[1] < hz[2]);
    assert_int_equal(pattern_of(SOUND_NOT_OPENED, hz), 3);
    assert_true(hz[0] > hz[1] && hz[1] > hz[2]);
    assert_int_equal(tones_divisor(1000), 1193); /* 1,193,182 Hz */
}

static void what_matters_more_is_heard(void **state)
{
    struct tones t = {.left = 0};
    struct tone tone;
    (void)state;
    assert_false(tones_play(&t, SOUND_NONE));
    assert_true(tones_play(&t, SOUND_GROUP_BAD));
    assert_true(tones_next(&t, &tone));
    assert_false(tones_play(&t, SOUND_GROUP_GOOD));
    assert_false(tones_play(&t, SOUND_GROUP_BAD));
    assert_true(tones_play(&t, SOUND_OPENED));
    while (tones_next(&t, &tone))
        ;
    assert_true(tones_play(&t, SOUND_GROUP_GOOD)); /* it is over */
}

static void wiping(void **state)
{
    struct model m;
    (void)state;
    model_init(&m, true);
    assert_int_equal(type(&m, GOOD), MODEL_OPEN);
    model_failed(&m, true, "no");
    model_wipe(&m);
    for (size_t i = 0; i + 6 <= sizeof m; i++)
        assert_memory_not_equal((const uint8_t *)&m + i, "084612", 6);
    for (unsigned g = 0; g < RP_GROUPS; g++)
        assert_int_equal(model_group_state(&m, g), GROUP_EMPTY);
}

static void long_messages_are_cut(void **state)
{
    char long_one[2 * MODEL_MESSAGE];
    struct model m;
    (void)state;
    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    model_init(&m, true);
    model_failed(&m, true, long_one);
    assert_int_equal(strlen(m.message), MODEL_MESSAGE - 1);
}

struct stroke {
    const char *name;
    uint16_t scan, character;
    enum key key;
};

static const struct stroke strokes[] = {
    {"digit", 0, '7', (enum key)(KEY_0 + 7)},
    {"F1", 0x0b, 0, (enum key)(KEY_0 + 1)},
    {"F9", 0x13, 0, KEY_9},
    {"F10", 0x14, 0, KEY_0},
    {"F11", 0x15, 0, KEY_BOOT},
    {"F12", 0x16, 0, KEY_OFF},
    {"shifted 1", 0, '!', (enum key)(KEY_0 + 1)},
    {"shifted 2", 0, '@', (enum key)(KEY_0 + 2)},
    {"shifted 9", 0, '(', KEY_9},
    {"shifted 0", 0, ')', KEY_0},
    {"Enter", 0, '\r', KEY_ENTER},
    {"line feed of a terminal", 0, '\n', KEY_ENTER},
    {"Backspace", 0, 8, KEY_BACKSPACE},
    {"DEL of a terminal", 0x08, 0, KEY_DELETE},
    {"Esc", 0x17, 0, KEY_ESC},
    {"up", 1, 0, KEY_UP},
    {"down", 2, 0, KEY_DOWN},
    {"right", 3, 0, KEY_RIGHT},
    {"left", 4, 0, KEY_LEFT},
    {"Home", 5, 0, KEY_HOME},
    {"End", 6, 0, KEY_END},
    {"Tab", 0, 9, KEY_TAB},
    {"dash", 0, '-', KEY_SEPARATOR},
    {"space", 0, ' ', KEY_SEPARATOR},
    {"capital B", 0, 'B', KEY_BOOT},
    {"small p", 0, 'p', KEY_OFF},
    {"r", 0, 'r', KEY_RESCAN},
    {"s", 0, 's', KEY_SHOW},
    {"n", 0, 'N', KEY_NO},
    {"l", 0, 'l', KEY_LIST},
    {"c", 0, 'C', KEY_CONTRAST},
    {"f", 0, 'f', KEY_SETUP},
    {"t", 0, 'T', KEY_TONES},
    {"x", 0, 'x', KEY_RESTART},
    {"another letter", 0, 'y', KEY_OTHER},
    {"an umlaut", 0, 0xe4, KEY_OTHER},
    {"bare modifier", 0, 0, KEY_NONE},
    {"Page Up", 9, 0, KEY_PAGE_UP},
    {"volume key", 0x7f, 0, KEY_OTHER},
};

static void key_strokes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strokes / sizeof strokes[0]; i++) {
        const struct stroke *s = &strokes[i];
        enum key key = keymap_translate(s->scan, s->character);
        if (key != s->key)
            fail_msg("%s: key %d, expected %d", s->name, key, s->key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copying),
        cmocka_unit_test(choosing_a_line),
        cmocka_unit_test(a_volume_without_protection),
        cmocka_unit_test(a_key_on_a_stick),
        cmocka_unit_test(typing),
        cmocka_unit_test(the_password),
        cmocka_unit_test(nothing_to_open),
        cmocka_unit_test(a_password_that_does_not_open),
        cmocka_unit_test(wiping),
        cmocka_unit_test(what_is_heard),
        cmocka_unit_test(opening_is_heard),
        cmocka_unit_test(tones_differ_in_pitch_and_rhythm),
        cmocka_unit_test(what_matters_more_is_heard),
        cmocka_unit_test(notices_wait_for_enter),
        cmocka_unit_test(key_strokes),
        cmocka_unit_test(long_messages_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
