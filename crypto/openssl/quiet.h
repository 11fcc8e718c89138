#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A failing call here says why by its enum err. What it leaves in OpenSSL's error queue of the thread is
 * taken back, because a TLS connection of the same process would read it as its own failure. */

#include <openssl/err.h>

static inline void quiet_end(const int *mark)
{
    (void)mark;
    (void)ERR_pop_to_mark();
}

/* Forget the errors that OpenSSL notes from here to the end of the scope. */
#define OPENSSL_QUIET() __attribute__((cleanup(quiet_end))) const int quiet_mark_ = ERR_set_mark()
