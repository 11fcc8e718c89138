/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/migrate_fixture.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG 1024

char dir[64];
unsigned calls, die_at;

int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keyholt-migrate-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

int remove_dir(void **state)
{
    char path[sizeof dir + 32];
    (void)state;
    for (unsigned i = 0; i < STORE_HALVES; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[i]);
        if (unlink(path) != 0)
            return -1;
    }
    return rmdir(dir); /* nothing else is left behind */
}

sqlite3 *open_file(enum store_half half)
{
    char path[sizeof dir + 32];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[half]);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

void exec(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static int add_text(void *ctx, int n, char **value, char **name)
{
    struct texts *t = ctx;
    (void)n, (void)name;
    assert_true(t->n < TEXTS);
    t->text[t->n++] = strdup(value[0]);
    return 0;
}

struct texts ask(sqlite3 *db, const char *sql)
{
    struct texts t = {.n = 0};
    char *why = NULL;
    if (sqlite3_exec(db, sql, add_text, &t, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    return t;
}

void free_texts(struct texts *t)
{
    for (unsigned i = 0; i < t->n; i++)
        free(t->text[i]);
}

/* Rows in a table as the version has it: any bytes, texts and numbers, each row its own. */
void fill_table(sqlite3 *db, const char *table, unsigned rows)
{
    char sql[LONG];
    snprintf(
        sql, sizeof sql,
        "SELECT group_concat(CASE WHEN name = 'bytes' THEN 'randomblob(600)' WHEN name = 'kind' AND type ="
        " 'INTEGER' OR name = 'own' THEN 'i %% 5' WHEN type = 'BLOB' THEN 'randomblob(32)' WHEN type ="
        " 'TEXT' THEN 'hex(randomblob(16))' WHEN pk = 1 THEN 'i' ELSE 'random() >> 20' END, ', ')"
        " FROM pragma_table_info('%s')",
        table);
    struct texts values = ask(db, sql);
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %u)"
             " INSERT INTO %s SELECT %s FROM n",
             rows, table, values.text[0]);
    exec(db, sql);
    free_texts(&values);
}

void make_older(enum store_half half, int version, unsigned rows)
{
    char pragma[48];
    sqlite3 *db = open_file(half);
    exec(db, "PRAGMA journal_mode=WAL");
    for (int i = 0; i < version; i++)
        exec(db, sql_sqlite_schema[half][i]);
    exec(db, "BEGIN");
    struct texts tables = ask(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    for (unsigned i = 0; i < tables.n; i++)
        fill_table(db, tables.text[i], rows);
    exec(db, "COMMIT");
    free_texts(&tables);
    snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", version);
    exec(db, pragma);
    sqlite3_close(db);
}

/* For each table and view of a file: how to ask for all that is in it. */
static struct texts questions(enum store_half half)
{
    sqlite3 *db = open_file(half);
    struct texts t = ask(
        db, "SELECT 'SELECT count(*) || '':'' || group_concat(line, char(10)) FROM (SELECT ' ||"
            " (SELECT group_concat('quote(' || c.name || ')', ' || '','' || ') FROM pragma_table_info(m.name)"
            " AS c) || ' AS line FROM ' || m.name || ' ORDER BY 1)' FROM sqlite_master AS m"
            " WHERE type IN ('table', 'view') ORDER BY m.name");
    sqlite3_close(db);
    return t;
}

static struct texts answers(enum store_half half, const struct texts *asked)
{
    sqlite3 *db = open_file(half);
    struct texts all = {.n = 0};
    for (unsigned i = 0; i < asked->n; i++) {
        struct texts one = ask(db, asked->text[i]);
        assert_int_equal(one.n, 1);
        all.text[all.n++] = one.text[0];
    }
    sqlite3_close(db);
    return all;
}

int version_of(enum store_half half)
{
    sqlite3 *db = open_file(half);
    struct texts t = ask(db, "PRAGMA user_version");
    int version = atoi(t.text[0]);
    free_texts(&t);
    sqlite3_close(db);
    return version;
}

struct before look(enum store_half half)
{
    struct before b = {.asked = questions(half)};
    b.had = answers(half, &b.asked);
    return b;
}

void check_same(enum store_half half, const struct before *b)
{
    struct texts now = answers(half, &b->asked);
    assert_int_equal(now.n, b->had.n);
    for (unsigned i = 0; i < now.n; i++)
        if (strcmp(now.text[i], b->had.text[i]) != 0)
            fail_msg("%s: not what it was: %s", store_sqlite_file[half], b->asked.text[i]);
    free_texts(&now);
}

void forget(struct before *b)
{
    free_texts(&b->asked);
    free_texts(&b->had);
}

enum err open_and_close(void (*working)(void))
{
    const struct store_place place = {.dir = dir, .working = working};
    struct store *s = NULL;
    TRY(store_sql.open(&place, &s));
    store_sql.close(s);
    return ERR_OK;
}

void check_sound(enum store_half half)
{
    sqlite3 *db = open_file(half);
    struct texts t = ask(db, "PRAGMA integrity_check"), mode = ask(db, "PRAGMA journal_mode"),
                 left =
                     ask(db, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'new_%' OR name = 'filler'"
                             " OR sql LIKE '%new_%'");
    assert_string_equal(t.text[0], "ok");
    assert_string_equal(mode.text[0], "wal");
    assert_string_equal(left.text[0], "0");
    free_texts(&t);
    free_texts(&mode);
    free_texts(&left);
    sqlite3_close(db);
}

off_t size_of(enum store_half half)
{
    char path[sizeof dir + 32];
    snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[half]);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseeko(f, 0, SEEK_END), 0);
    off_t size = ftello(f);
    fclose(f);
    return size;
}

void count(void)
{
    if (++calls == die_at)
        raise(SIGKILL);
}
