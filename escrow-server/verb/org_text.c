/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/org_text.h"
#include "escrow-server/process/address.h"
#include "formats/org.h"
#include "formats/qr_text.h"
#include "formats/text.h"
#include <string.h>

const char *org_name_wrong(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= ORG_TEXT && text_is_printable(name, len)
               ? NULL
               : "1 to 128 bytes of plain UTF-8 are wanted";
}

const char *org_message_wrong(const char *message)
{
    size_t len = strlen(message);
    return len <= ORG_MESSAGE && text_is_printable(message, len)
               ? NULL
               : "at most 512 bytes of plain UTF-8 are wanted";
}

const char *org_url_wrong(const char *url)
{
    return qr_text_check_url(url) == ERR_OK
               ? NULL
               : "the recovery address goes into a QR code, so it may hold only 0-9 A-Z $ % * + - . / : and "
                 "at most 128 characters";
}

enum err org_server_host(const char *url, char ret[static PKI_HOST_MAX])
{
    if (strncmp(url, "https://", 8) != 0 || strlen(url) > ORG_TEXT)
        return ERR_FORMAT;
    const char *at = url + 8;
    bool brackets = at[0] == '[';
    size_t len = brackets ? strcspn(++at, "]") : strcspn(at, ":/");
    const char *port = at + len + brackets;
    if (len == 0 || len >= PKI_HOST_MAX || *port != ':' || !address_is_port(port + 1, 1) ||
        !text_is_printable(at, len))
        return ERR_FORMAT;
    memcpy(ret, at, len);
    ret[len] = '\0';
    return ERR_OK;
}
