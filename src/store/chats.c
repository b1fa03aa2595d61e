/* What changes conversations: each function is one transaction. */
#include "store/chats.h"

#include <string.h>

#include "store/connection.h"

static const char create_sql[] =
    "INSERT INTO chat (id, title, model, system, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char find_sql[] = "SELECT number, messages, bytes FROM chat WHERE id = ?1";
static const char size_sql[] = "SELECT length(CAST(text AS BLOB)) + coalesce(length(CAST(extra AS BLOB)), 0) "
                               "FROM message WHERE chat = ?1 AND position = ?2";
static const char take_away_sql[] = "DELETE FROM message WHERE chat = ?1 AND position = ?2";
static const char append_sql[] = "INSERT INTO message (chat, position, role, text, extra, created_ms) "
                                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char count_sql[] = "UPDATE chat SET messages = ?2, bytes = ?3, model = coalesce(?4, model), "
                                "updated_ms = ?5 WHERE number = ?1";
static const char update_sql[] =
    "UPDATE chat SET title = CASE WHEN ?2 IS NULL THEN title ELSE nullif(?2, '') END, "
    "model = CASE WHEN ?3 IS NULL THEN model ELSE nullif(?3, '') END, "
    "system = CASE WHEN ?4 IS NULL THEN system ELSE nullif(?4, '') END "
    "WHERE id = ?1";
static const char delete_sql[] = "DELETE FROM chat WHERE id = ?1";

/* The chat that a write is about, as the transaction sees it. */
struct chat_state {
    int64_t number, messages, bytes;
};

static int not_found(struct error *error)
{
    return error_set(error, ERROR_NOT_FOUND, "there is no chat with this id");
}

static int create(struct store_connection *writer, const struct store_chat *chat, struct error *error)
{
    sqlite3_stmt *insert;
    int status = store_statement(writer, create_sql, &insert, error);
    if (status)
        return status;
    store_bind_text(insert, 1, chat->id);
    store_bind_text(insert, 2, chat->title);
    store_bind_text(insert, 3, chat->model);
    store_bind_text(insert, 4, chat->system);
    sqlite3_bind_int64(insert, 5, chat->created_ms);
    sqlite3_bind_int64(insert, 6, chat->updated_ms);
    return store_finish(writer, insert, error);
}

static int find(struct store_connection *writer, const char *id, struct chat_state *out, struct error *error)
{
    sqlite3_stmt *row;
    int status = store_statement(writer, find_sql, &row, error);
    if (status)
        return status;
    store_bind_text(row, 1, id);
    status = store_step(writer, row, error);
    if (status < 0)
        return status;
    if (status == 0)
        return not_found(error);
    *out = (struct chat_state){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
                               sqlite3_column_int64(row, 2)};
    sqlite3_reset(row);
    return 0;
}

static int take_away(struct store_connection *writer, struct chat_state *chat, int64_t position,
                     struct error *error)
{
    if (position != chat->messages - 1)
        return error_set(error, ERROR_BUSY, "the chat went on meanwhile: read it again");
    sqlite3_stmt *size, *removal;
    int status = store_statement(writer, size_sql, &size, error);
    if (!status)
        status = store_statement(writer, take_away_sql, &removal, error);
    if (status)
        return status;
    sqlite3_bind_int64(size, 1, chat->number);
    sqlite3_bind_int64(size, 2, position);
    status = store_step(writer, size, error);
    if (status < 0)
        return status;
    int64_t bytes = status ? sqlite3_column_int64(size, 0) : 0;
    sqlite3_reset(size);
    sqlite3_bind_int64(removal, 1, chat->number);
    sqlite3_bind_int64(removal, 2, position);
    chat->messages--;
    chat->bytes -= bytes;
    return store_finish(writer, removal, error);
}

static int append(struct store_connection *writer, struct chat_state *chat, struct store_message *message,
                  struct error *error)
{
    size_t extra = message->extra ? strlen(message->extra) : 0;
    if (message->length > STORE_MESSAGE_BYTES || extra > STORE_EXTRA_BYTES)
        return error_set(error, ERROR_LIMIT, "the message has %zu bytes; at most %d are kept",
                         message->length, STORE_MESSAGE_BYTES);
    if (chat->messages >= STORE_CHAT_MESSAGES)
        return error_set(error, ERROR_LIMIT, "this chat has %d messages already; begin a new one",
                         STORE_CHAT_MESSAGES);
    chat->bytes += (int64_t)(message->length + extra);
    if (chat->bytes > STORE_CHAT_BYTES)
        return error_set(error, ERROR_LIMIT, "this chat would be larger than %d bytes; begin a new one",
                         STORE_CHAT_BYTES);
    sqlite3_stmt *insert;
    int status = store_statement(writer, append_sql, &insert, error);
    if (status)
        return status;
    message->position = chat->messages++;
    sqlite3_bind_int64(insert, 1, chat->number);
    sqlite3_bind_int64(insert, 2, message->position);
    store_bind_text(insert, 3, message->role);
    store_bind_bytes(insert, 4, message->text, message->length);
    store_bind_text(insert, 5, message->extra);
    sqlite3_bind_int64(insert, 6, message->created_ms);
    return store_finish(writer, insert, error);
}

static int set_counts(struct store_connection *writer, const struct chat_state *chat, const char *model,
                      int64_t updated_ms, struct error *error)
{
    sqlite3_stmt *update;
    int status = store_statement(writer, count_sql, &update, error);
    if (status)
        return status;
    sqlite3_bind_int64(update, 1, chat->number);
    sqlite3_bind_int64(update, 2, chat->messages);
    sqlite3_bind_int64(update, 3, chat->bytes);
    store_bind_text(update, 4, model);
    sqlite3_bind_int64(update, 5, updated_ms);
    return store_finish(writer, update, error);
}

int store_chats_write(struct store *store, const struct store_chat_write *write, struct error *error)
{
    struct store_connection *writer;
    int status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    struct chat_state chat = {0};
    if (write->create)
        status = create(writer, write->create, error);
    if (!status)
        status = find(writer, write->id, &chat, error);
    if (!status && write->take_away >= 0)
        status = take_away(writer, &chat, write->take_away, error);
    for (size_t i = 0; !status && i < write->n_messages; i++)
        status = append(writer, &chat, &write->messages[i], error);
    if (!status && (write->n_messages > 0 || write->take_away >= 0))
        status = set_counts(writer, &chat, write->model, write->updated_ms, error);
    return store_write_end(store, writer, status, error);
}

/* A statement about one chat that is there. */
static int change_one(struct store_connection *writer, sqlite3_stmt *change, struct error *error)
{
    int status = store_finish(writer, change, error);
    return !status && sqlite3_changes(writer->db) == 0 ? not_found(error) : status;
}

int store_chats_update(struct store *store, const char *id, const char *title, const char *model,
                       const char *system, struct error *error)
{
    struct store_connection *writer;
    int status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    sqlite3_stmt *update;
    status = store_statement(writer, update_sql, &update, error);
    if (!status) {
        store_bind_text(update, 1, id);
        store_bind_text(update, 2, title);
        store_bind_text(update, 3, model);
        store_bind_text(update, 4, system);
        status = change_one(writer, update, error);
    }
    return store_write_end(store, writer, status, error);
}

int store_chats_delete(struct store *store, const char *id, struct error *error)
{
    struct store_connection *writer;
    int status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    sqlite3_stmt *removal;
    status = store_statement(writer, delete_sql, &removal, error);
    if (!status) {
        store_bind_text(removal, 1, id);
        status = change_one(writer, removal, error);
    }
    return store_write_end(store, writer, status, error);
}
