#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The SQL of the SQLite dialect: schema and statements, and nothing else. */

#include "escrow-server/store.h"

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_MARK,
    SQL_UNDO,
    SQL_RELEASE,
    SQL_RECORD_PUT,
    SQL_FORKED,
    SQL_HAS_SEQUENCE,
    SQL_KNOWN,
    /* recovery only */
    SQL_DEVICE_GET,
    SQL_DEVICE_PUT,
    SQL_DEVICE_SEEN,
    SQL_TOKEN_PUT,
    SQL_TOKEN_USE,
    SQL_TOKEN_CHECK,
    SQL_ENVELOPE_PUT,
    SQL_FLAG_PUT,
    SQL_DIGEST,
    SQL_HAS_ENVELOPE,
    SQL_FIND,
    SQL_DISCLOSED_PUT,
    SQL_DISCLOSED_SAME,
    SQL_COMMAND_PUT,
    SQL_COMMAND_DONE,
    SQL_COMMAND_OPEN,
    SQL_COMMANDS,
    /* compliance only */
    SQL_EVENT_PUT,
    SQL_BOOTS,
    SQL_COUNT
};

struct sql_statement {
    unsigned halves; /* bit of each enum store_half it is for */
    const char *text;
};

extern const struct sql_statement sql_statements[SQL_COUNT];

/* Migrations are numbered from 1 (PRAGMA user_version) and only go forward. */
#define SQL_SCHEMA_VERSION 1
extern const char *const sql_schema[STORE_HALVES][SQL_SCHEMA_VERSION];
/* Run on every open, before the schema. */
extern const char *const sql_open;
