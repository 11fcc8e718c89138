/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier.h"
#include "agent/courier/errand.h"
#include "crypto/host/monotonic.h"
#include <curl/curl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define URL_MAX 256
#define SOCKETS 8
#define LOOK_MS 200 /* how often a transfer that moves is looked at */

/* A connection, and up to where the peer had room for us when that was first seen. */
struct line {
    curl_socket_t socket;
    uint64_t first;
};

/* What goes to one server. */
struct post {
    const struct errand_request *r;
    const struct server_post *to;
    struct errand_patience patience;
    struct line line[SOCKETS]; /* several while addresses race */
    unsigned n_lines;
};

/* One answer's body as it arrives, after libcurl inflated it. */
struct body {
    char *p;
    size_t len, cap;
    bool too_long;
};

/* libcurl inflates in pieces of 16 KiB, so a gzip bomb ends here, at the bound. */
static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct body *b = ctx;
    size_t more = size * n;
    if (more > ERRAND_BODY_MAX - b->len) {
        b->too_long = true;
        return 0;
    }
    if (b->len + more + 1 > b->cap) {
        size_t cap = 2 * (b->len + more) + 1;
        char *p = realloc(b->p, cap);
        if (!p)
            return 0;
        b->p = p;
        b->cap = cap;
    }
    memcpy(b->p + b->len, data, more);
    b->len += more;
    b->p[b->len] = 0;
    return more;
}

/* The organisation's CA and the name decide, not the time: a device's clock may be wrong by years, and an
 * expired certificate must never stop a sync. source: DESIGN section 4 */
static CURLcode on_ssl_ctx(CURL *curl, void *ssl_ctx, void *ctx)
{
    (void)curl;
    (void)ctx;
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_ctx);
    return X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME) == 1 ? CURLE_OK
                                                                              : CURLE_SSL_CERTPROBLEM;
}

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (curl_easy_setopt(curl, option, value) != CURLE_OK)                                               \
            return false;                                                                                    \
    } while (0)

static bool set_trust(CURL *curl, const struct errand_request *r)
{
    struct curl_blob ca = {(void *)(uintptr_t)r->ca.p, r->ca.len, CURL_BLOB_COPY};

    SET(CURLOPT_CAINFO_BLOB, &ca);
    SET(CURLOPT_CAPATH, NULL); /* Debian's libcurl would add the system's CAs */
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    if (r->as) {
        SET(CURLOPT_SSLCERT, r->as->certificate);
        SET(CURLOPT_SSLKEY, r->as->key);
    }
    return true;
}

/* Only what agent.conf says, whatever the environment says. TLS to the server goes through the proxy as it
 * is: the proxy sees its name and no more. A proxy that speaks TLS itself is the machine's, so the system's
 * CAs judge it. */
static bool set_proxy(CURL *curl, const struct post *p)
{
    SET(CURLOPT_PROXY, p->to->proxy);
    SET(CURLOPT_NOPROXY, p->to->no_proxy);
    SET(CURLOPT_PROXYAUTH, (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST));
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    return true;
}

/* libcurl tells a connection's socket only when it is over, so they are noted as they are made. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct post *p = ctx;
    (void)purpose;
    curl_socket_t s = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (s != CURL_SOCKET_BAD)
        p->line[p->n_lines++ % SOCKETS] = (struct line){.socket = s};
    return s;
}

static bool set_transfer(CURL *curl, const char *url, struct curl_slist *headers, struct post *p,
                         struct body *body, char *text)
{
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);                          /* a resolver that hangs is not waited for */
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)COURIER_ALL_MS); /* the loop below is stricter, to the millisecond */
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, p);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, p->to->gzip);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->to->len);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, body);
    SET(CURLOPT_ERRORBUFFER, text);
    return set_proxy(curl, p);
}

/* What an exchange that brought no HTTP answer means. */
static void judge_failure(CURL *curl, CURLcode code, const struct post *p, const struct body *body,
                          const char *server, const char *text, struct errand_answer *ret)
{
    long verify = 0, proxy_verify = 0;
    const char *how = p->to->proxy[0] ? " (agent.conf names a proxy)" : "";
    (void)curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &verify);
    (void)curl_easy_getinfo(curl, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy_verify);
    if (code == CURLE_PEER_FAILED_VERIFICATION && p->to->proxy[0] && proxy_verify != X509_V_OK)
        errand_say(ret, MSG_OFFLINE,
                   "server not reachable: %s: this machine does not trust the proxy's certificate", server);
    /* libcurl starts with "unspecified" and looks at the name after the chain was found good. */
    else if (code == CURLE_PEER_FAILED_VERIFICATION &&
             (verify == X509_V_OK || verify == X509_V_ERR_UNSPECIFIED))
        errand_say(ret, MSG_UNTRUSTED, "%s: the server's certificate is not for this name", server);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        errand_say(ret, MSG_UNTRUSTED, "%s: the server's certificate is not from this organisation", server);
    else if (body->too_long)
        errand_say(ret, MSG_REFUSED, "%s: the server's answer is longer than %u bytes; it was dropped",
                   server, ERRAND_BODY_MAX);
    else if (code == CURLE_BAD_CONTENT_ENCODING)
        errand_say(ret, MSG_REFUSED, "%s: the server's answer is damaged; it was dropped", server);
    else if (code == CURLE_SSL_CERTPROBLEM)
        errand_say(ret, MSG_REFUSED, "%s: the courier's own key or certificate cannot be used: %s", server,
                   text[0] ? text : curl_easy_strerror(code));
    else if (code == CURLE_OPERATION_TIMEDOUT)
        errand_say(ret, MSG_OFFLINE, "server not reachable: %s: no answer in time%s", server, how);
    else
        errand_say(ret, MSG_OFFLINE, "server not reachable: %s: %s%s", server,
                   text[0] ? text : curl_easy_strerror(code), how);
}

