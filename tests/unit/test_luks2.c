/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LUKS2 headers made here: what is read, what is refused, which copy counts. */
#include "formats/names.h"
#include "tests/unit/luks2_image.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof(a)[0])

static void test_values(void **state)
{
    (void)state;
    struct image i;
    static struct luks2 l;
    image_make(&i, image_json, strlen(image_json), LUKS2_HDR_MIN);
    assert_int_equal(image_load(&i, &l), ERR_OK);
    assert_string_equal(l.uuid_text, "12a3a118-7039-4575-a649-3f559d8d87ee");
    assert_int_equal(l.uuid.bytes[0], 0x18); /* mixed-endian */
    assert_string_equal(l.label, "label");
    assert_int_equal(l.seqid, 5);
    assert_int_equal(l.hdr_size, 16384);
    assert_false(l.from_secondary || l.reencrypting);
    assert_int_equal(l.n_slots, 3);
    assert_int_equal(l.n_tokens, 2);
    assert_true(l.slot[0].supported && l.slot[1].supported);
    assert_true(l.slot[5].used && l.slot[5].supported && !l.slot[2].used);
    assert_int_equal(l.slot[1].iterations, 1234);
    assert_int_equal(l.slot[1].hash, CR_SHA256);
    assert_int_equal(l.slot[1].area_off, 163840);
    assert_int_equal(l.slot[1].salt_len, 32);
    assert_int_equal(l.slot[1].salt[0], 0x47);
    assert_int_equal(l.slot[5].kdf, LUKS2_ARGON2ID);
    assert_int_equal(l.slot[5].memory_kib, 1024);
    assert_int_equal(l.segment[0].off, 524288);
    assert_int_equal(l.segment[0].key_size, 32);
    assert_int_equal(l.segment[0].cipher, LUKS2_XTS_PLAIN64);
    assert_int_equal(l.digest[0].slots, 0x23);
    assert_int_equal(l.digest[0].value_len, 32);
    assert_int_equal(l.digest[0].segments, 1);
    assert_int_equal(l.n_digests, 1);
    assert_int_equal(l.n_segments, 1);
    assert_int_equal(l.json_len, strlen(image_json));
    assert_true(l.token[0].there && !l.token[0].used && !l.token[1].there);
    assert_string_equal(l.token[0].type, "clevis");
    assert_int_equal(l.token[0].slots, 1);
    assert_int_equal(l.n_flags + l.n_requirements, 0);
    assert_string_equal(l.slot[0].cipher_name, "aes-xts-plain64");
    assert_string_equal(l.slot[5].kdf_name, "argon2id");
    assert_int_equal(l.slot[5].priority, LUKS2_NORMAL);
    const struct luks2_token *t = &l.token[3];
    assert_true(t->used && t->assigned && t->has_fingerprint);
    assert_int_equal(t->state, LUKS2_TOKEN_LIVE);
    assert_int_equal(t->slot, 1);
    assert_int_equal(t->count, 1234);
    assert_int_equal(t->envelope_len, 4);
    assert_memory_equal(t->envelope, "KHE\1", 4);
    assert_int_equal(t->fingerprint[31], 0x1f);
    image_free(&i);
}

