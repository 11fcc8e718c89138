/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/fake_server.h"
#include "crypto/hash.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include "formats/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

struct fake_server fake_server;

static const struct guid org = {
    {0xe0, 0x04, 0x25, 0x3f, 0x89, 0x4f, 0xd3, 0x41, 0x9a, 0x0c, 0x03, 0x05, 0xe8, 0x2c, 0x33, 0x01}};

void fake_server_lose(void)
{
    for (unsigned i = 0; i < fake_server.n; i++)
        free(fake_server.record[i].bytes);
    fake_server.n = 0;
}

void fake_server_reset(const struct cr_p256_pub *device)
{
    fake_server_lose();
    memset(&fake_server, 0, sizeof fake_server);
    fake_server.device = *device;
}

struct cr_p256_key *fake_server_key(uint8_t seed)
{
    struct cr_p256_key *key;
    uint8_t scalar[32] = {0};
    scalar[31] = seed;
    if (cr_p256_from_scalar(scalar, &key) != ERR_OK)
        abort();
    return key;
}

static struct fake_record *find(const uint8_t name[static 32])
{
    for (unsigned i = 0; i < fake_server.n; i++)
        if (memcmp(fake_server.record[i].name, name, 32) == 0)
            return &fake_server.record[i];
    return NULL;
}

static bool is_taken(const struct record *r)
{
    for (unsigned i = 0; i < fake_server.n; i++)
        if (fake_server.record[i].sequence == r->sequence &&
            memcmp(fake_server.record[i].incarnation, r->incarnation, sizeof r->incarnation) == 0)
            return true;
    return false;
}

