/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "formats/host/audit_chain.h"
#include "formats/host/audit_lines.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct beside {
    struct audit_lines lines; /* of the other copy; fd -1: it is not there */
    uint64_t common;
    bool apart;
};

/* The same number of the other copy. */
static enum err visit(void *ctx, const struct audit_entry *e, const char *line, size_t len)
{
    struct beside *b = ctx;
    const char *other = NULL;
    size_t other_len = 0, core, torn;
    uint8_t hash[32];
    (void)line, (void)len;
    if (b->apart)
        return ERR_OK;
    if (b->lines.fd >= 0)
        TRY(audit_lines_next(&b->lines, &other, &other_len, &torn));
    b->apart = other_len == 0;
    if (b->apart)
        return ERR_OK;
    TRY(audit_line_core(other, other_len, &core));
    TRY(cr_sha256(other, core, hash));
    b->apart = memcmp(hash, e->hash, sizeof hash) != 0;
    b->common += !b->apart;
    return ERR_OK;
}

static enum err count(const char *path, uint64_t *ret)
{
    struct audit_head head;
    size_t torn;
    enum err e = audit_verify(path, NULL, NULL, &head, &torn);
    *ret = e == ERR_OK ? head.n : 0;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err audit_compare(const char *a, const char *b, uint64_t *ret_a, uint64_t *ret_b, uint64_t *ret_common)
{
    struct beside beside = {.lines = {.fd = -1}};
    struct audit_head head;
    size_t torn;
    uint64_t n_a, n_b;
    TRY(count(a, &n_a));
    TRY(count(b, &n_b));
    enum err e = n_b > 0 ? audit_open_regular(b, O_RDONLY, &beside.lines.fd) : ERR_OK;
    if (e == ERR_OK && n_a > 0)
        e = audit_verify(a, visit, &beside, &head, &torn);
    if (beside.lines.fd >= 0)
        close(beside.lines.fd);
    TRY(e);
    *ret_a = n_a;
    *ret_b = n_b;
    *ret_common = beside.common;
    return ERR_OK;
}
