/* Lists and conversations. A chat without a title is shown by the first thing its user said; that is looked
 * up when it is asked for, so that there is no second copy to keep right. */
#include <string.h>

#include "store/chats.h"
#include "store/connection.h"

#define CHAT_COLUMNS                                                                                         \
    "c.number, c.id, c.title, c.model, c.system, c.created_ms, c.updated_ms, c.messages, "                   \
    "(SELECT substr(m.text, 1, 200) FROM message m WHERE m.chat = c.number AND m.role = 'user' "             \
    "ORDER BY m.position LIMIT 1), "                                                                         \
    "(SELECT b.id FROM chat b WHERE b.number = c.branch_of) "

static const char list_sql[] =
    "SELECT " CHAT_COLUMNS "FROM chat c "
    "WHERE (?1 IS NULL OR (c.updated_ms, c.number) < (?1, ?2)) "
    "AND (?3 IS NULL OR c.title LIKE ?3 ESCAPE '\\' OR EXISTS "
    "(SELECT 1 FROM message m WHERE m.chat = c.number AND m.text LIKE ?3 ESCAPE '\\')) "
    "ORDER BY c.updated_ms DESC, c.number DESC LIMIT ?4";
static const char one_sql[] = "SELECT " CHAT_COLUMNS "FROM chat c WHERE c.id = ?1";
static const char messages_sql[] =
    "SELECT position, role, text, extra, created_ms FROM message WHERE chat = ?1 ORDER BY position";

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static struct store_chat chat_of(sqlite3_stmt *row)
{
    return (struct store_chat){.number = sqlite3_column_int64(row, 0),
                               .id = text_of(row, 1),
                               .title = text_of(row, 2),
                               .model = text_of(row, 3),
                               .system = text_of(row, 4),
                               .created_ms = sqlite3_column_int64(row, 5),
                               .updated_ms = sqlite3_column_int64(row, 6),
                               .messages = sqlite3_column_int64(row, 7),
                               .opening = text_of(row, 8),
                               .branch_of = text_of(row, 9)};
}

static int visit_chats(struct store_connection *reader, sqlite3_stmt *rows,
                       const struct store_visitor *visitor, int64_t *number, struct error *error)
{
    int status;
    while ((status = store_step(reader, rows, error)) > 0) {
        struct store_chat chat = chat_of(rows);
        *number = chat.number;
        status = visitor->chat(visitor->context, &chat, error);
        if (status)
            break;
    }
    sqlite3_reset(rows);
    return status;
}

static int visit_messages(struct store_connection *reader, int64_t number,
                          const struct store_visitor *visitor, struct error *error)
{
    sqlite3_stmt *rows;
    int status = store_statement(reader, messages_sql, &rows, error);
    if (status)
        return status;
    sqlite3_bind_int64(rows, 1, number);
    while ((status = store_step(reader, rows, error)) > 0) {
        struct store_message message = {.position = sqlite3_column_int64(rows, 0),
                                        .role = text_of(rows, 1),
                                        .text = text_of(rows, 2),
                                        .length = (size_t)sqlite3_column_bytes(rows, 2),
                                        .extra = text_of(rows, 3),
                                        .created_ms = sqlite3_column_int64(rows, 4)};
        status = visitor->message(visitor->context, &message, error);
        if (status)
            break;
    }
    sqlite3_reset(rows);
    return status;
}

/* %text%, with what LIKE would take for a pattern escaped. */
static void make_pattern(const char *search, char out[2 * STORE_SEARCH_BYTES + 3])
{
    size_t n = 0;
    out[n++] = '%';
    for (size_t i = 0; i < STORE_SEARCH_BYTES && search[i]; i++) {
        if (strchr("%_\\", search[i]))
            out[n++] = '\\';
        out[n++] = search[i];
    }
    out[n++] = '%';
    out[n] = '\0';
}

int store_chats_list(struct store *store, const struct store_page *page, const struct store_visitor *visitor,
                     struct error *error)
{
    struct store_connection *reader;
    int status = store_read_begin(store, &reader, error);
    if (status)
        return status;
    char pattern[2 * STORE_SEARCH_BYTES + 3];
    int64_t number;
    sqlite3_stmt *rows;
    status = store_statement(reader, list_sql, &rows, error);
    if (!status) {
        if (page->has_before) {
            sqlite3_bind_int64(rows, 1, page->before_ms);
            sqlite3_bind_int64(rows, 2, page->before_number);
        }
        if (page->search) {
            make_pattern(page->search, pattern);
            store_bind_text(rows, 3, pattern);
        }
        sqlite3_bind_int64(rows, 4, (int64_t)page->limit);
        status = visit_chats(reader, rows, visitor, &number, error);
    }
    store_read_end(store, reader);
    return status;
}

int store_chats_read(struct store *store, const char *id, const struct store_visitor *visitor,
                     struct error *error)
{
    struct store_connection *reader;
    int status = store_read_begin(store, &reader, error);
    if (status)
        return status;
    int64_t number = 0;
    sqlite3_stmt *rows;
    status = store_statement(reader, one_sql, &rows, error);
    if (!status) {
        store_bind_text(rows, 1, id);
        status = visit_chats(reader, rows, visitor, &number, error);
    }
    if (!status && number == 0)
        status = error_set(error, ERROR_NOT_FOUND, "there is no chat with this id");
    if (!status && visitor->message)
        status = visit_messages(reader, number, visitor, error);
    store_read_end(store, reader);
    return status;
}