/* One record: checked, and kept under its name. False: it is no record of this device's. */
static bool store(const uint8_t *p, size_t len, uint8_t ret_name[static 32])
{
    struct record *r = malloc(sizeof *r);
    struct fake_record *k = &fake_server.record[fake_server.n], *known;
    bool good = r && record_verify(p, len, &fake_server.device) == ERR_OK &&
                record_decode(p, len, r) == ERR_OK && record_name(p, len, ret_name) == ERR_OK;
    if (good && (known = find(ret_name))) {
        known->brought++;
        fake_server.doubles++;
    } else if (good) {
        fake_server.bad += is_taken(r); /* kept all the same, as a server does (invariant 7) */
        *k = (struct fake_record){
            .sequence = r->sequence, .len = len, .is_escrow = r->kind == RECORD_ESCROW, .brought = 1};
        memcpy(k->name, ret_name, 32);
        memcpy(k->incarnation, r->incarnation, sizeof k->incarnation);
        k->bytes = malloc(len);
        good = k->bytes && fake_server.n + 1 < FAKE_SERVER_RECORDS &&
               (!k->is_escrow || cr_sha256(r->envelope, r->envelope_len, k->envelope) == ERR_OK);
        if (!good)
            abort();
        memcpy(k->bytes, p, len);
        fake_server.n++;
        fake_server.stored++;
    }
    fake_server.bad += !good;
    free(r);
    return good;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

bool fake_server_has(const uint8_t *envelope, size_t len)
{
    uint8_t hash[32];
    if (cr_sha256(envelope, len, hash) != ERR_OK)
        abort();
    for (unsigned i = 0; i < fake_server.n; i++)
        if (fake_server.record[i].is_escrow && memcmp(fake_server.record[i].envelope, hash, 32) == 0)
            return true;
    return false;
}

/* Hashes of all envelopes, sorted, each once. */
static unsigned hashes(uint8_t (*ret)[32])
{
    unsigned n = 0, out = 0;
    for (unsigned i = 0; i < fake_server.n; i++)
        if (fake_server.record[i].is_escrow)
            memcpy(ret[n++], fake_server.record[i].envelope, 32);
    qsort(ret, n, 32, by_bytes);
    for (unsigned i = 0; i < n; i++)
        if (out == 0 || memcmp(ret[out - 1], ret[i], 32) != 0)
            memmove(ret[out++], ret[i], 32);
    return out;
}

static void add_base64(json_object *o, const char *key, const uint8_t *p, size_t len)
{
    char *text = malloc(BASE64_LEN(len) + 1);
    if (!text)
        abort();
    base64_encode(p, len, text);
    if (key)
        json_object_object_add(o, key, json_object_new_string(text));
    else
        json_object_array_add(o, json_object_new_string(text));
    free(text);
}

static void add_hex(json_object *o, const char *key, const uint8_t *p, size_t len)
{
    char text[BASE16_LEN(64) + 1];
    base16_encode(p, len, text);
    json_object_object_add(o, key, json_object_new_string(text));
}

/* One receipt over all that came, each once. */
static void add_receipt(json_object *list, uint8_t (*names)[32], unsigned n, uint64_t attempt)
{
    uint8_t out[RECEIPT_MAX];
    size_t len;
    unsigned once = 0;
    struct receipt r = {
        .class = RECEIPT_LOCAL, .attempt = (uint32_t)attempt, .org = org, .time = 1 + fake_server.posts};
    struct cr_p256_key *key = fake_server_key(FAKE_SERVER_SEED);
    struct cr_p256_pub pub;
    qsort(names, n, 32, by_bytes);
    for (unsigned i = 0; i < n; i++)
        if (once == 0 || memcmp(names[once - 1], names[i], 32) != 0)
            memmove(names[once++], names[i], 32);
    r.n = once;
    r.names = names[0];
    if (cr_p256_id(&fake_server.device, r.device) != ERR_OK || cr_p256_public(key, &pub) != ERR_OK ||
        cr_p256_id(&pub, r.key) != ERR_OK || receipt_encode(&r, key, out, &len) != ERR_OK)
        abort();
    add_base64(list, NULL, out, len);
    cr_p256_free(key);
}

static void take_records(json_object *request, json_object *receipts)
{
    static uint8_t names[256][32], bytes[RECORD_MAX];
    json_object *list = NULL;
    uint64_t attempt = 0;
    unsigned n = 0;
    enum err e = json_get_array(request, "records", 256, &list);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        abort();
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i);
        size_t len;
        if (base64_decode(json_object_get_string(item), (size_t)json_object_get_string_len(item), bytes,
                          sizeof bytes, &len) == ERR_OK)
            n += store(bytes, len, names[n]);
    }
    (void)!json_get_u64(request, "attempt", &attempt);
    if (n > 0 && !fake_server.no_receipts)
        add_receipt(receipts, names, n, attempt);
}

static void compare_sets(json_object *request, json_object *answer)
{
    static uint8_t own[FAKE_SERVER_RECORDS][32], theirs[512 * 32], missing[512 * 32];
    uint8_t digest[32], said[8];
    unsigned n = hashes(own);
    size_t len = 0, lacks = 0;
    if (cr_sha256(own, 32 * (size_t)n, digest) != ERR_OK ||
        json_get_hex(request, "envelopes", said, sizeof said) != ERR_OK)
        abort();
    bool match = memcmp(digest, said, sizeof said) == 0,
         set = json_get_base64(request, "set", theirs, sizeof theirs, &len) == ERR_OK && len > 0;
    json_object_object_add(answer, "envelopes_match", json_object_new_boolean(match));
    if (!match)
        add_hex(answer, "envelopes", digest, sizeof said);
    if (!match && !set && !fake_server.asks_nothing)
        json_object_object_add(answer, "want_set", json_object_new_boolean(true));
    for (size_t i = 0; i < len; i += 32)
        if (!bsearch(theirs + i, own, n, 32, by_bytes)) {
            memcpy(missing + lacks, theirs + i, 32);
            lacks += 32;
        }
    fake_server.sets += set;
    if (fake_server.missing)
        add_base64(answer, "missing", fake_server.missing, 32 * fake_server.n_missing);
    else if (set)
        add_base64(answer, "missing", missing, lacks);
}

