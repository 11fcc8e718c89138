/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/export/export.h"
#include "formats/host/audit_chain.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FACILITY 13 /* log audit. source: RFC 5424 section 6.2.1 */

/* Names of severities are RFC 5424's. */
static int severity_of(const char *action)
{
    static const struct {
        const char *action;
        int severity;
    } rows[] = {{AUDIT_ALARM, 1 /* alert */},     {AUDIT_REFUSE, 4 /* warning */},
                {AUDIT_DISCLOSE, 5 /* notice */}, {AUDIT_ERASE, 5},
                {AUDIT_ACKNOWLEDGE, 5},           {AUDIT_ROTATION, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(action, rows[i].action) == 0)
            return rows[i].severity;
    return 6; /* informational */
}

/* The value of a member of the core, which is our own JSON: "key":"value" without escapes, or a number. */
static void member(const char *core, const char *key, char *ret, size_t cap)
{
    char want[32];
    int n = snprintf(want, sizeof want, "\"%s\":", key);
    const char *at = strstr(core, want);
    ret[0] = '\0';
    if (at == NULL)
        return;
    at += n;
    at += *at == '"';
    size_t len = strcspn(at, "\",}");
    if (len < cap) {
        memcpy(ret, at, len);
        ret[len] = '\0';
    }
}

/* <PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG; on a stream, its length before it (RFC
 * 6587 section 3.4.1). */
static enum err as_syslog(bool counted, const char *host, const char *json, size_t len, char *ret,
                          size_t *ret_len)
{
    char action[AUDIT_WORD + 1], time_text[24], when[32], head[512], count[24] = "";
    struct tm tm;
    member(json, "action", action, sizeof action);
    member(json, "time", time_text, sizeof time_text);
    time_t t = (time_t)strtoll(time_text, NULL, 10);
    if (action[0] == '\0' || gmtime_r(&t, &tm) == NULL)
        return ERR_FORMAT;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int n = snprintf(head, sizeof head, "<%d>1 %s %s keyholt-vault - %s - \xef\xbb\xbf",
                     FACILITY * 8 + severity_of(action), when, host, action);
    if (n < 0 || (size_t)n >= sizeof head)
        return ERR_RANGE;
    int counted_len = counted ? snprintf(count, sizeof count, "%zu ", (size_t)n + len) : 0;
    memcpy(ret, count, (size_t)counted_len);
    memcpy(ret + counted_len, head, (size_t)n);
    memcpy(ret + counted_len + n, json, len);
    *ret_len = (size_t)counted_len + (size_t)n + len;
    return ERR_OK;
}

enum err export_form(enum export_kind kind, bool counted, const char *host, const char *line, size_t len,
                     char *ret, size_t *ret_len)
{
    char json[AUDIT_LINE_MAX + 1];
    size_t n;
    TRY(audit_line_join(line, len, json, &n));
    json[n < AUDIT_LINE_MAX ? n : AUDIT_LINE_MAX] = '\0';
    if (kind == EXPORT_SYSLOG)
        return as_syslog(counted, host, json, n, ret, ret_len);
    memcpy(ret, json, n);
    ret[n] = '\n';
    *ret_len = n + 1;
    return ERR_OK;
}
