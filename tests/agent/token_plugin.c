/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plugin of libcryptsetup for tokens of type systemd-tpm2, which needs no TPM: it reads the passphrase from
 * the token itself ("passphrase"), and wants the PIN that stands there, if one does ("pin"). tests/agent/
 * test_existing_token.py puts it in the place of the real one, which only speaks to a device of the kernel.
 */
#include <errno.h>
#include <json-c/json.h>
#include <libcryptsetup.h>
#include <stdlib.h>
#include <string.h>

const char *cryptsetup_token_version(void);
int cryptsetup_token_open(struct crypt_device *cd, int token, char **ret, size_t *ret_len, void *usrptr);
int cryptsetup_token_open_pin(struct crypt_device *cd, int token, const char *pin, size_t pin_len, char **ret,
                              size_t *ret_len, void *usrptr);

const char *cryptsetup_token_version(void)
{
    return "for tests";
}

int cryptsetup_token_open_pin(struct crypt_device *cd, int token, const char *pin, size_t pin_len, char **ret,
                              size_t *ret_len, void *usrptr)
{
    struct json_object *o, *passphrase = NULL, *want = NULL;
    const char *json;
    (void)usrptr;
    if (crypt_token_json_get(cd, token, &json) < 0 || !(o = json_tokener_parse(json)))
        return -EINVAL;
    int r = json_object_object_get_ex(o, "passphrase", &passphrase) ? 0 : -EAGAIN;
    if (r == 0 && json_object_object_get_ex(o, "pin", &want)) {
        const char *text = json_object_get_string(want);
        r = !pin ? -ENOANO : pin_len != strlen(text) || memcmp(pin, text, pin_len) != 0 ? -EPERM : 0;
    }
    if (r == 0) {
        *ret = strdup(json_object_get_string(passphrase));
        *ret_len = *ret ? strlen(*ret) : 0;
        r = *ret ? 0 : -ENOMEM;
    }
    json_object_put(o);
    return r;
}

int cryptsetup_token_open(struct crypt_device *cd, int token, char **ret, size_t *ret_len, void *usrptr)
{
    return cryptsetup_token_open_pin(cd, token, NULL, 0, ret, ret_len, usrptr);
}