/* One place of image_json replaced by something else. */
static const struct {
    const char *name, *from, *to;
    enum err want;
} edits[] = {
    {"nothing", "", "", ERR_OK},
    {"white space", "\"tokens\":", " \"tokens\"\t:\n", ERR_OK},
    {"space at the start", "{\"keyslots\"", " {\"keyslots\"", ERR_FORMAT},
    {"a comma missing", ",\"tokens\"", "\"tokens\"", ERR_FORMAT},
    {"a comma too many", "\"tokens\"", ",\"tokens\"", ERR_FORMAT},
    {"keyslots twice: the last counts", "\"tokens\"", "\"keyslots\":{},\"tokens\"", ERR_FORMAT},
    {"no tokens section", "\"tokens\"", "\"takens\"", ERR_FORMAT},
    {"no config section", "\"config\"", "\"kanfig\"", ERR_FORMAT},
    {"no digests section", "\"digests\"", "\"d\"", ERR_FORMAT},
    {"keyslot number with a zero in front", "\"5\":{", "\"05\":{", ERR_UNSUPPORTED},
    {"keyslot number 32", "\"5\":{", "\"32\":{", ERR_UNSUPPORTED},
    {"keyslot named by a word", "\"5\":{", "\"five\":{", ERR_FORMAT},
    {"keyslot twice", "\"5\":{", "\"1\":{", ERR_FORMAT},
    {"area in the header", "\"32768\"", "\"28672\"", ERR_FORMAT},
    {"areas overlap", "\"163840\"", "\"163328\"", ERR_FORMAT},
    {"area behind the keyslots area", "\"294912\"", "\"420352\"", ERR_FORMAT},
    {"area of nothing", "\"size\":\"131072\"", "\"size\":\"0\"", ERR_FORMAT},
    {"area size overflows", "\"size\":\"131072\"", "\"size\":\"18446744073709551615\"", ERR_FORMAT},
    {"area size beyond 64 bits", "\"size\":\"131072\"", "\"size\":\"18446744073709551616\"", ERR_FORMAT},
    {"area size as a number", "\"size\":\"131072\"", "\"size\":131072", ERR_FORMAT},
    {"area size with a sign", "\"size\":\"131072\"", "\"size\":\"+131072\"", ERR_FORMAT},
    {"key size as text", "\"key_size\":32", "\"key_size\":\"32\"", ERR_FORMAT},
    {"key size beyond 32 bits", "\"key_size\":32", "\"key_size\":4294967328", ERR_FORMAT},
    {"key size negative", "\"key_size\":32", "\"key_size\":-32", ERR_FORMAT},
    {"keyslot of unknown type", "{\"type\":\"luks2\"", "{\"type\":\"luks9\"", ERR_OK},
    {"stripes with a fraction", "\"stripes\":4000", "\"stripes\":4000.0", ERR_FORMAT},
    {"kdf without salt", "\"salt\"", "\"sult\"", ERR_FORMAT},
    {"AF of another type", "\"luks1\"", "\"luks3\"", ERR_FORMAT},
    {"area of another type", "\"raw\"", "\"cooked\"", ERR_FORMAT},
    {"keyslot without digest", "[\"0\",\"1\",\"5\"]", "[\"0\",\"1\"]", ERR_FORMAT},
    {"digest names a missing keyslot", "[\"0\",\"1\",\"5\"]", "[\"0\",\"1\",\"5\",\"6\"]", ERR_FORMAT},
    {"digest names a missing segment", "\"segments\":[\"0\"]", "\"segments\":[\"0\",\"1\"]", ERR_FORMAT},
    {"token names a missing keyslot", "\"keyslots\":[\"0\"],\"jwe\"", "\"keyslots\":[\"7\"],\"jwe\"",
     ERR_FORMAT},
    {"segment without digest", "\"segments\":[\"0\"]", "\"segments\":[]", ERR_FORMAT},
    {"segment numbered 1", "\"segments\":{\"0\"", "\"segments\":{\"1\"", ERR_FORMAT},
    {"segment into the keyslots area", "\"524288\"", "\"523776\"", ERR_FORMAT},
    {"detached header", "\"524288\"", "\"0\"", ERR_OK},
    {"segment of half a sector", "\"524288\"", "\"524289\"", ERR_FORMAT},
    {"sector size 0", "\"sector_size\":512", "\"sector_size\":0", ERR_FORMAT},
    {"sector size 513", "\"sector_size\":512", "\"sector_size\":513", ERR_FORMAT},
    {"keyslots size not of 4 KiB", "\"491520\"", "\"491008\"", ERR_FORMAT},
    {"json size of another header", "\"12288\"", "\"28672\"", ERR_FORMAT},
    {"no requirement", "\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[]},", ERR_OK},
    {"unknown requirement", "\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[\"opal\"]},",
     ERR_UNSUPPORTED},
    {"unknown and malformed", "\"config\":{\"json_size\"",
     "\"config\":{\"requirements\":{\"mandatory\":[\"opal\"]},\"jsan_size\"", ERR_FORMAT},
    {"requirement as a number", "\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[1]},",
     ERR_FORMAT},
    {"re-encryption without its keyslot", "\"config\":{",
     "\"config\":{\"requirements\":{\"mandatory\":[\"online-reencrypt-v2\"]},", ERR_FORMAT},
    {"offline re-encryption", "\"config\":{",
     "\"config\":{\"requirements\":{\"mandatory\":[\"offline-reencrypt\"]},", ERR_OK},
};

