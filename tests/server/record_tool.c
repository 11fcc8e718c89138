/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a device says, made by hand: for tests of the server. Answers are JSON on standard output. */
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "formats/base.h"
#include "formats/command.h"
#include "formats/enroll_text.h"
#include "formats/envelope.h"
#include "formats/org.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "record_tool key KEYFILE\n"
    "record_tool enroll KEYFILE TOKEN CSRFILE TIME\n"
    "record_tool escrow KEYFILE ORG INCARNATION SEQUENCE PREVIOUS KEYID VOLUME PASSWORD OWNER\n"
    "record_tool event KEYFILE INCARNATION SEQUENCE PREVIOUS EVENT KEYID OTHER VOLUME TIME\n"
    "record_tool report KEYFILE INCARNATION SEQUENCE PREVIOUS JSON\n"
    "record_tool spoil KEYFILE RECORD     an escrow record, signed, whose envelope is none\n"
    "record_tool receipt ORG BASE64\n"
    "record_tool command ORG BASE64\n";

static struct cr_p256_key *device_key; /* one a run; the process ends with it */

static void check(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "record_tool: %s: %s\n", what, err_name(e));
    exit(1);
}

static struct cr_p256_key *load_key(const char *path)
{
    uint8_t *pem;
    size_t len;
    check(file_read(path, 4096, &pem, &len), path);
    check(cr_p256_from_pem((const char *)pem, len, NULL, &device_key), path);
    free(pem);
    return device_key;
}

static void device_id(const struct cr_p256_key *key, uint8_t ret[static 32])
{
    struct cr_p256_pub pub;
    check(cr_p256_public(key, &pub), "public");
    check(cr_p256_id(&pub, ret), "id");
}

static void unhex(const char *text, uint8_t *ret, size_t len)
{
    size_t got;
    check(base16_decode(text, strlen(text), ret, len, &got), text);
    check(got == len ? ERR_OK : ERR_RANGE, text);
}

static void print_hex(const char *name, const uint8_t *p, size_t len, const char *end)
{
    char text[BASE16_LEN(64) + 1];
    base16_encode(p, len, text);
    printf("\"%s\":\"%s\"%s", name, text, end);
}

static void print_base64(const char *name, const uint8_t *p, size_t len, const char *end)
{
    char *text = malloc(BASE64_LEN(len) + 1);
    check(text != NULL ? ERR_OK : ERR_NOMEM, name);
    base64_encode(p, len, text);
    printf("\"%s\":\"%s\"%s", name, text, end);
    free(text);
}

static struct org *load_org(const char *path)
{
    uint8_t *json;
    size_t len;
    static struct org org;
    check(file_read(path, ORG_MAX, &json, &len), path);
    void *scratch = malloc(16 * len + 1024);
    check(scratch != NULL ? ERR_OK : ERR_NOMEM, path);
    check(org_decode((const char *)json, len, scratch, 16 * len + 1024, &org), path);
    free(scratch);
    free(json);
    return &org;
}

static int do_key(char **a)
{
    struct cr_p256_pub pub;
    uint8_t id[32], spki[CR_P256_SPKI];
    char pem[4096];
    size_t len;
    check(cr_p256_generate(&device_key), "generate");
    check(cr_p256_to_pem(device_key, NULL, pem, sizeof pem, &len), "pem");
    check(file_write(a[0], pem, len, 0600), a[0]);
    check(cr_p256_public(device_key, &pub), "public");
    check(cr_p256_to_spki(&pub, spki), "spki");
    device_id(device_key, id);
    printf("{");
    print_hex("device", id, 32, ",");
    print_base64("spki", spki, sizeof spki, "}\n");
    return 0;
}

