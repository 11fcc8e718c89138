#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one result type of Keyholt: named by what the caller can do about it. */

#define ERR_LIST(X)                                                                                          \
    X(OK, "done")                                                                                            \
    X(NOMEM, "not enough memory")                                                                            \
    X(TRUNCATED, "the data ends too early")                                                                  \
    X(FORMAT, "the data is not in the expected form")                                                        \
    X(VERSION, "the data was made by a newer version")                                                       \
    X(AUTH, "it does not verify or does not open")                                                           \
    X(DENIED, "not permitted")                                                                               \
    X(NOT_FOUND, "not found")                                                                                \
    X(CONFLICT, "somebody else changed it meanwhile")                                                        \
    X(BUSY, "busy; try again")                                                                               \
    X(TIMEOUT, "no answer in time")                                                                          \
    X(IO, "reading or writing failed")                                                                       \
    X(FULL, "no room left")                                                                                  \
    X(UNSUPPORTED, "not supported")                                                                          \
    X(RANGE, "a value is out of range")                                                                      \
    X(OFFLINE, "not reachable now")                                                                          \
    X(INTERNAL, "a defect in Keyholt")

#define ERR_ENUM(name, text) ERR_##name,
enum err { ERR_LIST(ERR_ENUM) };
#undef ERR_ENUM

#define MUST_CHECK __attribute__((warn_unused_result))

/* Name of an error ("AUTH"), for logs and tests. Never NULL. */
const char *err_name(enum err e);
/* Half a sentence a person understands ("it does not verify or does not open"). Never NULL. */
const char *err_text(enum err e);

/* Return from the calling function with the error of an expression that failed. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        enum err try_err_ = (expr);                                                                          \
        if (try_err_ != ERR_OK)                                                                              \
            return try_err_;                                                                                 \
    } while (0)