static enum err load_json(const char *json, struct luks2 *ret)
{
    struct image i;
    image_make(&i, json, strlen(json), LUKS2_HDR_MIN);
    enum err e = image_load(&i, ret);
    image_free(&i);
    return e;
}

static void test_edits(void **state)
{
    (void)state;
    static struct luks2 l, before;
    unsigned failed = 0;
    memset(&before, 0xa5, sizeof before);
    for (size_t k = 0; k < N(edits); k++) {
        memset(&l, 0xa5, sizeof l);
        enum err e = load_json(image_edit(image_json, edits[k].from, edits[k].to), &l);
        bool touched = e != ERR_OK && memcmp(&l, &before, sizeof l) != 0;
        if (e != edits[k].want || touched) {
            print_error("%s: %s, not %s%s\n", edits[k].name, err_name(e), err_name(edits[k].want),
                        touched ? "; output touched" : "");
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* Rules of a header in re-encryption: cryptsetup 2.6.1 takes and refuses the same rows. */
static const struct {
    const char *name, *from, *to;
    enum err want;
} reencryptions[] = {
    {"running", "", "", ERR_OK},
    {"shifting data", "\"checksum\",", "\"datashift\",\"shift_size\":\"4096\",", ERR_OK},
    {"shifting nothing", "\"checksum\",", "\"datashift\",\"shift_size\":\"0\",", ERR_FORMAT},
    {"shifting by an unknown length", "\"checksum\",", "\"datashift-journal\",", ERR_FORMAT},
    {"checksums of 511 bytes", "\"sector_size\":512,\"offset\":\"2", "\"sector_size\":511,\"offset\":\"2",
     ERR_FORMAT},
    {"no direction", "\"direction\"", "\"dir\"", ERR_FORMAT},
    {"another mode", "\"mode\":\"reencrypt\"", "\"mode\":\"undo\"", ERR_FORMAT},
    {"key size 2", "\"key_size\":1,", "\"key_size\":2,", ERR_FORMAT},
    {"no requirement", "\"online-reencrypt-v2\"", "", ERR_FORMAT},
    {"first version", "online-reencrypt-v2", "online-reencrypt", ERR_OK},
    {"a later version", "online-reencrypt-v2", "online-reencrypt-v9", ERR_UNSUPPORTED},
    {"no final state", "backup-final", "backup-other", ERR_FORMAT},
    {"no state before", "backup-previous", "backup-other", ERR_FORMAT},
    {"first segment is a backup", "\"sector_size\":512},\"1\"",
     "\"sector_size\":512,\"flags\":[\"backup-x\"]},\"1\"", ERR_FORMAT},
    {"a segment like neither state", "\"sector_size\":512},\"1\"", "\"sector_size\":1024},\"1\"", ERR_FORMAT},
    {"segments overlap", "\"size\":\"65536\"", "\"size\":\"66048\"", ERR_FORMAT},
    {"first segment to the end", "\"size\":\"65536\"", "\"size\":\"dynamic\"", ERR_FORMAT},
    {"a gap in the numbers", "\"3\":{", "\"4\":{", ERR_FORMAT},
};

static void test_reencryption(void **state)
{
    (void)state;
    static struct luks2 l;
    unsigned failed = 0;
    for (size_t k = 0; k < N(reencryptions); k++) {
        enum err e =
            load_json(image_edit(image_json_reencrypting, reencryptions[k].from, reencryptions[k].to), &l);
        if (e != reencryptions[k].want || (e == ERR_OK && !l.reencrypting)) {
            print_error("%s: %s, not %s\n", reencryptions[k].name, err_name(e),
                        err_name(reencryptions[k].want));
            failed++;
        }
    }
    assert_int_equal(failed, 0);
    assert_int_equal(load_json(image_json_reencrypting, &l), ERR_OK);
    assert_int_equal(l.n_slots, 3);
    assert_int_equal(l.digest[0].slots, 2); /* of segment 0, which has the new key already */
    assert_int_equal(l.digest[l.slot[0].digest].segments, 10); /* 1 and the backup 3 */
    assert_true(l.slot[1].supported && l.slot[0].supported && !l.slot[2].supported);
    assert_int_equal(l.slot[1].digest, 0);
    assert_int_equal(l.n_segments, 2);
    assert_int_equal(l.segment[1].digest, l.slot[0].digest);
    assert_string_equal(l.requirement[0], "online-reencrypt-v2");
}

/* Keyslot 1 cannot be opened here, and nothing else is the matter. */
static void test_unsupported(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"hash\":\"sha256\",\"iterations\":1234", "\"hash\":\"whirlpool\",\"iterations\":1234"},
        {"\"iterations\":1234", "\"iterations\":0"},
        {"\"iterations\":1234", "\"iterations\":2147483648"},
        {"\"iterations\":1234", "\"iterations\":4294967296"},
        {"\"stripes\":4000", "\"stripes\":4001"},
        {"\"stripes\":4000", "\"stripes\":4294967295"},
        {"\"aes-xts-plain64\"", "\"aes-cbc-essiv:sha512\""},
        {"\"aes-xts-plain64\"", "\"serpent-xts-plain64\""},
        {"\"aes-xts-plain64\"", "\"cipher_null-ecb\""},
        {"\"luks2\",\"key_size\":32", "\"luks2\",\"key_size\":144"},
        {"\"luks2\",\"key_size\":32", "\"luks2\",\"key_size\":0"},
        {"\"luks2\",\"key_size\":32", "\"luks2\",\"key_size\":64"}, /* does not fit its area */
        {"\"salt\":\"R5", "\"salt\":\"!5"},
        {"\"key_size\":32,\"offset\"", "\"key_size\":33,\"offset\""},
    };
    static struct luks2 l;
    for (size_t k = 0; k < N(rows); k++) {
        enum err e = load_json(image_edit(image_json, rows[k][0], rows[k][1]), &l);
        if (e != ERR_OK || !l.slot[0].used || l.slot[0].supported || !l.slot[1].supported ||
            l.slot[0].why_not == NULL || l.slot[1].why_not != NULL)
            fail_msg("%s: %s, supported %d", rows[k][1], err_name(e), l.slot[0].supported);
        assert_in_range(luks2_area_len(&l.slot[0]), 0, LUKS2_AREA_MAX);
        struct image i = {0};
        SECRET(key);
        struct volume_io io = image_io(&i);
        assert_int_equal(luks2_open_slot(&io, &l, 0, "x", 1, NULL, 0, &key), ERR_UNSUPPORTED);
    }
}

/* A token of ours that is malformed counts as somebody else's; the volume is read all the same. */
static void test_bad_tokens(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"version\":1", "\"version\":2"},
        {"\"live\"", "\"dead\""},
        {"3F2504E0-4F89", "3F2504E04F89"},
        {"\"S0hFAQ==\"", "\"S0hFAQ=\""},
        {"\"S0hFAQ==\"", "4"},
        {"\"fingerprint\":\"AAEC", "\"fingerprint\":\"AA"},
        {"\"AAECAwQF", "\"AAECAwQFAAAA"},
        {"\"count\":1234", "\"count\":-1"},
        {"\"type\":\"keyholt\"", "\"type\":\"k\""},
    };
    static struct luks2 l;
    for (size_t k = 0; k < N(rows); k++) {
        enum err e = load_json(image_edit(image_json, rows[k][0], rows[k][1]), &l);
        if (e != ERR_OK || l.token[3].used || l.n_tokens != 2)
            fail_msg("%s: %s, used %d", rows[k][1], err_name(e), l.token[3].used);
    }
    assert_int_equal(
        load_json(image_edit(image_json, "\"keyslots\":[\"1\"],\"version\"", "\"keyslots\":[],\"version\""),
                  &l),
        ERR_OK);
    assert_true(l.token[3].used && !l.token[3].assigned);
    assert_int_equal(l.token[3].slot, 1);
}

