/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All servers of the organisation are asked, one after the other, until one has spoken. */
#include "agent/courier/courier.h"
#include "agent/courier/errand.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_MAX 256

void errand_say(struct errand_answer *ret, uint32_t status, const char *format, ...)
{
    va_list args;
    ret->status = status;
    va_start(args, format);
    (void)vsnprintf(ret->problem, sizeof ret->problem, format, args);
    va_end(args);
}

static bool try_all(struct server_post *p, struct errand_answer *ret)
{
    const struct errand_request *r = p->request;
    struct errand_answer untrusted = {0};
    for (uint32_t i = 0; i < r->servers->n && server_ops.now_ms() < p->end_ms; i++) {
        char server[SERVER_MAX];
        if (msg_text_copy(r->servers->item[i], server, sizeof server) != ERR_OK)
            continue;
        ret->retry_after_s = 0;
        p->server = server;
        bool spoken = server_ops.post(p, ret);
        if (r->said)
            r->said(r->said_ctx, r->servers->item[i], ret->status, ret->retry_after_s);
        if (spoken)
            return true;
        if (i + 1 < r->servers->n) /* the last one's sentence is the caller's to print */
            (void)fprintf(stderr, "courier: %s; asking the next one\n", ret->problem);
        if (ret->status == MSG_UNTRUSTED)
            untrusted = *ret;
    }
    /* Of several failures a false certificate is the one to be told: silence is common, that is not. */
    if (untrusted.status == MSG_UNTRUSTED)
        *ret = untrusted;
    return false;
}

void errand_post(const struct errand_request *r, struct errand_answer *ret)
{
    char proxy[ERRAND_URL_MAX], no_proxy[ERRAND_URL_MAX];
    struct server_post p = {
        .request = r, .proxy = proxy, .no_proxy = no_proxy, .end_ms = server_ops.now_ms() + COURIER_ALL_MS};
    uint8_t *gzip = NULL;

    *ret = (struct errand_answer){0};
    errand_say(ret, MSG_OFFLINE, "server not reachable: the organisation names none");
    if (msg_text_copy(r->proxy, proxy, sizeof proxy) != ERR_OK ||
        msg_text_copy(r->no_proxy, no_proxy, sizeof no_proxy) != ERR_OK) {
        errand_say(ret, MSG_OFFLINE, "server not reachable: the proxy of agent.conf is too long");
        return;
    }
    if (errand_gzip(r->json, strlen(r->json), &gzip, &p.len) != ERR_OK) {
        errand_say(ret, MSG_OFFLINE, "server not reachable: not enough memory for the request");
        return;
    }
    p.gzip = gzip;
    (void)try_all(&p, ret);
    free(gzip);
}
