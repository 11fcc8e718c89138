#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading PEM where nobody sits at a terminal. Hosted. */

/* OpenSSL's pem_password_cb for text that is not supposed to be encrypted: always -1, so that a PEM which
 * claims to be encrypted fails instead of making OpenSSL ask on the terminal and wait. */
int cr_no_passphrase(char *buf, int size, int writing, void *ctx);
