/* What stands between us and SQLite's defaults.
 *
 * The database file may come from anybody: a backup, another machine, an attacker who can write to the
 * folder. So its schema is not trusted (no functions with side effects in views and triggers), the file's
 * structures cannot be written by SQL (defensive), sizes are limited, nothing can be attached, and a cell is
 * checked before it is believed. For the data: foreign keys hold, deleted text is overwritten with zeros
 * (secure_delete: who deletes a conversation means it), and temporary tables stay in memory, so that a full
 * disk stops no search. */
#include "store/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_SQLITE = 3037000 }; /* STRICT tables */

int connection_error(struct store_connection *connection, struct error *error)
{
    int code = sqlite3_extended_errcode(connection->db);
    int system = sqlite3_system_errno(connection->db);
    const char *path = connection->path;
    if ((code & 0xFF) == SQLITE_FULL ||
        ((code & 0xFF) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT || system == EFBIG)))
        return error_set(error, ERROR_IO, "the disk is full: %s cannot grow; free some space", path);
    switch (code & 0xFF) {
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return error_set(error, ERROR_IO, "cannot use the database %s: %s%s%s", path, sqlite3_errstr(code),
                         system ? ", " : "", system ? strerror(system) : "");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return error_set(error, ERROR_IO, "another process has kept the database %s locked for %d s", path,
                         STORE_BUSY_MS / 1000);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(
            error, ERROR_IO,
            "the database %s is damaged or none at all: stop the server, move the file away (with "
            "sqlite3's .recover much of it can be read) and start again",
            path);
    case SQLITE_NOMEM:
        return error_memory(error, "the database", 0);
    case SQLITE_TOOBIG:
        return error_set(error, ERROR_LIMIT, "a value is larger than the database takes (%d bytes)",
                         CONNECTION_MAX_VALUE);
    default:
        return error_set(error, ERROR_INTERNAL, "%s: %s", path, sqlite3_errmsg(connection->db));
    }
}

int connection_run(struct store_connection *connection, const char *sql, struct error *error)
{
    if (sqlite3_exec(connection->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return connection_error(connection, error);
    return 0;
}

static void protect(sqlite3 *db)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, STORE_BUSY_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    /* A file that turns out not to be ours must stay as it is, its journal too. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, CONNECTION_MAX_VALUE);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 64 << 10);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 100);
}

int connection_open(const char *path, struct store_connection **out, struct error *error)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_memory(error, "a database connection", sizeof **out);
    (*out)->path = path;
    if (sqlite3_libversion_number() < OLDEST_SQLITE)
        return error_set(error, ERROR_UNSUPPORTED, "SQLite %s is too old: 3.37 or newer is needed",
                         sqlite3_libversion());
    /* No mutex of its own: one thread at a time is our promise. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(path, &(*out)->db, flags, NULL) != SQLITE_OK) {
        if ((*out)->db)
            return connection_error(*out, error);
        return error_memory(error, "a database connection", 0);
    }
    protect((*out)->db);
    return connection_run(*out, "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;",
                          error);
}

/* Changing to WAL needs the file for a moment alone, and SQLite does not wait for that by itself. */
static int change_to_wal(struct store_connection *connection, struct error *error)
{
    for (int waited_ms = 0;; waited_ms += 10) {
        int code = sqlite3_exec(connection->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
        if (code == SQLITE_OK)
            return 0;
        if ((code & 0xFF) != SQLITE_BUSY || waited_ms >= STORE_BUSY_MS)
            return connection_error(connection, error);
        sqlite3_sleep(10);
    }
}

int connection_accept(struct store_connection *connection, struct error *error)
{
    sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    int status = change_to_wal(connection, error);
    if (!status)
        status = connection_run(connection,
                                "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; "
                                "PRAGMA journal_size_limit=8388608;",
                                error);
    return status;
}

void connection_close(struct store_connection *connection)
{
    if (!connection)
        return;
    for (int i = 0; i < connection->n_cached; i++)
        sqlite3_finalize(connection->cache[i].statement);
    sqlite3_close(connection->db);
    free(connection);
}

/* ---- statements ---- */

int store_statement(struct store_connection *connection, const char *sql, sqlite3_stmt **out,
                    struct error *error)
{
    for (int i = 0; i < connection->n_cached; i++)
        if (connection->cache[i].sql == sql) {
            *out = connection->cache[i].statement;
            sqlite3_clear_bindings(*out);
            return 0;
        }
    if (connection->n_cached == STORE_STATEMENTS)
        return error_set(error, ERROR_INTERNAL, "more than %d statements on one connection",
                         STORE_STATEMENTS);
    if (sqlite3_prepare_v3(connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return connection_error(connection, error);
    connection->cache[connection->n_cached].sql = sql;
    connection->cache[connection->n_cached++].statement = *out;
    return 0;
}

int store_step(struct store_connection *connection, sqlite3_stmt *statement, struct error *error)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    int status = code == SQLITE_DONE ? 0 : connection_error(connection, error);
    sqlite3_reset(statement);
    return status;
}

int store_finish(struct store_connection *connection, sqlite3_stmt *statement, struct error *error)
{
    int status = store_step(connection, statement, error);
    if (status > 0)
        sqlite3_reset(statement);
    return status < 0 ? status : 0;
}

void store_bind_bytes(sqlite3_stmt *statement, int index, const char *text, size_t length)
{
    sqlite3_bind_text64(statement, index, text, length, SQLITE_STATIC, SQLITE_UTF8);
}

void store_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text)
        store_bind_bytes(statement, index, text, strlen(text));
}