static void test_token_life(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        uint8_t cause;
        bool receipted, replaces;
    } rows[] = {
        {"", 0, false, false}, /* as older agents wrote it */
        {"\"cause\":\"used\",", KH_CAUSE_USED, false, false},
        {"\"cause\":\"drift\",\"receipted\":true,", KH_CAUSE_DRIFT, true, false},
        {"\"cause\":\"protect\",\"receipted\":false,", KH_CAUSE_PROTECT, false, false},
        {"\"cause\":\"disclosed\",\"replaces\":\"3F2504E0-4F89-41D3-9A0C-0305E82C3302\",", KH_CAUSE_DISCLOSED,
         false, true},
        /* what a later version may write, or somebody else, says nothing */
        {"\"cause\":\"whim\",\"receipted\":\"yes\",\"replaces\":\"3F25\",", 0, false, false},
        {"\"cause\":7,\"receipted\":null,\"replaces\":[],", 0, false, false},
    };
    static struct luks2 l;
    char with[200];
    for (size_t k = 0; k < N(rows); k++) {
        (void)snprintf(with, sizeof with, "%s\"fingerprint\"", rows[k].more);
        assert_int_equal(load_json(image_edit(image_json, "\"fingerprint\"", with), &l), ERR_OK);
        const struct luks2_token *t = &l.token[3];
        if (!t->used || !t->has_fingerprint || t->cause != rows[k].cause ||
            t->receipted != rows[k].receipted || t->has_replaces != rows[k].replaces ||
            (t->has_replaces && t->replaces.bytes[15] != 2))
            fail_msg("row %zu: used %d, cause %u", k, t->used, t->cause);
    }
}

