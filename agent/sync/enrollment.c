/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/enrollment.h"
#include "agent/courier/courier_certificate.h"
#include "agent/sync/identity.h"
#include "agent/volume/management_key.h"
#include "crypto/cursor.h"
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include "crypto/secret.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOKEN_FILE  KH_AGENT_STATE "/token"
#define COURIER_KEY "courier_key"
#define CONTEXT     "keyholt enroll v1" /* its zero byte is signed, too */

static enum err keep_token(struct agent *a, struct msg_span token)
{
    char path[PATH_MAX];
    if (token.len == 0)
        return ERR_OK; /* a newer org.json for a device that is enrolled */
    if (token.len > ENROLLMENT_TOKEN_MAX)
        return ERR_RANGE;
    TRY(identity_for_enrollment(a));
    management_key_give_up(a);
    TRY(file_join(a->root, TOKEN_FILE, path, sizeof path));
    TRY(file_write(path, token.p, token.len, 0600));
    return cache_unset(a->cache, ENROLLMENT_SINCE);
}

enum err enrollment_begin(struct agent *a, const struct org_files *files, struct msg_span token,
                          uint8_t ret_pin[static 32], struct problem *why)
{
    struct org *org = malloc(sizeof *org);
    if (!org)
        return problem_set(why, ERR_NOMEM, "not enough memory; nothing was changed");
    enum err e = org_store_install(a->root, files, org, ret_pin, why);
    if (e != ERR_OK) {
        free(org);
        return e;
    }
    free(a->org);
    a->org = org;
    e = keep_token(a, token);
    if (e != ERR_OK)
        return problem_set(why, e, "the enrolment token cannot be kept: %s; the organisation's files are",
                           err_text(e));
    return ERR_OK;
}

bool enrollment_done(struct agent *a)
{
    uint64_t since;
    return a->org && cache_get_u64(a->cache, ENROLLMENT_SINCE, &since) == ERR_OK;
}

bool enrollment_waits(struct agent *a)
{
    char path[PATH_MAX];
    return a->org && file_join(a->root, TOKEN_FILE, path, sizeof path) == ERR_OK && access(path, R_OK) == 0;
}

/* A text file's last line break is not part of the token. */
static enum err read_token(struct agent *a, struct enrollment_request *buf)
{
    char path[PATH_MAX];
    uint8_t *p;
    size_t len;
    TRY(file_join(a->root, TOKEN_FILE, path, sizeof path));
    TRY(file_read(path, sizeof buf->token, &p, &len));
    size_t used = len;
    while (used && (p[used - 1] == '\n' || p[used - 1] == '\r'))
        used--;
    memcpy(buf->token, p, used);
    buf->token_len = used;
    cr_wipe(p, len);
    free(p);
    return used ? ERR_OK : ERR_FORMAT;
}

static enum err sign(struct agent *a, struct msg_span csr, uint64_t now, struct enrollment_request *buf)
{
    uint8_t token[CR_SHA256_SIZE], request[CR_SHA256_SIZE], text[sizeof CONTEXT + 2 * CR_SHA256_SIZE + 8];
    struct writer w;
    size_t len;
    TRY(cr_sha256(buf->token, buf->token_len, token));
    TRY(cr_sha256(csr.p, csr.len, request));
    writer_init(&w, text, sizeof text);
    writer_bytes(&w, CONTEXT, sizeof CONTEXT);
    writer_bytes(&w, token, sizeof token);
    writer_bytes(&w, request, sizeof request);
    writer_u64(&w, now);
    TRY(writer_end(&w, &len));
    return device_key_sign(&a->key, text, len, buf->signature);
}

enum err enrollment_request(struct agent *a, struct msg_span csr, struct enrollment_request *buf,
                            struct msg *ret)
{
    uint64_t now = (uint64_t)time(NULL);
    if (!a->org)
        return ERR_NOT_FOUND;
    TRY(read_token(a, buf));
    TRY(sign(a, csr, now, buf));
    memset(ret, 0, sizeof *ret);
    ret->type = MSG_ENROLL_DO;
    for (unsigned i = 0; i < a->org->n_servers; i++)
        ret->enroll_do.servers.item[ret->enroll_do.servers.n++] = msg_text(a->org->server[i]);
    ret->enroll_do.ca = msg_text(a->org->ca);
    ret->enroll_do.csr = csr;
    ret->enroll_do.token = (struct msg_span){buf->token, buf->token_len};
    ret->enroll_do.spki = (struct msg_span){a->key.spki, sizeof a->key.spki};
    ret->enroll_do.computer = msg_text(a->computer);
    ret->enroll_do.time = now;
    ret->enroll_do.signature = (struct msg_span){buf->signature, sizeof buf->signature};
    ret->enroll_do.proxy = msg_text(a->conf.proxy);
    ret->enroll_do.no_proxy = msg_text(a->conf.no_proxy);
    return ERR_OK;
}

void enrollment_request_wipe(struct enrollment_request *buf)
{
    cr_wipe(buf, sizeof *buf);
}

enum err enrollment_keep_key(struct agent *a, const uint8_t key[static 32])
{
    return cache_set(a->cache, COURIER_KEY, key, 32);
}

enum err enrollment_certificate_check(struct agent *a, struct msg_span pem)
{
    uint8_t key[32];
    size_t len = 0;
    if (!a->org || pem.len > ENROLLMENT_PEM_MAX)
        return ERR_FORMAT;
    enum err e = cache_get(a->cache, COURIER_KEY, key, sizeof key, &len);
    bool known = e == ERR_OK && len == sizeof key; /* a lost cache knows none; the courier looks, too */
    return courier_certificate_check(pem.p, pem.len, a->org->ca, a->key.id, known ? key : NULL);
}

enum err enrollment_finish(struct agent *a)
{
    char path[PATH_MAX];
    TRY(cache_set_u64(a->cache, ENROLLMENT_SINCE, (uint64_t)time(NULL)));
    TRY(identity_enrolled(a));
    TRY(file_join(a->root, TOKEN_FILE, path, sizeof path));
    return unlink(path) == 0 || errno == ENOENT ? ERR_OK : err_from_errno(errno);
}
