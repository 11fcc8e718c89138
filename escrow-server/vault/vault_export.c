/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/vault.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define EXPORT_MAX (64u << 10) /* bytes of one answer; the longest line has an eighth of it */

/* The exporter asks for the next piece when it has got rid of the last one: nobody waits for it, and nothing
 * is kept for it but the log. */
static size_t read_lines(const struct vault *v, uint64_t n, uint8_t ret[static EXPORT_MAX])
{
    if (n == 0 || n > v->n_marks)
        return 0;
    int fd = open(NAME_AUDIT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    ssize_t len;
    do
        len = pread(fd, ret, EXPORT_MAX, (off_t)v->mark[n - 1].off);
    while (len < 0 && errno == EINTR);
    close(fd);
    while (len > 0 && ret[len - 1] != '\n')
        len--;
    return len > 0 ? (size_t)len : 0;
}

enum err vault_export(struct vault *v, const struct msg_frame *m)
{
    static uint8_t bytes[EXPORT_MAX];
    struct msg_lines lines = {.bytes = {bytes, 0}};
    if (m->type != MSG_EXPORT)
        return ERR_FORMAT;
    TRY(msg_get_u64(m->body, m->len, &lines.first));
    if (v->log != NULL)
        lines.bytes.len = read_lines(v, lines.first, bytes);
    struct writer *w = chan_begin(&v->export, MSG_LINES, m->id);
    if (w == NULL)
        return ERR_NOMEM;
    msg_put_lines(w, &lines);
    return chan_end(&v->export);
}
