/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier.h"
#include "crypto/host/file.h"
#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 256

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
    if (more > COURIER_BODY_MAX - b->len) {
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

static bool set_trust(CURL *curl, const struct courier_request *r)
{
    struct curl_blob ca = {(void *)(uintptr_t)r->ca.p, r->ca.len, CURL_BLOB_COPY};

    SET(CURLOPT_CAINFO_BLOB, &ca);
    SET(CURLOPT_CAPATH, NULL); /* Debian's libcurl would add the system's CAs */
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    if (r->as) {
        SET(CURLOPT_SSLCERT, r->as->certificate);
        SET(CURLOPT_SSLKEY, r->as->key);
    }
    return true;
}

static bool set_transfer(CURL *curl, const char *url, struct curl_slist *headers, const uint8_t *gzip,
                         size_t len, struct body *body, char *text)
{
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PROXY, ""); /* none, whatever the environment says */
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, COURIER_CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, COURIER_REQUEST_MS);
    SET(CURLOPT_USERAGENT, "keyholt-courier/" KEYHOLT_VERSION);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, gzip);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, body);
    SET(CURLOPT_ERRORBUFFER, text);
    return true;
}

__attribute__((format(printf, 3, 4))) static void say(struct courier_answer *ret, uint32_t status,
                                                      const char *format, ...)
{
    va_list args;
    ret->status = status;
    va_start(args, format);
    (void)vsnprintf(ret->problem, sizeof ret->problem, format, args);
    va_end(args);
}

/* What an exchange that brought no HTTP answer means. */
static void judge_failure(CURL *curl, CURLcode code, const struct body *body, const char *server,
                          const char *text, struct courier_answer *ret)
{
    long verify = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &verify);
    /* libcurl starts with "unspecified" and looks at the name after the chain was found good. */
    if (code == CURLE_PEER_FAILED_VERIFICATION && (verify == X509_V_OK || verify == X509_V_ERR_UNSPECIFIED))
        say(ret, MSG_UNTRUSTED, "%s: the server's certificate is not for this name", server);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        say(ret, MSG_UNTRUSTED, "%s: the server's certificate is not from this organisation", server);
    else if (body->too_long)
        say(ret, MSG_REFUSED, "%s: the server's answer is longer than %u bytes; it was dropped", server,
            COURIER_BODY_MAX);
    else if (code == CURLE_BAD_CONTENT_ENCODING)
        say(ret, MSG_REFUSED, "%s: the server's answer is damaged; it was dropped", server);
    else if (code == CURLE_SSL_CERTPROBLEM)
        say(ret, MSG_REFUSED, "%s: the courier's own key or certificate cannot be used: %s", server,
            text[0] ? text : curl_easy_strerror(code));
    else
        say(ret, MSG_OFFLINE, "server not reachable: %s: %s", server,
            text[0] ? text : curl_easy_strerror(code));
}

/* True when the server has spoken and no other needs to be asked. */
static bool judge_answer(CURL *curl, struct body *body, const char *server, struct courier_answer *ret)
{
    char sentence[COURIER_TEXT_MAX / 2];
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
        *body = (struct body){0};
        return true;
    }
    courier_problem(body->p, body->len, sentence, sizeof sentence);
    const char *colon = sentence[0] ? ": " : "";
    if (http >= 400 && http < 500 && http != 408 && http != 429) {
        say(ret, MSG_REFUSED, "%s: the server says no (%ld)%s%s", server, http, colon, sentence);
        return true;
    }
    say(ret, MSG_OFFLINE, "server not reachable: %s: it answers %ld%s%s", server, http, colon, sentence);
    return false;
}

static bool try_server(const struct courier_request *r, const char *server, const uint8_t *gzip, size_t len,
                       struct courier_answer *ret)
{
    char url[URL_MAX], text[CURL_ERROR_SIZE] = "";
    struct body body = {0};
    bool spoken = false;
    size_t n = strlen(server);

    while (n > 0 && server[n - 1] == '/')
        n--;
    int written = snprintf(url, sizeof url, "%.*s%s", (int)n, server, r->path);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (headers)
        (void)curl_slist_append(headers, "Content-Encoding: gzip");
    if (headers)
        (void)curl_slist_append(headers, "Expect:"); /* no round trip for a 100 Continue */

    if (written < 0 || (size_t)written >= sizeof url || !curl || !headers || !set_trust(curl, r) ||
        !set_transfer(curl, url, headers, gzip, len, &body, text)) {
        say(ret, MSG_OFFLINE, "server not reachable: %s: the request could not be set up", server);
    } else {
        CURLcode code = curl_easy_perform(curl);
        if (code == CURLE_OK)
            spoken = judge_answer(curl, &body, server, ret);
        else
            judge_failure(curl, code, &body, server, text, ret);
    }
    free(body.p);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return spoken;
}

void courier_post(const struct courier_request *r, struct courier_answer *ret)
{
    struct courier_answer untrusted = {0};
    uint8_t *gzip = NULL;
    size_t len = 0;

    *ret = (struct courier_answer){0};
    say(ret, MSG_OFFLINE, "server not reachable: the organisation names none");
    if (courier_gzip(r->json, strlen(r->json), &gzip, &len) != ERR_OK) {
        say(ret, MSG_OFFLINE, "server not reachable: not enough memory for the request");
        return;
    }
    bool spoken = false;
    for (uint32_t i = 0; i < r->servers->n && !spoken; i++) {
        char server[URL_MAX];
        if (msg_text_copy(r->servers->item[i], server, sizeof server) != ERR_OK)
            continue;
        spoken = try_server(r, server, gzip, len, ret);
        if (!spoken && i + 1 < r->servers->n) /* the last one's sentence is the caller's to print */
            (void)fprintf(stderr, "courier: %s; asking the next one\n", ret->problem);
        if (!spoken && ret->status == MSG_UNTRUSTED)
            untrusted = *ret;
    }
    free(gzip);
    /* Of several failures a false certificate is the one to be told: silence is common, that is not. */
    if (!spoken && untrusted.status == MSG_UNTRUSTED)
        *ret = untrusted;
}
