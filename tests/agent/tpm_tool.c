/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tpm_tool TCTI VERB [FILE]: agent/tpm/tpm*.c on a real TPM without a keeper around it, and what a test does
 * to a TPM that no program of Keyholt may do. A failure is one line on stderr: the error's name. */
#include "agent/tpm/tpm.h"
#include "agent/tpm/tpm_esys.h"
#include "crypto/host/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#define NONE    ESYS_TR_NONE
#define NOBODY  ESYS_TR_PASSWORD
#define MSG_MAX 4096

static enum err linked(const struct tpm_ops **ret)
{
    *ret = &tpm_esys;
    return ERR_OK;
}

static void stays(void) {}

static void pause_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

static const struct tpm_edge edge = {linked, stays, pause_ms};
static struct tpm tpm;
static ESYS_CONTEXT *esys;
static TSS2_TCTI_CONTEXT *tcti;

static void check(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", err_name(e), what);
    exit(1);
}

static void print_hex(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02x", p[i]);
    puts("");
}

static void save(const char *path, const struct tpm_blob *b)
{
    uint8_t bytes[TPM_BLOB_MAX];
    size_t len;
    check(tpm_blob_encode(b, bytes, &len), "encode");
    check(file_write(path, bytes, len, 0600), path);
}

static struct tpm_blob load(const char *path)
{
    struct tpm_blob b;
    uint8_t *p;
    size_t len;
    check(file_read(path, TPM_BLOB_MAX, &p, &len), path);
    check(tpm_blob_decode(p, len, &b), path);
    free(p);
    return b;
}

static struct secret stdin_secret(void)
{
    struct secret s;
    s.len = fread(s.bytes, 1, sizeof s.bytes, stdin);
    return s;
}

static void create(const char *path)
{
    struct tpm_blob b;
    uint8_t spki[CR_P256_SPKI];
    check(tpm_key_create(&tpm, &b), "create");
    save(path, &b);
    check(cr_p256_to_spki(&b.key, spki), "spki");
    print_hex(spki, sizeof spki);
}

static void sign(const char *path)
{
    struct tpm_blob b = load(path);
    uint8_t msg[MSG_MAX], sig[CR_P256_SIG];
    size_t len = fread(msg, 1, sizeof msg, stdin);
    check(tpm_sign(&tpm, &b, msg, len, sig), "sign");
    print_hex(sig, sizeof sig);
}

static void seal(const char *path)
{
    struct secret s = stdin_secret();
    struct tpm_blob b;
    check(tpm_seal(&tpm, &s, &b), "seal");
    save(path, &b);
}

static void unseal(const char *path)
{
    struct tpm_blob b = load(path);
    SECRET(s);
    check(tpm_unseal(&tpm, &b, &s), "unseal");
    (void)fwrite(s.bytes, 1, s.len, stdout);
}

static void look(const char *path)
{
    struct tpm_blob b = load(path);
    check(tpm_check(&tpm, &b), "check");
}

static void state(const char *path)
{
    struct tpm_state s;
    (void)path;
    check(tpm_state(&tpm, &s), "state");
    printf("{\"manufacturer\": \"%s\", \"model\": \"%s\", \"firmware\": \"%u.%u.%u.%u\", \"count\": %u, "
           "\"max\": %u, \"locked\": %s}\n",
           s.manufacturer, s.model, s.firmware[0], s.firmware[1], s.firmware[2], s.firmware[3],
           s.lockout_count, s.lockout_max, s.locked_out ? "true" : "false");
}

/* 200 operations of each kind, half of them in one batch. */
static void churn(const char *path)
{
    struct tpm_blob key = load(path), b;
    uint8_t sig[CR_P256_SIG];
    struct secret s = {.len = 40}, back;
    for (int i = 0; i < 200; i++) {
        if (i == 100)
            check(tpm_begin(&tpm), "begin");
        s.bytes[0] = (uint8_t)i;
        check(tpm_sign(&tpm, &key, "message", 7, sig), "sign");
        check(tpm_seal(&tpm, &s, &b), "seal");
        check(tpm_unseal(&tpm, &b, &back), "unseal");
        if (back.len != s.len || memcmp(back.bytes, s.bytes, s.len) != 0)
            check(ERR_INTERNAL, "another secret came back");
    }
    tpm_end(&tpm);
}

/* How many copies of the secret are left in this process' memory when all is closed? Found by a mask, so that
 * this function makes none. */
static size_t copies(const uint8_t *masked, size_t len)
{
    char line[256];
    size_t found = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) {
        unsigned long from, to;
        char mode[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || strncmp(mode, "rw", 2) != 0 ||
            strstr(line, "[v"))
            continue;
        for (const uint8_t *p = (const uint8_t *)from; p + len <= (const uint8_t *)to; p++) {
            size_t i = 0;
            while (i < len && (p[i] ^ 0x5a) == masked[i])
                i++;
            found += i == len;
        }
    }
    if (f)
        (void)fclose(f);
    return found;
}

