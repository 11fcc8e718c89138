/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/host/monotonic.h"
#include "escrow-server/export/export.h"
#include "escrow-server/process/slog.h"
#include "formats/host/audit_chain.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum err export_load(struct export_target *t)
{
    uint8_t *text = NULL;
    size_t len;
    unsigned long long n;
    enum err e = file_read(t->place, 128, &text, &len);
    if (e == ERR_NOT_FOUND)
        return ERR_OK; /* from the first entry on */
    TRY(e);
    if (sscanf((const char *)text, "%32[0-9a-f] %llu", t->chain, &n) == 2)
        t->done = n;
    free(text);
    return ERR_OK;
}

static void save(const struct export_target *t)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%s %llu\n", t->chain, (unsigned long long)t->done);
    if (file_write(t->place, text, (size_t)n, 0600) != ERR_OK)
        slog(SLOG_WARN, "export", "place=%s not-saved=1", t->place);
}

static void fail(struct export_target *t, const char *reason)
{
    if (t->retry_ms == 0)
        slog(SLOG_WARN, "export", "to=\"%s\" waits=1 reason=\"%s\"", t->address, reason);
    t->retry_ms = t->retry_ms == 0 ? EXPORT_RETRY_MIN_MS : t->retry_ms * 2;
    if (t->retry_ms > EXPORT_RETRY_MAX_MS)
        t->retry_ms = EXPORT_RETRY_MAX_MS;
    t->again_ms = monotonic_ms() + t->retry_ms;
}

/* A connection broke: what it had taken may not have arrived. */
static void lose(struct export_target *t, const char *reason)
{
    close(t->fd);
    t->fd = -1;
    t->connecting = false;
    t->len = t->off = 0;
    t->done -= t->done < EXPORT_AGAIN ? t->done : EXPORT_AGAIN;
    fail(t, reason);
}

static void finish(struct export_target *t)
{
    if (t->retry_ms != 0)
        slog(SLOG_INFO, "export", "to=\"%s\" goes-on=1 entry=%llu", t->address, (unsigned long long)t->last);
    t->retry_ms = 0;
    t->len = t->off = 0;
    t->done = t->last;
    save(t);
}

static void push_file(struct export_target *t)
{
    int fd = open(t->address, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    ssize_t n = fd < 0 ? -1 : write(fd, t->out + t->off, t->len - t->off);
    if (n > 0)
        t->off += (size_t)n;
    bool whole = n >= 0 && t->off == t->len && fdatasync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (whole)
        finish(t);
    else
        fail(t, strerror(why));
}

/* A datagram for each entry; on a stream, as much as it takes. */
static ssize_t send_some(struct export_target *t)
{
    if (export_is_stream(t->address))
        return send(t->fd, t->out + t->off, t->len - t->off, MSG_NOSIGNAL | MSG_DONTWAIT);
    uint32_t len;
    memcpy(&len, t->out + t->off, sizeof len);
    ssize_t n = send(t->fd, t->out + t->off + sizeof len, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EMSGSIZE)
        slog(SLOG_WARN, "export", "to=\"%s\" left-out=1 reason=\"longer than a datagram\"", t->address);
    return n >= 0 || errno == EMSGSIZE ? (ssize_t)(sizeof len + len) : n;
}

static void push_syslog(struct export_target *t)
{
    while (t->off < t->len) {
        ssize_t n = send_some(t);
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
            return; /* poll() says when */
        if (n < 0)
            return lose(t, strerror(errno));
        t->off += (size_t)n;
    }
    finish(t);
}

static void connect_now(struct export_target *t)
{
    enum err e = export_dial(t->address, &t->fd, &t->connecting);
    if (e != ERR_OK)
        fail(t, e == ERR_FORMAT ? "the address must be tcp://1.2.3.4:601, udp://1.2.3.4:514 or a path"
                                : strerror(errno));
}

void export_push(struct export_target *t)
{
    if (t->len == 0 || monotonic_ms() < t->again_ms)
        return;
    if (t->kind == EXPORT_FILE)
        return push_file(t);
    if (t->fd < 0)
        connect_now(t);
    if (t->fd >= 0 && !t->connecting)
        push_syslog(t);
}

void export_turn(struct export_target *t, short revents)
{
    int code = 0;
    socklen_t len = sizeof code;
    char byte;
    if (t->fd < 0 || revents == 0)
        return;
    if (t->connecting) {
        if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0 || code != 0)
            return lose(t, strerror(code));
        t->connecting = false;
        return;
    }
    if ((revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return lose(t, "the receiver is gone");
    if ((revents & POLLIN) != 0 && recv(t->fd, &byte, 1, MSG_DONTWAIT) == 0 && export_is_stream(t->address))
        lose(t, "the receiver hung up");
}

static enum err form_all(const struct exporter *x, struct export_target *t, const struct msg_lines *m)
{
    const char *line = (const char *)m->bytes.p;
    bool packets = t->kind == EXPORT_SYSLOG && !export_is_stream(t->address);
    uint64_t n = m->first;
    for (size_t left = m->bytes.len; left > 0; n++) {
        const char *end = memchr(line, '\n', left);
        size_t len = end == NULL ? 0 : (size_t)(end - line) + 1, made, room = packets ? sizeof(uint32_t) : 0;
        if (len == 0)
            return ERR_FORMAT;
        if (t->len + AUDIT_LINE_MAX + 512 + room > EXPORT_OUT_MAX)
            break; /* the rest comes in the next piece */
        TRY(export_form(t->kind, !packets, x->host, line, len, t->out + t->len + room, &made));
        if (packets)
            memcpy(t->out + t->len, &(uint32_t){(uint32_t)made}, sizeof(uint32_t));
        t->len += room + made;
        line += len;
        left -= len;
    }
    t->last = n - 1;
    return ERR_OK;
}

enum err export_take(struct exporter *x, struct export_target *t, const struct msg_lines *m)
{
    t->asked = false;
    if (m->bytes.len == 0 || m->first != t->done + 1)
        return ERR_OK;
    if (t->out == NULL && (t->out = malloc(EXPORT_OUT_MAX)) == NULL)
        return ERR_NOMEM;
    t->len = t->off = 0;
    return form_all(x, t, m);
}

void export_close(struct export_target *t)
{
    if (t->fd >= 0)
        close(t->fd);
    free(t->out);
}