/* The last record that came of the incarnation that came last. */
static void add_known(json_object *answer)
{
    const struct fake_record *last = NULL;
    for (unsigned i = 0; i < fake_server.n; i++) {
        const struct fake_record *r = &fake_server.record[i];
        if (!last || memcmp(r->incarnation, last->incarnation, 16) != 0 || r->sequence > last->sequence)
            last = r;
    }
    json_object *known = last ? json_object_new_object() : NULL;
    if (last) {
        add_hex(known, "incarnation", last->incarnation, 8);
        json_object_object_add(known, "sequence", json_object_new_uint64(last->sequence + fake_server.known));
        add_hex(known, "name", last->name, 8);
    }
    json_object_object_add(answer, "known", known);
}

static void answer(json_object *request)
{
    json_object *o = json_object_new_object(), *receipts = json_object_new_array(),
                *commands = json_object_new_array();
    take_records(request, receipts);
    for (unsigned i = 0; i < 4; i++)
        if (fake_server.more_len[i])
            add_base64(fake_server.is_command[i] ? commands : receipts, NULL, fake_server.more[i],
                       fake_server.more_len[i]);
    json_object_object_add(o, "receipts", receipts);
    json_object_object_add(o, "commands", commands);
    compare_sets(request, o);
    add_known(o);
    json_object_object_add(o, "audit_head", NULL);
    json_object_object_add(o, "retry_after", json_object_new_int(5400));
    (void)snprintf(fake_server.text, sizeof fake_server.text, "%s",
                   json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    json_object_put(o);
}

static void inflate_request(const struct server_post *p, char *ret, size_t cap)
{
    z_stream z = {
        .next_in = p->gzip, .avail_in = (uInt)p->len, .next_out = (uint8_t *)ret, .avail_out = (uInt)cap - 1};
    if (inflateInit2(&z, 15 + 16) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    ret[z.total_out] = 0;
    (void)inflateEnd(&z);
}

static void receive(const struct server_post *p)
{
    static char text[1 << 20];
    json_object *request;
    inflate_request(p, text, sizeof text);
    if (json_strict_parse(text, strlen(text), &request) != ERR_OK)
        abort();
    fake_server.posts++;
    answer(request);
    json_object_put(request);
}

static bool is_it(const char *server, const char *which)
{
    return which && (strcmp(which, "*") == 0 || strcmp(server, which) == 0);
}

static bool fake_post(const struct server_post *p, struct errand_answer *ret)
{
    enum fake_fate fate = fake_server.fate;
    if (is_it(p->server, fake_server.false_name)) {
        errand_say(ret, MSG_UNTRUSTED, "%s: another certificate", p->server);
        return false;
    }
    if (is_it(p->server, fake_server.dead) || fate == FATE_REQUEST_LOST) {
        errand_say(ret, MSG_OFFLINE, "%s: silent", p->server);
        return false;
    }
    if (fate == FATE_BUSY || fate == FATE_NO) {
        ret->retry_after_s = fate == FATE_BUSY ? 77 : 0;
        errand_say(ret, fate == FATE_BUSY ? MSG_OFFLINE : MSG_REFUSED, "%s: not now, or never", p->server);
        return fate == FATE_NO;
    }
    receive(p);
    if (fate == FATE_TWICE)
        receive(p);
    if (fate == FATE_ANSWER_LOST) {
        errand_say(ret, MSG_OFFLINE, "%s: silent", p->server);
        return false;
    }
    ret->status = MSG_DONE;
    ret->problem[0] = 0;
    ret->body = strdup(fake_server.instead ? fake_server.instead : fake_server.text);
    ret->body_len = ret->body ? strlen(ret->body) : 0;
    return true;
}

static int64_t fake_now_ms(void)
{
    return 1000;
}

const struct server_ops server_ops = {.now_ms = fake_now_ms, .post = fake_post};