static int do_enroll(char **a)
{
    uint8_t token[32], text[ENROLL_TEXT_LEN], sig[64], *csr;
    size_t len;
    check(cr_sha256(a[1], strlen(a[1]), token), "token");
    check(file_read(a[2], 65536, &csr, &len), a[2]);
    check(enroll_text(token, csr, len, strtoull(a[3], NULL, 10), text), "text");
    free(csr);
    check(cr_p256_sign(load_key(a[0]), text, sizeof text, sig), "sign");
    printf("{");
    print_base64("signature", sig, sizeof sig, "}\n");
    return 0;
}

static void begin_record(char **a, const struct cr_p256_key *key, uint8_t kind, struct record *ret)
{
    *ret = (struct record){.kind = kind, .time = (uint64_t)time(NULL), .sequence = strtoull(a[1], NULL, 10)};
    device_id(key, ret->device);
    unhex(a[0], ret->incarnation, 16);
    unhex(a[2], ret->previous, 32);
}

static void print_record(const struct record *r, const struct cr_p256_key *key)
{
    uint8_t bytes[RECORD_MAX], name[32];
    size_t len;
    check(record_encode(r, key, bytes, &len), "encode");
    check(record_name(bytes, len, name), "name");
    print_hex("name", name, 32, ",");
    print_base64("record", bytes, len, "}\n");
}

static void seal(const struct org *org, const struct envelope *e, const uint8_t *password, uint8_t *ret,
                 size_t *ret_len)
{
    struct cr_p256_pub to[ENVELOPE_RECIPIENTS];
    for (unsigned i = 0; i < org->n_escrow; i++)
        check(cr_p256_from_spki(org->escrow[i].spki, sizeof org->escrow[i].spki, &to[i]), "escrow key");
    check(envelope_seal(e, &org->id, to, org->n_escrow, password, ret, ret_len), "seal");
}

static int do_escrow(char **a)
{
    struct cr_p256_key *key = load_key(a[0]);
    struct org *org = load_org(a[1]);
    struct record r;
    struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = (uint64_t)time(NULL)};
    uint8_t password[16], sealed[ENVELOPE_MAX], hash[32];
    SECRET(digits);
    begin_record(a + 2, key, RECORD_ESCROW, &r);
    check(guid_decode(a[5], strlen(a[5]), &e.key_id), a[5]);
    check(guid_decode(a[6], strlen(a[6]), &e.volume), a[6]);
    unhex(a[7], password, 16);
    memcpy(e.device, r.device, 32);
    if (strcmp(a[8], "-") != 0)
        unhex(a[8], e.device, 32);
    seal(org, &e, password, sealed, &r.envelope_len);
    r.envelope = sealed;
    snprintf(r.computer, sizeof r.computer, "laptop-1");
    snprintf(r.label, sizeof r.label, "root");
    check(cr_sha256(sealed, r.envelope_len, hash), "hash");
    rp_encode(password, &digits);
    printf("{\"digits\":\"%.*s\",", (int)digits.len, (const char *)digits.bytes);
    print_hex("envelope", hash, 32, ",");
    print_record(&r, key);
    return 0;
}

static int do_event(char **a)
{
    struct cr_p256_key *key = load_key(a[0]);
    struct record r;
    begin_record(a + 1, key, RECORD_EVENT, &r);
    r.event = (uint8_t)strtoul(a[4], NULL, 10);
    check(guid_decode(a[5], strlen(a[5]), &r.key_id), a[5]);
    check(guid_decode(a[6], strlen(a[6]), &r.other_key_id), a[6]);
    check(guid_decode(a[7], strlen(a[7]), &r.volume), a[7]);
    r.result = 1;
    r.reason = KH_REASON_PASSPHRASE;
    r.event_time = strcmp(a[8], "-") == 0 ? r.time : strtoull(a[8], NULL, 10);
    printf("{");
    print_record(&r, key);
    return 0;
}

static int do_report(char **a)
{
    struct cr_p256_key *key = load_key(a[0]);
    struct record r;
    begin_record(a + 1, key, RECORD_REPORT, &r);
    r.report = (const uint8_t *)a[4];
    r.report_len = strlen(a[4]);
    printf("{");
    print_record(&r, key);
    return 0;
}

