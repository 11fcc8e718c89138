/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/fake_keeper.h"
#include "agent/state/org_store.h"
#include "agent/volume/discover.h"
#include "agent/volume/encrypted_place.h"
#include "agent/volume/rotate.h"
#include "agent/volume/verify.h"
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include "formats/base.h"
#include "tests/unit/fake_keeper_parts.h"
#include "tests/unit/fake_tpm.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define CUT_EXIT 77
#define GUID_ORG "3F2504E0-4F89-41D3-9A0C-0305E82C3301"

struct agent fake_agent;
struct problem fake_problem;
bool fake_keeper_encrypted = true;

static char root[64];
static struct tpm tpm;
struct cr_p256_key *fake_escrow;
struct guid fake_org;

/* Asked of sysfs in the keeper; a temporary folder is nowhere. */
bool encrypted_place(const char *r, const char *path)
{
    (void)r;
    (void)path;
    return fake_keeper_encrypted;
}

/* The one volume is opened by the tests themselves; no look at block devices. */
enum err discover_volumes(struct agent *a, void (*each)(struct agent *a, struct header *h))
{
    (void)a;
    (void)each;
    return ERR_UNSUPPORTED;
}

/* The real ones are the keeper's (agent/state/agent.c), with a person or the journal behind them. */
void agent_say(struct agent *a, const char *fmt, ...)
{
    (void)a;
    (void)fmt;
}

void agent_step(struct agent *a, const char *fmt, ...)
{
    (void)a;
    (void)fmt;
}

static struct cr_p256_key *key_of(uint8_t seed)
{
    struct cr_p256_key *key;
    uint8_t scalar[32] = {0};
    scalar[31] = seed;
    assert_int_equal(cr_p256_from_scalar(scalar, &key), ERR_OK);
    return key;
}

static void put_key(char *ret, size_t cap, const char *more, uint8_t seed)
{
    struct cr_p256_key *key = key_of(seed);
    struct cr_p256_pub pub;
    uint8_t spki[CR_P256_SPKI], id[CR_KEY_ID];
    char hex[BASE16_LEN(CR_KEY_ID) + 1], b64[BASE64_LEN(CR_P256_SPKI) + 1];
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    assert_int_equal(cr_p256_to_spki(&pub, spki), ERR_OK);
    assert_int_equal(cr_p256_id(&pub, id), ERR_OK);
    base16_encode(id, sizeof id, hex);
    base64_encode(spki, sizeof spki, b64);
    (void)snprintf(ret, cap, "{%s\"id\":\"%s\",\"spki\":\"%s\"}", more, hex, b64);
    cr_p256_free(key);
}

static void install_org(void)
{
    char key[4][320], json[4096], pem[512];
    uint8_t sig[CR_P256_SIG], pin[32];
    size_t pem_len;
    struct cr_p256_pub pub;
    struct cr_p256_key *signer = key_of(9);
    struct org *org = malloc(sizeof *org);
    put_key(key[0], sizeof key[0], "\"use\":\"vault\",", 1);
    put_key(key[1], sizeof key[1], "\"use\":\"desk\",", 2);
    put_key(key[2], sizeof key[2], "", 3);
    put_key(key[3], sizeof key[3], "", 4);
    int n = snprintf(
        json, sizeof json,
        "{\"format\":\"keyholt-org\",\"version\":1,\"id\":\"" GUID_ORG "\",\"name\":\"Fake\","
        "\"message\":\"\",\"url\":\"https://r.example.org\",\"servers\":[\"https://a.example.org\",\"https://"
        "b.example.org\"],"
        "\"ca\":\"PEM\",\"escrow_keys\":[%s,%s],\"receipt_keys\":[%s],\"policy_key\":%s,\"revoked\":[]}",
        key[0], key[1], key[2], key[3]);
    assert_int_equal(cr_p256_sign(signer, json, (size_t)n, sig), ERR_OK);
    assert_int_equal(cr_p256_public(signer, &pub), ERR_OK);
    assert_int_equal(cr_p256_pub_to_pem(&pub, pem, sizeof pem, &pem_len), ERR_OK);
    const struct org_files f = {
        (const uint8_t *)json, sig, (const uint8_t *)pem, (size_t)n, sizeof sig, pem_len};
    assert_int_equal(org_store_install(root, &f, org, pin, &fake_problem), ERR_OK);
    fake_org = org->id;
    free(org);
    cr_p256_free(signer);
}

/* In memory where there is such a place: every transaction of the cache is durable, thousands of them take
 * minutes on a disk. */
