/* One SQLite connection, and what a transaction needs of it. Private to store/: who includes this writes SQL.
 *
 * A connection belongs to one thread at a time: between begin and end to the caller, otherwise to the store.
 */
#ifndef LLMIND_STORE_CONNECTION_H
#define LLMIND_STORE_CONNECTION_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum { STORE_STATEMENTS = 32, STORE_BUSY_MS = 5000, STORE_READERS = 8, CONNECTION_MAX_VALUE = 32 << 20 };

struct store_connection {
    sqlite3 *db;
    const char *path; /* the store's, for messages */
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } cache[STORE_STATEMENTS];
    int n_cached;
    struct store_connection *next; /* in the store's list of idle readers */
};

/* Opens path (it must exist) with the settings that protect us from a hostile file and the data from us. *out
 * is set also on error, and must be closed. Nothing is written yet. */
int connection_open(const char *path, struct store_connection **out, struct error *error);
/* Once the file is known to be ours: WAL, synchronous=FULL. */
int connection_accept(struct store_connection *connection, struct error *error);
void connection_close(struct store_connection *connection); /* NULL is legal */

/* Fills *error from what the connection last ran into. ERROR_IO: whatever keeps us from reading or saving
 * (disk full, no permission, damaged, held by another process for STORE_BUSY_MS). ERROR_LIMIT, ERROR_MEMORY,
 * ERROR_INTERNAL. Returns the code. */
int connection_error(struct store_connection *connection, struct error *error);
int connection_run(struct store_connection *connection, const char *sql, struct error *error);

/* ---- transactions ---- */

/* A snapshot of its own; at most STORE_READERS at once, further ones wait. */
int store_read_begin(struct store *store, struct store_connection **out, struct error *error);
void store_read_end(struct store *store, struct store_connection *reader);
/* Waits for the writer before, also of another process. */
int store_write_begin(struct store *store, struct store_connection **out, struct error *error);
/* Commits when status is 0, else rolls back and returns status. */
int store_write_end(struct store *store, struct store_connection *writer, int status, struct error *error);

/* ---- statements: prepared once per connection, sql is a string constant ---- */

/* *out is reset and has every parameter NULL; it belongs to the connection. */
int store_statement(struct store_connection *connection, const char *sql, sqlite3_stmt **out,
                    struct error *error);
/* 1: a row; 0: done; < 0: an error. After the last two the statement is reset. */
int store_step(struct store_connection *connection, sqlite3_stmt *statement, struct error *error);
/* For a statement without rows: 0 or an error. */
int store_finish(struct store_connection *connection, sqlite3_stmt *statement, struct error *error);

/* NULL binds NULL. The text is borrowed until the statement is done; callers keep to the limits of their
 * headers, which are below CONNECTION_MAX_VALUE, so that binding cannot fail. */
void store_bind_text(sqlite3_stmt *statement, int index, const char *text);
void store_bind_bytes(sqlite3_stmt *statement, int index, const char *text, size_t length);

#endif
