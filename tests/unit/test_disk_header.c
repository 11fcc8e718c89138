/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume whose header others change or destroy under a key that was proved: what is said of it, and what is
 * done. */
#include "agent/volume/mirror.h"
#include "agent/volume/rotate.h"
#include "formats/record.h"
#include "tests/unit/fake_disk_json.h"
#include "tests/unit/fake_keeper.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct protect_result made;
static struct fake_way_in w;

static int setup(void **state)
{
    (void)state;
    fake_keeper_begin();
    assert_int_equal(fake_protect(&made), ERR_OK);
    assert_int_equal(fake_verify(), ERR_OK);
    fake_disk_restart();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_keeper_end();
    return 0;
}

static unsigned drift(uint8_t result)
{
    return fake_events(EVENT_DRIFT, result, NULL);
}

static struct cache_volume volume(void)
{
    struct cache_volume v;
    assert_int_equal(cache_get_volume(fake_agent.cache, &made.volume, &v), ERR_OK);
    return v;
}

static uint8_t key_state(void)
{
    struct cache_key k;
    assert_int_equal(cache_get_key(fake_agent.cache, &made.key_id, &k), ERR_OK);
    return k.state;
}

/* Said once; an order meanwhile does not hide it; the header written back ends it. */
static void destroyed(void **state)
{
    (void)state;
    static uint8_t whole[IMAGE_SIZE];
    struct cache_volume v;
    fake_disk_save(whole);
    fake_rival_destroy_header();
    for (int looks = 0; looks < 2; looks++)
        assert_int_equal(mirror_destroyed(&fake_agent, &made.volume), ERR_OK);
    assert_int_equal(volume().state, VOLUME_DESTROYED);
    assert_non_null(strstr(volume().note, "both copies"));
    assert_int_equal(drift(DRIFT_DESTROYED), 1);
    assert_int_equal(drift(0), 1);
    assert_int_equal(rotate_spend(&fake_agent, &made.key_id, KH_CAUSE_DISCLOSED, "shown"), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    v = volume();
    assert_true(v.state == VOLUME_DESTROYED && v.rotate == KH_CAUSE_DISCLOSED);
    assert_non_null(strstr(v.note, "both copies"));
    fake_disk_restore(whole);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(volume().state, VOLUME_PROTECTED);
    assert_int_equal(key_state(), KEY_LIVE);
    rotate_pending(&fake_agent, NULL);
    assert_int_equal(volume().rotate, 0);
    fake_look_from_outside(&w);
    assert_true(w.live == 1 && w.slots == 1);
}

static json_object *slot_of(json_object *header, unsigned slot)
{
    char number[8];
    (void)snprintf(number, sizeof number, "%u", slot);
    return fake_json_get(header, "keyslots", number);
}

static void add(json_object *o, const char *name, const char *json)
{
    json_object *v = json_tokener_parse(json);
    assert_non_null(v);
    json_object_object_add(o, name, v);
}

/* What `cryptsetup reencrypt --init-only --key-slot 0` leaves: a second digest, whose key only keyslot 20
 * opens. source: luksDump --dump-json-metadata of cryptsetup 2.6.1 */
static void begin_reencryption(json_object *header)
{
    json_object *s = slot_of(header, 21), *digests = fake_json_get(header, "digests", NULL),
                *segments = fake_json_get(header, "segments", NULL), *d, *o = NULL;
    json_object_object_del(s, "kdf");
    json_object_object_del(s, "af");
    add(s, "type", "\"reencrypt\"");
    add(s, "mode", "\"reencrypt\"");
    add(s, "direction", "\"forward\"");
    add(s, "key_size", "1");
    json_object *area = fake_json_get(s, "area", NULL);
    json_object_object_del(area, "encryption");
    json_object_object_del(area, "key_size");
    add(area, "type", "\"none\"");
    assert_int_equal(json_object_deep_copy(fake_json_get(digests, "0", NULL), &o, NULL), 0);
    d = o;
    add(d, "keyslots", "[\"20\"]");
    add(d, "segments", "[\"2\"]");
    json_object_object_add(digests, "1", d);
    o = NULL;
    assert_int_equal(json_object_deep_copy(d, &o, NULL), 0);
    add(o, "keyslots", "[\"21\"]");
    add(o, "segments", "[]");
    json_object_object_add(digests, "2", o);
    add(fake_json_get(digests, "0", NULL), "segments", "[\"0\",\"1\"]");
    json_object *names = fake_json_get(fake_json_get(digests, "0", NULL), "keyslots", NULL);
    for (size_t i = json_object_array_length(names); i-- > 0;)
        if (strchr("2", json_object_get_string(json_object_array_get_idx(names, i))[0]) &&
            strlen(json_object_get_string(json_object_array_get_idx(names, i))) == 2)
            json_object_array_del_idx(names, i, 1);
    for (int i = 1; i <= 2; i++) {
        o = NULL;
        assert_int_equal(json_object_deep_copy(fake_json_get(segments, "0", NULL), &o, NULL), 0);
        add(o, "flags", i == 1 ? "[\"backup-previous\"]" : "[\"backup-final\"]");
        json_object_object_add(segments, i == 1 ? "1" : "2", o);
    }
    add(fake_json_get(header, "config", NULL), "requirements", "{\"mandatory\":[\"online-reencrypt-v2\"]}");
}

static void reencrypt(void)
{
    fake_rival_add_slot(20, "the new volume key's");
    fake_rival_add_slot(21, "not a passphrase at all");
    fake_rival_edit(begin_reencryption);
    assert_true(fake_disk_look()->reencrypting);
    assert_int_equal(fake_disk_look()->n_digests, 3);
}

/* The key's keyslot is as it was, and opens only the old part of the volume: not verified, not protected. */
static void reencryption_is_not_verified(void **state)
{
    (void)state;
    reencrypt();
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(key_state(), KEY_UNVERIFIED);
    assert_int_equal(volume().state, VOLUME_PENDING);
    assert_non_null(strstr(volume().note, "being re-encrypted"));
    assert_true(fake_note_says(&made.volume, "protect"));
    assert_int_equal(drift(0), 0); /* nobody changed our key */
    /* at its end cryptsetup has removed every keyslot but the one that it was told */
    fake_rival_destroy_slot((unsigned)made.slot);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(drift(DRIFT_REMOVED), 1);
    assert_int_equal(key_state(), KEY_RETIRED);
}

/* Nothing is written while it is pending, whatever is asked. */
static void reencryption_is_left_alone(void **state)
{
    (void)state;
    static uint8_t before[IMAGE_SIZE];
    struct protect_result r;
    reencrypt();
    fake_disk_save(before);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(rotate_spend(&fake_agent, &made.key_id, KH_CAUSE_DISCLOSED, "shown"), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    assert_int_equal(fake_rotate_alone(&r), ERR_BUSY);
    assert_int_equal(fake_protect(&r), ERR_BUSY);
    fake_keeper_stop();
    fake_keeper_start(true);
    assert_int_equal(fake_verify(), ERR_OK);
    assert_int_equal(fake_disk->writes, 0);
    assert_memory_equal(before, fake_disk->image.p, IMAGE_SIZE);
}

static json_object *ours(json_object *header)
{
    return slot_of(header, (unsigned)made.slot);
}

static void other_salt(json_object *header)
{
    add(fake_json_get(ours(header), "kdf", NULL), "salt", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"");
}

static void other_count(json_object *header)
{
    add(fake_json_get(ours(header), "kdf", NULL), "iterations", "2000000");
}

static void other_hash(json_object *header)
{
    add(fake_json_get(ours(header), "kdf", NULL), "hash", "\"sha512\"");
}

static void other_af(json_object *header)
{
    add(fake_json_get(ours(header), "af", NULL), "hash", "\"sha512\"");
}

static void other_area(json_object *header)
{
    json_object *area = fake_json_get(ours(header), "area", NULL);
    add(area, "encryption", "\"aes-cbc-essiv:sha256\"");
}

static void other_digest(json_object *header)
{
    add(fake_json_get(header, "digests", "0"), "iterations", "1001");
}

static void other_digest_value(json_object *header)
{
    add(fake_json_get(header, "digests", "0"), "digest", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"");
}

/* Everything that opening depends on: found at the next look, told once, and replaced where the volume can
 * still be opened. */
static const struct {
    const char *name;
    void (*change)(json_object *header);
    uint8_t told; /* enum record_drift */
    bool opens;   /* the management key still does */
} changes[] = {
    {"the keyslot's salt", other_salt, DRIFT_CHANGED, true},
    {"its count", other_count, DRIFT_REMOVED, true}, /* another one took its number */
    {"its hash", other_hash, DRIFT_REMOVED, true},
    {"the hash of its stripes", other_af, DRIFT_CHANGED, true},
    {"its area's cipher", other_area, DRIFT_REMOVED, true},
    {"the digest's count", other_digest, DRIFT_CHANGED, false},
    {"the digest", other_digest_value, DRIFT_CHANGED, false},
};

static void every_change_is_drift(void **state)
{
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        setup(state);
        fake_rival_edit(changes[i].change);
        for (int looks = 0; looks < 2; looks++)
            assert_int_equal(fake_verify(), ERR_OK);
        if (drift(changes[i].told) != 1 || drift(0) != 1 || key_state() == KEY_LIVE ||
            volume().rotate != KH_CAUSE_DRIFT)
            fail_msg("%s: %u of %u events, key in state %u, rotation wanted: %u", changes[i].name,
                     drift(changes[i].told), drift(0), key_state(), volume().rotate);
        rotate_pending(&fake_agent, NULL);
        fake_look_from_outside(&w);
        if (w.live != changes[i].opens || (volume().rotate == 0) != changes[i].opens)
            fail_msg("%s: %u keys in use afterwards, rotation wanted: %u", changes[i].name, w.live,
                     volume().rotate);
        teardown(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(destroyed),
        TEST(reencryption_is_not_verified),
        TEST(reencryption_is_left_alone),
        cmocka_unit_test(every_change_is_drift),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
