/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seals a recovery password as an agent would, for tests:
 *   seal_tool ORG-GUID KEY-ID VOLUME OUT PUBLIC.pem... <48 digits on standard input
 * OUT gets the envelope, standard output its base32. */
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "crypto/p256.h"
#include "formats/base.h"
#include "formats/envelope.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err read_password(struct secret *ret)
{
    SECRET(text);
    unsigned group;
    TRY(secret_from_file("-", &text));
    return rp_decode((const char *)text.bytes, text.len, ret, &group);
}

static enum err read_keys(char **paths, unsigned n, struct cr_p256_pub *ret)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *pem = NULL;
        size_t len = 0;
        TRY(file_read(paths[i], 4096, &pem, &len));
        enum err err = cr_p256_pub_from_pem((const char *)pem, len, &ret[i]);
        free(pem);
        TRY(err);
    }
    return ERR_OK;
}

static enum err seal(int argc, char **argv)
{
    struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 1735689600};
    struct cr_p256_pub to[ENVELOPE_RECIPIENTS];
    struct guid org;
    uint8_t out[ENVELOPE_MAX];
    char text[BASE32_LEN(ENVELOPE_MAX) + 1];
    unsigned n = (unsigned)argc - 5;
    size_t len = 0;
    SECRET(password);
    if (argc < 6 || n > ENVELOPE_RECIPIENTS)
        return ERR_RANGE;
    TRY(guid_decode(argv[1], strlen(argv[1]), &org));
    TRY(guid_decode(argv[2], strlen(argv[2]), &e.key_id));
    TRY(guid_decode(argv[3], strlen(argv[3]), &e.volume));
    memset(e.device, 0xd1, sizeof e.device);
    TRY(read_password(&password));
    TRY(read_keys(argv + 5, n, to));
    TRY(envelope_seal(&e, &org, to, n, password.bytes, out, &len));
    TRY(file_write(argv[4], out, len, 0644));
    base32_encode(out, len, text);
    return puts(text) >= 0 ? ERR_OK : ERR_IO;
}

int main(int argc, char **argv)
{
    enum err err = seal(argc, argv);
    if (err != ERR_OK)
        fprintf(stderr, "seal_tool: %s\n", err_text(err));
    return err == ERR_OK ? 0 : 1;
}
