/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/desk_print.h"
#include "crypto/host/file.h"
#include "formats/base.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* All of these are digits, hex and dashes: nothing needs escaping. */
struct shown {
    char key_id[GUID_TEXT], volume[GUID_TEXT], device[65], time[32];
    struct secret digits;
};

static void wipe_shown(struct shown *s)
{
    cr_wipe(s, sizeof *s);
}

static void fill(const struct envelope *e, const struct secret *password, struct shown *ret)
{
    struct tm tm;
    time_t t = (time_t)e->time;
    guid_encode(&e->key_id, ret->key_id);
    guid_encode(&e->volume, ret->volume);
    base16_encode(e->device, sizeof e->device, ret->device);
    if (!gmtime_r(&t, &tm) || strftime(ret->time, sizeof ret->time, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(ret->time, sizeof ret->time, "an unknown time");
    rp_encode(password->bytes, &ret->digits);
}

static enum err write_out(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_from_errno(errno) : ERR_IO;
        text += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

static enum err print(char *text, size_t cap, int len)
{
    enum err err = len > 0 && (size_t)len < cap ? write_out(text, (size_t)len) : ERR_INTERNAL;
    cr_wipe(text, cap);
    return err;
}

enum err desk_print_text(const struct envelope *envelope, const struct secret *password)
{
    char text[512];
    __attribute__((cleanup(wipe_shown))) struct shown s;
    fill(envelope, password, &s);
    return print(text, sizeof text,
                 snprintf(text, sizeof text,
                          "recovery password  %.*s\n"
                          "key ID             %s\n"
                          "volume             %s\n"
                          "sealed             %s by device %.16s…\n",
                          RP_TEXT, (const char *)s.digits.bytes, s.key_id, s.volume, s.time, s.device));
}

enum err desk_print_json(const struct envelope *envelope, const struct secret *password,
                         const struct audit_head *head)
{
    char text[768], hash[65];
    __attribute__((cleanup(wipe_shown))) struct shown s;
    fill(envelope, password, &s);
    base16_encode(head->hash, sizeof head->hash, hash);
    return print(
        text, sizeof text,
        snprintf(text, sizeof text,
                 "{\"recovery_password\":\"%.*s\",\"key_id\":\"%s\",\"volume\":\"%s\",\"device\":\"%s\","
                 "\"time\":%llu,\"audit\":{\"n\":%llu,\"hash\":\"%s\"}}\n",
                 RP_TEXT, (const char *)s.digits.bytes, s.key_id, s.volume, s.device,
                 (unsigned long long)envelope->time, (unsigned long long)head->n, hash));
}