static void test_truncated_json(void **state)
{
    (void)state;
    struct image i;
    static struct luks2 l;
    size_t len = strlen(image_json);
    image_make(&i, image_json, len, LUKS2_HDR_MIN);
    for (size_t n = 0; n < len; n++) {
        image_set_json(&i, 0, image_json, n);
        image_set_json(&i, LUKS2_HDR_MIN, image_json, n);
        enum err e = image_load(&i, &l);
        if (e != ERR_FORMAT)
            fail_msg("JSON of %zu bytes: %s", n, err_name(e));
    }
    image_free(&i);
}

static void test_truncated_device(void **state)
{
    (void)state;
    struct image i;
    static struct luks2 l;
    image_make(&i, image_json, strlen(image_json), LUKS2_HDR_MIN);
    for (size_t len = 0; len < 524288; len += len < 2 * LUKS2_HDR_MIN ? 1 : 8111) {
        i.len = len;
        enum err e = image_load(&i, &l);
        if (e != ERR_FORMAT && e != ERR_NOT_FOUND)
            fail_msg("device of %zu bytes: %s", len, err_name(e));
    }
    i.len = 524288;
    assert_int_equal(image_load(&i, &l), ERR_OK);
    i.fail = ERR_IO;
    assert_int_equal(image_load(&i, &l), ERR_IO);
    image_free(&i);
}