static int do_spoil(char **a)
{
    struct cr_p256_key *key = load_key(a[0]);
    uint8_t bytes[RECORD_MAX], envelope[ENVELOPE_MAX];
    size_t len;
    struct record r;
    check(base64_decode(a[1], strlen(a[1]), bytes, sizeof bytes, &len), "base64");
    check(record_decode(bytes, len, &r), "record");
    check(r.kind == RECORD_ESCROW && r.envelope_len <= sizeof envelope ? ERR_OK : ERR_FORMAT, "escrow");
    memcpy(envelope, r.envelope, r.envelope_len);
    envelope[0] ^= 1;
    r.envelope = envelope;
    printf("{");
    print_record(&r, key);
    return 0;
}

static void receipt_pub(const struct org *org, struct cr_p256_pub *ret)
{
    check(cr_p256_from_spki(org->receipt[0].spki, sizeof org->receipt[0].spki, ret), "receipt key");
}

static int do_receipt(char **a)
{
    static uint8_t bytes[RECEIPT_MAX];
    size_t len;
    struct receipt r;
    struct cr_p256_pub pub;
    const struct org *org = load_org(a[0]);
    receipt_pub(org, &pub);
    check(base64_decode(a[1], strlen(a[1]), bytes, sizeof bytes, &len), "base64");
    check(receipt_decode(bytes, len, &pub, &r), "receipt");
    check(guid_equal(&r.org, &org->id) ? ERR_OK : ERR_AUTH, "organisation");
    printf("{\"class\":%u,\"attempt\":%u,\"time\":%llu,", r.class, r.attempt, (unsigned long long)r.time);
    print_hex("device", r.device, 32, ",\"names\":[");
    for (unsigned i = 0; i < r.n; i++) {
        char text[BASE16_LEN(32) + 1];
        base16_encode(r.names + 32 * (size_t)i, 32, text);
        printf("%s\"%s\"", i > 0 ? "," : "", text);
    }
    printf("]}\n");
    return 0;
}

static int do_command(char **a)
{
    uint8_t bytes[COMMAND_LEN];
    size_t len;
    struct command c;
    struct cr_p256_pub pub;
    char key[GUID_TEXT];
    receipt_pub(load_org(a[0]), &pub);
    check(base64_decode(a[1], strlen(a[1]), bytes, sizeof bytes, &len), "base64");
    check(command_decode(bytes, len, &pub, &c), "command");
    guid_encode(&c.key_id, key);
    printf("{\"order\":%u,\"key_id\":\"%s\",\"time\":%llu,", c.order, key, (unsigned long long)c.time);
    print_hex("device", c.device, 32, "}\n");
    return 0;
}

static int do_sign(char **a)
{
    uint8_t *bytes, sig[64];
    size_t len;
    char path[4096];
    check(file_read(a[1], ORG_MAX, &bytes, &len), a[1]);
    check(cr_p256_sign(load_key(a[0]), bytes, len, sig), "sign");
    free(bytes);
    snprintf(path, sizeof path, "%s.sig", a[1]);
    check(file_write(path, sig, sizeof sig, 0644), path);
    printf("{}\n");
    return 0;
}

static const struct {
    const char *name;
    int argc;
    int (*run)(char **a);
} verbs[] = {{"key", 1, do_key},         {"enroll", 4, do_enroll},   {"escrow", 9, do_escrow},
             {"event", 9, do_event},     {"report", 5, do_report},   {"spoil", 2, do_spoil},
             {"receipt", 2, do_receipt}, {"command", 2, do_command}, {"sign", 2, do_sign}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, argv[1]) == 0 && argc - 2 == verbs[i].argc)
            return verbs[i].run(argv + 2);
    fputs(usage, stderr);
    return 2;
}
