/* The version of a database is its user_version: 0 for a new file, else the number of the last migration that
 * was applied to it. A migration and its number are one transaction, so there is nothing between versions. */
#include "store/migrate.h"

#include <stdio.h>

enum { APPLICATION_ID = 0x4C4D6E64 }; /* as 0001_chats.sql sets it */

static int read_number(struct store_connection *connection, const char *sql, int *out, struct error *error)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return connection_error(connection, error);
    int status = 0;
    if (sqlite3_step(statement) == SQLITE_ROW)
        *out = sqlite3_column_int(statement, 0);
    else
        status = connection_error(connection, error);
    sqlite3_finalize(statement);
    return status;
}

static int read_version(struct store_connection *connection, int *version, struct error *error)
{
    return read_number(connection, "PRAGMA user_version", version, error);
}

static int not_ours(struct store_connection *connection, struct error *error)
{
    return error_set(
        error, ERROR_INVALID,
        "%s is a database of another program; it was left as it is: move it away and start again",
        connection->path);
}

static int newer(struct store_connection *connection, int version, struct error *error)
{
    return error_set(error, ERROR_UNSUPPORTED,
                     "%s was made by a newer LLMind (schema %d, this one knows %d) and was left as it is: "
                     "update LLMind, or choose another folder with --data-dir",
                     connection->path, version, store_schema_version);
}

/* A file that is damaged says so with its first pages, or by what quick_check finds before a migration writes
 * to it; what is damaged further down is met when it is read. */
int store_examine(struct store_connection *connection, struct error *error)
{
    /* One snapshot: another process may be making this database right now. */
    int version = 0, id = 0, tables = 0, status = connection_run(connection, "BEGIN", error);
    if (!status)
        status = read_version(connection, &version, error);
    if (!status)
        status = read_number(connection, "PRAGMA application_id", &id, error);
    if (!status)
        status = read_number(connection, "SELECT count(*) FROM sqlite_schema", &tables, error);
    int code = sqlite3_errcode(connection->db);
    if (!sqlite3_get_autocommit(connection->db))
        connection_run(connection, "ROLLBACK", NULL);
    if (status && (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)) {
        if (error)
            error->code = ERROR_INVALID;
        return ERROR_INVALID;
    }
    if (status)
        return status;
    if (id == 0 && version == 0 && tables == 0)
        return 0; /* new */
    if (id != APPLICATION_ID || version < 1 || tables == 0)
        return not_ours(connection, error);
    if (version > store_schema_version)
        return newer(connection, version, error);
    return 0;
}

static int is_whole(struct store_connection *connection, struct error *error)
{
    int whole = 0;
    int status =
        read_number(connection, "SELECT quick_check = 'ok' FROM pragma_quick_check(1)", &whole, error);
    if (!status && !whole)
        status = error_set(error, ERROR_INVALID,
                           "the database %s is damaged and was left as it is: move it away and start again",
                           connection->path);
    return status;
}

/* Inside a transaction: one step up from the version that the file has by now. */
static int step_up(struct store_connection *connection, int version, struct error *error)
{
    char pragma[64];
    int status = version > 0 ? is_whole(connection, error) : 0;
    if (status)
        return status;
    status = connection_run(connection, store_migrations[version].sql, error);
    if (status)
        error_prefix(error, "schema/%s", store_migrations[version].name);
    snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", version + 1);
    return status ? status : connection_run(connection, pragma, error);
}

int store_migrate(struct store_connection *connection, struct error *error)
{
    int version = 0, status;
    while ((status = read_version(connection, &version, error)) == 0 && version < store_schema_version) {
        status = connection_run(connection, "BEGIN IMMEDIATE", error);
        if (status)
            return status;
        status = read_version(connection, &version, error); /* another process may have been quicker */
        if (!status && version < store_schema_version)
            status = step_up(connection, version, error);
        if (!status)
            status = connection_run(connection, "COMMIT", error);
        if (status) {
            if (!sqlite3_get_autocommit(connection->db))
                connection_run(connection, "ROLLBACK", NULL);
            return status;
        }
    }
    return !status && version > store_schema_version ? newer(connection, version, error) : status;
}