/* The middle of a secret, so that what malloc() writes into freed memory does not hide the rest. */
static void remains(const char *path)
{
    static uint8_t masked[24];
    struct tpm_blob b;
    for (size_t i = 0; i < sizeof masked; i++)
        masked[i] = (uint8_t)(37 * i + 11);
    SECRET(s);
    SECRET(back);
    s.len = 48;
    for (size_t i = 0; i < s.len; i++)
        s.bytes[i] = i >= 20 && i < 20 + sizeof masked ? masked[i - 20] ^ 0x5a : (uint8_t)i;
    check(tpm_seal(&tpm, &s, &b), "seal");
    size_t after_seal = copies(masked, sizeof masked);
    secret_wipe(&s);
    check(tpm_unseal(&tpm, &b, &back), "unseal");
    save(path, &b);
    size_t after_unseal = copies(masked, sizeof masked);
    secret_wipe(&back);
    printf("%zu %zu %zu\n", after_seal, after_unseal, copies(masked, sizeof masked));
}

/* What follows speaks to the TPM by itself. */

static void must(TSS2_RC rc, const char *what)
{
    if (rc == TSS2_RC_SUCCESS)
        return;
    (void)fprintf(stderr, "0x%x: %s\n", rc, what);
    exit(1);
}

static unsigned count(uint32_t first, bool flush)
{
    TPMS_CAPABILITY_DATA *data;
    TPMI_YES_NO more;
    must(Esys_GetCapability(esys, NONE, NONE, NONE, TPM2_CAP_HANDLES, first, 64, &more, &data), "handles");
    unsigned n = data->data.handles.count;
    for (unsigned i = 0; flush && i < n; i++) {
        ESYS_TR h;
        must(Esys_TR_FromTPMPublic(esys, data->data.handles.handle[i], NONE, NONE, NONE, &h), "handle");
        must(Esys_FlushContext(esys, h), "flush");
    }
    Esys_Free(data);
    return n;
}

static void handles(const char *path)
{
    (void)path;
    printf("%u %u %u\n", count(TPM2_TRANSIENT_FIRST, false), count(TPM2_LOADED_SESSION_FIRST, false),
           count(TPM2_PERSISTENT_FIRST, false));
}

/* What the kernel's resource manager does for a client that died. */
static void flush(const char *path)
{
    (void)path;
    (void)count(TPM2_TRANSIENT_FIRST, true);
    (void)count(TPM2_LOADED_SESSION_FIRST, true);
}

static void clear(const char *path)
{
    (void)path;
    must(Esys_Clear(esys, ESYS_TR_RH_LOCKOUT, NOBODY, NONE, NONE), "clear");
}

static void owner_password(const char *path)
{
    TPM2B_AUTH auth = {.size = (uint16_t)strlen(path)};
    memcpy(auth.buffer, path, auth.size);
    must(Esys_HierarchyChangeAuth(esys, ESYS_TR_RH_OWNER, NOBODY, NONE, NONE, &auth), "owner's password");
}

/* Somebody guesses the password of an object of his own until the TPM locks out. */
static void lockout(const char *path)
{
    const TPM2B_PUBLIC public = {.publicArea = {.type = TPM2_ALG_KEYEDHASH,
                                                .nameAlg = TPM2_ALG_SHA256,
                                                .objectAttributes = TPMA_OBJECT_FIXEDTPM |
                                                                    TPMA_OBJECT_FIXEDPARENT |
                                                                    TPMA_OBJECT_USERWITHAUTH,
                                                .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL}};
    const TPM2B_SENSITIVE_CREATE data = {.sensitive = {.userAuth = {4, "1234"}, .data = {8, "whatever"}}};
    const TPM2B_AUTH wrong = {4, "0000"};
    const TPM2B_DATA no_info = {0};
    const TPML_PCR_SELECTION no_pcr = {0};
    TPM2B_SENSITIVE_DATA *out;
    ESYS_TR object;
    (void)path;
    must(Esys_DictionaryAttackParameters(esys, ESYS_TR_RH_LOCKOUT, NOBODY, NONE, NONE, 3, 600, 600), "DA");
    must(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, NOBODY, NONE, NONE, &data, &public, &no_info, &no_pcr,
                            &object, NULL, NULL, NULL, NULL),
         "create");
    must(Esys_TR_SetAuth(esys, object, &wrong), "auth");
    for (int i = 0; i < 4; i++)
        if (Esys_Unseal(esys, object, NOBODY, NONE, NONE, &out) == TSS2_RC_SUCCESS)
            must(1, "it opened");
    must(Esys_FlushContext(esys, object), "flush");
}

static const struct verb {
    const char *name;
    void (*run)(const char *path);
    bool by_itself;
} verbs[] = {{"create", create, false},
             {"sign", sign, false},
             {"seal", seal, false},
             {"unseal", unseal, false},
             {"check", look, false},
             {"state", state, false},
             {"churn", churn, false},
             {"remains", remains, false},
             {"handles", handles, true},
             {"flush", flush, true},
             {"clear", clear, true},
             {"lockout", lockout, true},
             {"owner-password", owner_password, true}};

static void run(const struct verb *v, const char *name, const char *path)
{
    check(tpm_init(&tpm, &edge, name), "tpm");
    if (v->by_itself) {
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        must(Tss2_TctiLdr_Initialize(name, &tcti), "tcti");
        must(Esys_Initialize(&esys, tcti, NULL), "esys");
    }
    v->run(path);
    if (esys)
        Esys_Finalize(&esys);
    if (tcti)
        Tss2_TctiLdr_Finalize(&tcti);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc >= 3 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, argv[2]) == 0) {
            run(&verbs[i], argv[1], argc > 3 ? argv[3] : "");
            return 0;
        }
    fputs("usage: tpm_tool TCTI VERB [FILE]\n", stderr);
    return 2;
}
