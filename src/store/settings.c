#include "store/settings.h"

#include "store/connection.h"

static const char read_sql[] = "SELECT key, value FROM setting ORDER BY key LIMIT 1000";
static const char write_sql[] = "INSERT INTO setting (key, value) VALUES (?1, ?2) "
                                "ON CONFLICT (key) DO UPDATE SET value = ?2";
static const char remove_sql[] = "DELETE FROM setting WHERE key = ?1";

int store_settings_read(struct store *store,
                        int (*visit)(void *context, const struct store_setting *setting, struct error *error),
                        void *context, struct error *error)
{
    struct store_connection *reader;
    int status = store_read_begin(store, &reader, error);
    if (status)
        return status;
    sqlite3_stmt *rows;
    status = store_statement(reader, read_sql, &rows, error);
    while (!status && (status = store_step(reader, rows, error)) > 0) {
        struct store_setting setting = {(const char *)sqlite3_column_text(rows, 0),
                                        (const char *)sqlite3_column_text(rows, 1)};
        status = visit(context, &setting, error);
        if (status)
            sqlite3_reset(rows);
    }
    store_read_end(store, reader);
    return status;
}

static int write_one(struct store_connection *writer, const struct store_setting *setting,
                     struct error *error)
{
    sqlite3_stmt *statement;
    int status = store_statement(writer, setting->value ? write_sql : remove_sql, &statement, error);
    if (status)
        return status;
    store_bind_text(statement, 1, setting->key);
    if (setting->value)
        store_bind_text(statement, 2, setting->value);
    return store_finish(writer, statement, error);
}

int store_settings_write(struct store *store, const struct store_setting *settings, size_t n,
                         struct error *error)
{
    struct store_connection *writer;
    int status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    for (size_t i = 0; !status && i < n; i++)
        status = write_one(writer, &settings[i], error);
    return store_write_end(store, writer, status, error);
}