/* Every bit of the first copy: the second is used. */
static void test_bit_flips(void **state)
{
    (void)state;
    struct image i;
    static struct luks2 l;
    image_make(&i, image_json, strlen(image_json), LUKS2_HDR_MIN);
    for (size_t k = 0; k < LUKS2_HDR_MIN; k += k < 512 ? 1 : 61) {
        uint8_t bit = (uint8_t)(1u << (k % 8));
        i.p[k] ^= bit;
        l.from_secondary = false;
        enum err e = image_load(&i, &l);
        bool slack = k >= 448 + 32 && k < 512; /* of the checksum field only 32 bytes are the sum */
        bool version = k == 6 || k == 7;       /* LUKS of another version is not looked into */
        if (e != (version ? ERR_VERSION : ERR_OK) || l.from_secondary == (slack || version))
            fail_msg("byte %zu: %s, secondary %d", k, err_name(e), l.from_secondary);
        i.p[k] ^= bit;
    }
    i.p[5000] ^= 1;
    i.p[LUKS2_HDR_MIN + 5000] ^= 1;
    assert_int_equal(image_load(&i, &l), ERR_FORMAT);
    image_free(&i);
}

static void test_which_copy(void **state)
{
    (void)state;
    struct image i;
    static struct luks2 l;
    image_make(&i, image_json, strlen(image_json), LUKS2_HDR_MIN);
    image_set_seqid(&i, LUKS2_HDR_MIN, 6);
    assert_int_equal(image_load(&i, &l), ERR_OK);
    assert_true(l.from_secondary && l.seqid == 6);
    image_set_seqid(&i, 0, 7);
    assert_int_equal(image_load(&i, &l), ERR_OK);
    assert_true(!l.from_secondary && l.seqid == 7);
    /* the newer one has a good sum over bad JSON */
    image_set_json(&i, 0, image_json, 100);
    assert_int_equal(image_load(&i, &l), ERR_OK);
    assert_true(l.from_secondary && l.seqid == 6);
    /* the newer one wants what we do not know: the older must not stand in for it */
    const char *json =
        image_edit(image_json, "\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[\"x\"]},");
    image_set_json(&i, 0, json, strlen(json));
    assert_int_equal(image_load(&i, &l), ERR_UNSUPPORTED);
    image_free(&i);
}

static void test_sizes(void **state)
{
    (void)state;
    struct image i;
    static struct luks2 l;
    char json_size[24];
    for (size_t size = LUKS2_HDR_MIN; size <= 131072; size *= 2) {
        snprintf(json_size, sizeof json_size, "\"%zu\"", size - LUKS2_BIN_HDR);
        /* no keyslots: their places would differ */
        const char *json = image_edit(
            "{\"keyslots\":{},\"tokens\":{},\"segments\":{\"0\":{\"type\":\"linear\",\"offset\":\"0\","
            "\"size\":\"dynamic\"}},\"digests\":{},\"config\":{\"json_size\":J,"
            "\"keyslots_size\":\"0\"}}",
            "J", json_size);
        image_make(&i, json, strlen(json), size);
        assert_int_equal(image_load(&i, &l), ERR_OK);
        assert_int_equal(l.hdr_size, size);
        memset(i.p, 0, size); /* where is the second copy? */
        enum luks2_kind kind;
        struct volume_io io = image_io(&i);
        assert_int_equal(image_load(&i, &l), ERR_OK);
        assert_true(l.from_secondary);
        assert_int_equal(luks2_probe(&io, &kind), ERR_OK);
        assert_int_equal(kind, LUKS2_IS_LUKS2);
        image_free(&i);
    }
}

static void test_probe(void **state)
{
    (void)state;
    struct image i;
    static struct luks2 l;
    enum luks2_kind kind;
    image_make(&i, image_json, strlen(image_json), LUKS2_HDR_MIN);
    struct volume_io io = image_io(&i);
    assert_int_equal(luks2_probe(&io, &kind), ERR_OK);
    assert_int_equal(kind, LUKS2_IS_LUKS2);
    i.p[7] = 1;
    assert_int_equal(luks2_probe(&io, &kind), ERR_OK);
    assert_int_equal(kind, LUKS2_IS_LUKS1);
    assert_int_equal(image_load(&i, &l), ERR_VERSION);
    memset(i.p, 0, i.len);
    assert_int_equal(luks2_probe(&io, &kind), ERR_OK);
    assert_int_equal(kind, LUKS2_NOT_LUKS);
    assert_int_equal(image_load(&i, &l), ERR_NOT_FOUND);
    i.fail = ERR_IO;
    assert_int_equal(luks2_probe(&io, &kind), ERR_IO);
    image_free(&i);
}

