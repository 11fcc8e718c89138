/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a request on the local socket: in whatever pieces they come, the verdict is one. */
#include "escrow-server/web/web_local.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

const char *const fuzz_seeds[] = {
    "{\"op\":\"recover\",\"key\":\"{0123ABCD-0123-0123-0123-0123456789AB}\",\"reason\":\"a\",\"as\":"
    "\"alice\","
    "\"user\":\"\",\"device\":\"\",\"code\":\"123456\",\"secret\":true}\npassword\n",
    "{\"op\":\"outbox\",\"bytes\":12}\nABCDEFGHIJKL", "{\"op\":\"boots\",\"key\":\"0123abcd\"}\n",
    "{\"op\":\"erase\",\"as\":\"a\",\"chain\":\"00\",\"entries\":[1,2],\"secret\":true}\n\n", NULL};
const char *const fuzz_words[] = {"\"bytes\":",     "\"secret\":true", "\n",   "\\u0000", "2097153",
                                  "\"code\":\"1\"", "\"key\":\"",      "[[[[", "}\n",     NULL};

static void use_fields(const struct local *l)
{
    char key[GUID_TEXT], code[MSG_CODE + 1];
    memset(key, 'x', sizeof key);
    memset(code, 'x', sizeof code);
    if (local_key(l->request, key) == ERR_OK && memchr(key, 0, sizeof key) == NULL)
        abort();
    if (local_code(l->request, code) == ERR_OK && memchr(code, 0, sizeof code) == NULL)
        abort();
}

/* As recv() brings them, at most so many at once. ret_excess: more came than the request has bytes */
static enum err feed(const uint8_t *data, size_t len, size_t step, bool privileged, bool *ret_excess)
{
    struct local *l = calloc(1, sizeof *l);
    enum err e = ERR_BUSY;
    if (l == NULL)
        abort();
    l->privileged = privileged;
    while (len > 0 && e == ERR_BUSY) {
        size_t room, n;
        void *at = local_room(l, &room);
        if (at == NULL || room == 0)
            abort(); /* it would be the end of the connection */
        n = len < step ? len : step;
        n = n < room ? n : room;
        memcpy(at, data, n);
        data += n;
        len -= n;
        e = local_came(l, n);
    }
    if (l->n_bytes > l->want_bytes || l->want_bytes > LOCAL_BYTES_MAX || l->secret.len > SECRET_MAX)
        abort();
    if (e == ERR_OK)
        use_fields(l);
    *ret_excess = l->bytes != NULL && len > 0;
    json_object_put(l->request);
    free(l->bytes);
    free(l);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    for (int privileged = 0; privileged < 2; privileged++) {
        bool excess = false, unused;
        enum err pieces = feed(data, len, 1, privileged != 0, &excess);
        enum err whole = feed(data, len, len > 0 ? len : 1, privileged != 0, &unused);
        if (whole != pieces && !(whole == ERR_RANGE && excess))
            abort();
    }
    return 0;
}
