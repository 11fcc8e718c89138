#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both halves of a SQLite store of any older version, with rows in every table, and what is in them. */

#include "escrow-server/store/store_db.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/types.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define ROWS  40
#define MANY  3000 /* some calls of `working` */
#define TEXTS 16

/* Where the files are. */
extern char dir[64];
/* An empty folder, and its end: nothing but the stores may be there. */
int make_dir(void **state);
int remove_dir(void **state);
sqlite3 *open_file(enum store_half half);
void exec(sqlite3 *db, const char *sql);

/* What a query says, at most TEXTS lines. */
struct texts {
    char *text[TEXTS];
    unsigned n;
};
struct texts ask(sqlite3 *db, const char *sql);
void free_texts(struct texts *t);

/* A file of that version, with so many rows in each table. */
void make_older(enum store_half half, int version, unsigned rows);
/* More rows in a table: any bytes, texts and numbers, each row its own. */
void fill_table(sqlite3 *db, const char *table, unsigned rows);
int version_of(enum store_half half);
off_t size_of(enum store_half half);

/* A file before something is done with it. */
struct before {
    struct texts asked, had;
};
struct before look(enum store_half half);
/* Each row is what it was. */
void check_same(enum store_half half, const struct before *b);
void forget(struct before *b);

/* As the writer at its start, which waits where `working` is. */
enum err open_and_close(void (*working)(void));
/* For `working`: counts, and kills the process at that call; 0: never. */
void count(void);
extern unsigned calls, die_at;
/* A sound file with its log, and nothing of a migration in it. */
void check_sound(enum store_half half);