/* What is wrong, and where: the offset points at this text. */
static void test_problems(void **state)
{
    (void)state;
    static struct luks2 l;
    static const struct {
        const char *from, *to, *at, *name;
    } rows[] = {
        {",\"tokens\"", "\"tokens\"", "\"tokens\"", ""},
        {"\"size\":\"131072\"", "\"size\":\"0\"", "{\"type\":\"raw\"", ""},
        {"\"stripes\":4000", "\"stripes\":\"\"", "{\"type\":\"luks2\"", ""},
        {"[\"0\",\"1\",\"5\"]", "[\"0\",\"1\",\"6\"]", "\"6\"]", ""},
        {"\"keyslots\":[\"0\"],\"jwe\"", "\"keyslots\":[\"7\"],\"jwe\"", "\"7\"],\"jwe\"", ""},
        {"\"sector_size\":512", "\"sector_size\":513", "{\"type\":\"crypt\"", ""},
        {"\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[\"o\\\\pal\"]},", "\"o\\\\pal",
         "o\\\\pal"},
        {"\"5\":{", "\"4294967296\":{", "\"4294967296\"", "4294967296"},
    };
    for (size_t k = 0; k < N(rows); k++) {
        struct image i;
        struct luks2_problem why = {0};
        static uint8_t scratch[LUKS2_SCRATCH_USUAL];
        const char *json = image_edit(image_json, rows[k].from, rows[k].to);
        image_make(&i, json, strlen(json), LUKS2_HDR_MIN);
        struct volume_io io = image_io(&i);
        enum err e = luks2_load_why(&io, scratch, sizeof scratch, &why, &l);
        if (e == ERR_OK || why.what == NULL || strcmp(why.name, rows[k].name) != 0 ||
            why.off >= LUKS2_HDR_MIN || memcmp(i.p + why.off, rows[k].at, strlen(rows[k].at)) != 0)
            fail_msg("%s: %s, %s: %s, offset %llu", rows[k].to, err_name(e), why.what, why.name,
                     (unsigned long long)why.off);
        image_free(&i);
    }
}

static void test_next_slot(void **state)
{
    (void)state;
    static struct luks2 l;
    static const struct {
        int slot;
        enum luks2_priority priority;
        bool supported, unbound;
    } rows[] = {{0, LUKS2_NORMAL, true, false}, {1, LUKS2_PREFER, true, false},
                {2, LUKS2_IGNORE, true, false}, {3, LUKS2_NORMAL, false, false},
                {4, LUKS2_NORMAL, true, true},  {30, LUKS2_NORMAL, true, false},
                {31, LUKS2_PREFER, true, false}};
    for (size_t k = 0; k < N(rows); k++)
        l.slot[rows[k].slot] = (struct luks2_slot){.used = true,
                                                   .priority = (uint8_t)rows[k].priority,
                                                   .supported = rows[k].supported,
                                                   .unbound = rows[k].unbound};
    int slot = -1;
    for (size_t k = 0; k < 4; k++) {
        assert_true(luks2_next_slot(&l, &slot));
        assert_int_equal(slot, ((int[]){1, 31, 0, 30})[k]);
    }
    assert_false(luks2_next_slot(&l, &slot));
    memset(&l, 0, sizeof l);
    slot = -1;
    assert_false(luks2_next_slot(&l, &slot));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),         cmocka_unit_test(test_edits),
        cmocka_unit_test(test_reencryption),   cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_bad_tokens),     cmocka_unit_test(test_token_life),
        cmocka_unit_test(test_truncated_json), cmocka_unit_test(test_truncated_device),
        cmocka_unit_test(test_bit_flips),      cmocka_unit_test(test_which_copy),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_probe),
        cmocka_unit_test(test_problems),       cmocka_unit_test(test_next_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
