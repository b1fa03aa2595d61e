/* A chat that goes on differently from an earlier message of another: the rows are copied inside the
 * database. The branch knows the other as branch_of until that one is deleted. */
#include "store/chats.h"

#include "store/connection.h"

static const char create_sql[] =
    "INSERT INTO chat (id, title, model, system, created_ms, updated_ms, messages, branch_of) "
    "SELECT ?1, coalesce(?2, title), coalesce(?3, model), coalesce(?4, system), ?5, ?5, ?6, number "
    "FROM chat WHERE id = ?7 AND messages >= ?6";
static const char messages_sql[] =
    "INSERT INTO message (chat, position, role, text, extra, created_ms) "
    "SELECT (SELECT number FROM chat WHERE id = ?1), position, role, text, extra, created_ms FROM message "
    "WHERE chat = (SELECT number FROM chat WHERE id = ?2) AND position < ?3";
static const char bytes_sql[] =
    "UPDATE chat SET bytes = (SELECT coalesce(sum(length(CAST(text AS BLOB)) + "
    "coalesce(length(CAST(extra AS BLOB)), 0)), 0) FROM message WHERE chat = number) WHERE id = ?1";
static const char there_sql[] = "SELECT 1 FROM chat WHERE id = ?1";

/* Why nothing was copied. */
static int refuse(struct store_connection *writer, const char *from, struct error *error)
{
    sqlite3_stmt *there;
    int status = store_statement(writer, there_sql, &there, error);
    if (status)
        return status;
    store_bind_text(there, 1, from);
    status = store_step(writer, there, error);
    sqlite3_reset(there);
    if (status < 0)
        return status;
    return status ? error_set(error, ERROR_INVALID, "the chat has fewer messages than that")
                  : error_set(error, ERROR_NOT_FOUND, "there is no chat with this id");
}

static int copy_head(struct store_connection *writer, const char *from, int64_t n_messages,
                     const struct store_chat *create, struct error *error)
{
    sqlite3_stmt *insert;
    int status = store_statement(writer, create_sql, &insert, error);
    if (status)
        return status;
    store_bind_text(insert, 1, create->id);
    store_bind_text(insert, 2, create->title);
    store_bind_text(insert, 3, create->model);
    store_bind_text(insert, 4, create->system);
    sqlite3_bind_int64(insert, 5, create->created_ms);
    sqlite3_bind_int64(insert, 6, n_messages);
    store_bind_text(insert, 7, from);
    status = store_finish(writer, insert, error);
    return !status && sqlite3_changes(writer->db) == 0 ? refuse(writer, from, error) : status;
}

static int copy_messages(struct store_connection *writer, const char *from, int64_t n_messages,
                         const char *to, struct error *error)
{
    sqlite3_stmt *insert, *count;
    int status = store_statement(writer, messages_sql, &insert, error);
    if (!status) {
        store_bind_text(insert, 1, to);
        store_bind_text(insert, 2, from);
        sqlite3_bind_int64(insert, 3, n_messages);
        status = store_finish(writer, insert, error);
    }
    if (!status)
        status = store_statement(writer, bytes_sql, &count, error);
    if (!status) {
        store_bind_text(count, 1, to);
        status = store_finish(writer, count, error);
    }
    return status;
}

int store_chats_branch(struct store *store, const char *from, int64_t n_messages,
                       const struct store_chat *create, struct error *error)
{
    struct store_connection *writer;
    int status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    status = copy_head(writer, from, n_messages, create, error);
    if (!status)
        status = copy_messages(writer, from, n_messages, create->id, error);
    return store_write_end(store, writer, status, error);
}