/* 0: none that can be read */
static uint64_t date_of(CURL *curl)
{
    struct curl_header *date;
    if (curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
        return 0;
    time_t t = curl_getdate(date->value, NULL);
    return t > 0 ? (uint64_t)t : 0;
}

/* True when the server has spoken and no other needs to be asked. */
static bool judge_answer(CURL *curl, struct body *body, const char *server, struct errand_answer *ret)
{
    char sentence[ERRAND_TEXT_MAX / 2];
    curl_off_t retry_after = 0;
    long http = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    (void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
    if (retry_after > 0)
        ret->retry_after_s = (uint64_t)retry_after;
    if (http == 200) {
        ret->status = MSG_DONE;
        ret->problem[0] = 0;
        ret->body = body->p;
        ret->body_len = body->len;
        ret->time = date_of(curl);
        *body = (struct body){0};
        return true;
    }
    errand_problem(body->p, body->len, sentence, sizeof sentence);
    const char *colon = sentence[0] ? ": " : "";
    if (http >= 400 && http < 500 && http != 408 && http != 429) {
        errand_say(ret, MSG_REFUSED, "%s: the server says no (%ld)%s%s", server, http, colon, sentence);
        return true;
    }
    errand_say(ret, MSG_OFFLINE, "server not reachable: %s: it answers %ld%s%s", server, http, colon,
               sentence);
    return false;
}

/* How far the peer makes room for what we send: what it acknowledged and the window behind that. Both kernels
 * take in and acknowledge what fits their buffers, for seconds (delayed acknowledgements, probes of a closed
 * window), whoever is dead above them; but the far edge moves on only when somebody reads. */
static uint64_t room_made(struct line *l)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(l->socket, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return 0;                                              /* it was closed */
    uint64_t edge = info.tcpi_bytes_acked + info.tcpi_snd_wnd; /* kernels before 5.4 tell no window */
    if (l->first == 0)
        l->first = edge;
    return edge > l->first ? edge - l->first : 0;
}

/* Signs of life: bytes that the server took, and bytes that came. */
static uint64_t moved(CURL *curl, struct post *p)
{
    curl_off_t received = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_SIZE_DOWNLOAD_T, &received);
    uint64_t sum = (uint64_t)received;
    for (unsigned i = 0; i < p->n_lines && i < SOCKETS; i++)
        sum += room_made(&p->line[i]);
    return sum;
}

static CURLcode outcome(CURLM *multi)
{
    int left;
    const CURLMsg *m = curl_multi_info_read(multi, &left);
    return m && m->msg == CURLMSG_DONE ? m->data.result : CURLE_FAILED_INIT;
}

/* curl_easy_perform() with a limit that follows what moves, kept to the millisecond. */
static CURLcode perform(CURL *curl, struct post *p)
{
    CURLM *multi = curl_multi_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    int running = 1;
    if (!multi || curl_multi_add_handle(multi, curl) != CURLM_OK) {
        (void)curl_multi_cleanup(multi);
        return code;
    }
    for (;;) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            break;
        if (!running) {
            code = outcome(multi);
            break;
        }
        errand_patience_moved(&p->patience, monotonic_ms(), moved(curl, p));
        int64_t left = errand_patience_left(&p->patience, monotonic_ms());
        code = CURLE_OPERATION_TIMEDOUT;
        if (left == 0 ||
            curl_multi_poll(multi, NULL, 0, left < LOOK_MS ? (int)left : LOOK_MS, NULL) != CURLM_OK)
            break;
    }
    (void)curl_multi_remove_handle(multi, curl);
    (void)curl_multi_cleanup(multi);
    return code;
}

/* No more than the server needs: a heartbeat is small, and comes from every device every 90 minutes. */
static struct curl_slist *make_headers(void)
{
    static const char *const text[] = {"Content-Encoding: gzip", "Content-Type:", /* there is only JSON */
                                       "Accept:",          /* curl's own would say that all is welcome */
                                       "Accept-Encoding:", /* who sends gzip takes it */
                                       "Expect:"};         /* no round trip for a 100 Continue */
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        struct curl_slist *more = curl_slist_append(list, text[i]);
        if (!more) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = more;
    }
    return list;
}

static bool post(const struct server_post *to, struct errand_answer *ret)
{
    const char *server = to->server;
    struct post state = {.r = to->request,
                         .to = to,
                         .patience = {.base_ms = to->request->patience_ms, .end_ms = to->end_ms}},
                *p = &state;
    char url[URL_MAX], text[CURL_ERROR_SIZE] = "";
    struct body body = {0};
    bool spoken = false;
    size_t n = strlen(server);

    while (n > 0 && server[n - 1] == '/')
        n--;
    int written = snprintf(url, sizeof url, "%.*s%s", (int)n, server, p->r->path);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = make_headers();

    if (written < 0 || (size_t)written >= sizeof url || !curl || !headers || !set_trust(curl, p->r) ||
        !set_transfer(curl, url, headers, p, &body, text)) {
        errand_say(ret, MSG_OFFLINE, "server not reachable: %s: the request could not be set up", server);
    } else {
        errand_patience_start(&p->patience, monotonic_ms());
        CURLcode code = perform(curl, p);
        if (code == CURLE_OK)
            spoken = judge_answer(curl, &body, server, ret);
        else
            judge_failure(curl, code, p, &body, server, text, ret);
    }
    free(body.p);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return spoken;
}

const struct server_ops server_ops = {.now_ms = monotonic_ms, .post = post};