void fake_keeper_make(void)
{
    (void)snprintf(root, sizeof root, "%s/keyholt-fake-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(root));
    install_org();
    fake_escrow = key_of(2);
}

static void remove_below(const char *name)
{
    char command[160];
    (void)snprintf(command, sizeof command, "rm -rf %s%s", root, name);
    assert_int_equal(system(command), 0);
}

void fake_keeper_remove(void)
{
    remove_below("");
    cr_p256_free(fake_escrow);
}

void fake_keeper_forget(void)
{
    remove_below(KH_AGENT_STATE);
}

/* Every file of a folder to another one, which then holds nothing else; keys one level below, too. */
static void copy_folder(const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    DIR *d;
    assert_int_equal(file_mkdirs(to, 0700), ERR_OK);
    for (int pass = 0; pass < 2 && (d = opendir(pass ? from : to)); pass++, closedir(d))
        for (struct dirent *f; (f = readdir(d));) {
            uint8_t *p;
            size_t len;
            if (f->d_name[0] == '.')
                continue;
            (void)snprintf(a, sizeof a, "%.200s/%.200s", from, f->d_name);
            (void)snprintf(b, sizeof b, "%.200s/%.200s", to, f->d_name);
            if (f->d_type == DT_DIR)
                copy_folder(a, b);
            else if (!pass)
                assert_int_equal(unlink(b), 0);
            else if (file_read(a, 1 << 22, &p, &len) == ERR_OK) {
                assert_int_equal(file_write(b, p, len, 0600), ERR_OK);
                free(p);
            }
        }
}

static void copy_state(const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    assert_int_equal(file_join(root, from, a, sizeof a), ERR_OK);
    assert_int_equal(file_join(root, to, b, sizeof b), ERR_OK);
    copy_folder(a, b);
}

#define SAVED "/saved"

void fake_keeper_save(void)
{
    copy_state(KH_AGENT_STATE, SAVED);
}

void fake_keeper_restore(void)
{
    copy_state(SAVED, KH_AGENT_STATE);
}

void fake_keeper_forget_cache(void)
{
    remove_below(KH_AGENT_STATE "/cache.db*");
}

void fake_keeper_start(bool with_tpm)
{
    char path[PATH_MAX];
    memset(&fake_agent, 0, sizeof fake_agent);
    fake_agent.root = root;
    strcpy(fake_agent.computer, "fake");
    policy_defaults(&fake_agent.policy);
    assert_int_equal(file_join(root, KH_AGENT_STATE, path, sizeof path), ERR_OK);
    assert_int_equal(file_mkdirs(path, 0700), ERR_OK);
    assert_int_equal(file_join(root, KH_AGENT_STATE "/cache.db", path, sizeof path), ERR_OK);
    assert_int_equal(cache_open(path, &fake_agent.cache), ERR_OK);
    assert_int_equal(tpm_init(&tpm, &fake_tpm_edge, with_tpm ? "fake" : "none"), ERR_OK);
    fake_agent.tpm = &tpm;
    assert_int_equal(file_join(root, AGENT_DEVICE_KEY, path, sizeof path), ERR_OK);
    assert_int_equal(device_key_load(path, &tpm, &fake_agent.key), ERR_OK);
    fake_agent.org = malloc(sizeof *fake_agent.org);
    assert_non_null(fake_agent.org);
    assert_int_equal(org_store_load(root, fake_agent.org, &fake_problem), ERR_OK);
}

void fake_keeper_stop(void)
{
    cache_close(fake_agent.cache);
    device_key_close(&fake_agent.key);
    free(fake_agent.org);
    memset(&fake_agent, 0, sizeof fake_agent);
}

void fake_keeper_begin(void)
{
    fake_tpm_reset(1);
    fake_disk_make();
    fake_keeper_forget();
    fake_keeper_start(true);
}

void fake_keeper_end(void)
{
    fake_keeper_stop();
    fake_disk_free();
}

enum err fake_protect(struct protect_result *ret)
{
    struct header *h = NULL;
    UNLOCK(u);
    u.kind = UNLOCK_PASSPHRASE;
    u.secret.len = strlen(FAKE_DISK_PASSPHRASE);
    memcpy(u.secret.bytes, FAKE_DISK_PASSPHRASE, u.secret.len);
    TRY(header_open(FAKE_DISK, &fake_problem, &h));
    enum err e = rotate_volume(&fake_agent, h, &u, KH_CAUSE_COMMAND, ret);
    header_close(h);
    return e;
}

enum err fake_rotate_alone(struct protect_result *ret)
{
    struct header *h = NULL;
    const struct unlock u = {.kind = UNLOCK_MANAGEMENT};
    TRY(header_open(FAKE_DISK, &fake_problem, &h));
    enum err e = rotate_volume(&fake_agent, h, &u, KH_CAUSE_COMMAND, ret);
    header_close(h);
    return e;
}

enum err fake_verify(void)
{
    struct header *h = NULL;
    TRY(header_open(FAKE_DISK, &fake_problem, &h));
    enum err e = verify_volume(&fake_agent, h);
    header_close(h);
    return e;
}

bool fake_note_says(const struct guid *volume, const char *verb)
{
    struct cache_volume v;
    char want[CACHE_NOTE];
    assert_int_equal(cache_get_volume(fake_agent.cache, volume, &v), ERR_OK);
    size_t len = (size_t)snprintf(want, sizeof want, ": keyholt-agent %s " FAKE_DISK, verb);
    return strlen(v.note) > len && strcmp(v.note + strlen(v.note) - len, want) == 0;
}

static void end_of_process(void)
{
    _exit(CUT_EXIT);
}

bool fake_in_process(enum err (*what)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fake_disk->on_cut = end_of_process;
        fake_keeper_start(fake_tpm.seed != 0);
        (void)!what();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CUT_EXIT));
    return WEXITSTATUS(status) == CUT_EXIT;
}
