/* Conversations: ids, limits, and the choice between the database and memory.
 *
 * Every change tries the database first; what fails with ERROR_IO (the disk is full, the file cannot be used)
 * goes to chats_unsaved.c, and every later change of that chat goes there too and tries to save all of it. */
#include "service/chats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/utf8.h"
#include "service/chat.h"
#include "service/chats_internal.h"

int64_t chats_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool chats_id_is_valid(const char *id)
{
    return strspn(id, "0123456789abcdef") == STORE_CHAT_ID && id[STORE_CHAT_ID] == '\0';
}

static int not_found(struct error *error)
{
    return error_set(error, ERROR_NOT_FOUND, "there is no chat with this id");
}

int chats_open(struct store *store, const char *reason, struct chats **out, struct error *error)
{
    *out = NULL;
    struct chats *chats = calloc(1, sizeof *chats);
    if (!chats)
        return error_memory(error, "chats", sizeof *chats);
    chats->store = store;
    chats->reason = strdup(reason ? reason : "there is no database");
    if (!chats->reason) {
        free(chats);
        return error_memory(error, "chats", 0);
    }
    pthread_mutex_init(&chats->lock, NULL);
    pthread_mutex_init(&chats->turns_lock, NULL);
    *out = chats;
    return 0;
}

void chats_close(struct chats *chats)
{
    if (!chats)
        return;
    unsaved_save_all(chats); /* the last chance */
    while (chats->unsaved)
        unsaved_drop(chats, chats->unsaved);
    pthread_mutex_destroy(&chats->turns_lock);
    pthread_mutex_destroy(&chats->lock);
    free(chats->reason);
    free(chats);
}

static int no_database(const struct chats *chats, struct error *error)
{
    return error_set(error, ERROR_IO, "%s", chats->reason);
}

static int made(json_t *object, json_t **out, struct error *error)
{
    *out = object;
    return object ? 0 : error_memory(error, "a chat", 0);
}

/* ---- reading ---- */

/* A search may take its time, and saving must not wait for it: the lock is held only where there is something
 * to look up behind it. */
static const struct chats *lock_unsaved(struct chats *chats)
{
    pthread_mutex_lock(&chats->lock);
    if (chats->unsaved)
        return chats;
    pthread_mutex_unlock(&chats->lock);
    return NULL;
}

static void unlock_unsaved(struct chats *chats, const struct chats *locked)
{
    if (locked)
        pthread_mutex_unlock(&chats->lock);
}

struct collection {
    json_t *chat, *list;         /* list: chats, or the messages of chat */
    const struct chats *unsaved; /* locked: look there too; NULL: nothing is unsaved */
    const struct unsaved *entry; /* of the chat that is read */
    int64_t last_ms, last_number, n;
};

static int append(json_t *list, json_t *object, struct error *error)
{
    return json_array_append_new(list, object) ? error_memory(error, "a chat", 0) : 0;
}

static int collect_chat(void *context, const struct store_chat *row, struct error *error)
{
    struct collection *into = context;
    const struct unsaved *entry = into->unsaved ? unsaved_find(into->unsaved, row->id) : NULL;
    struct store_chat chat = *row;
    if (entry) {
        chat.messages = entry->first + (int64_t)entry->n_messages;
        chat.updated_ms = entry->head.updated_ms ? entry->head.updated_ms : chat.updated_ms;
        chat.model = entry->head.model ? entry->head.model : chat.model;
    }
    into->last_ms = row->updated_ms;
    into->last_number = row->number;
    into->n++;
    json_t *object = chats_chat_json(&chat, entry ? entry->reason : NULL);
    if (into->list)
        return append(into->list, object, error);
    return made(object, &into->chat, error);
}

static int collect_message(void *context, const struct store_message *message, struct error *error)
{
    struct collection *into = context;
    if (into->entry && message->position >= into->entry->first)
        return 0; /* taken away, or the chat went on in another process */
    if (!into->list && !(into->list = json_array()))
        return error_memory(error, "a chat", 0);
    return append(into->list, chats_message_json(message, NULL), error);
}

/* Chats that only memory knows come first: they are what the user did last. */
static int list_unsaved(struct collection *into, const char *search, struct error *error)
{
    int status = 0;
    for (const struct unsaved *entry = into->unsaved->unsaved; entry && !status; entry = entry->next)
        if (!entry->on_disk && unsaved_matches(entry, search)) {
            struct store_chat chat = unsaved_chat(entry);
            status = append(into->list, chats_chat_json(&chat, entry->reason), error);
        }
    return status;
}

/* "milliseconds.number" of the last chat of the page before. */
static int read_cursor(const char *before, struct store_page *page, struct error *error)
{
    if (!before)
        return 0;
    char *dot, *end = NULL;
    page->before_ms = strtoll(before, &dot, 10);
    if (dot != before && *dot == '.')
        page->before_number = strtoll(dot + 1, &end, 10);
    if (!end || end == dot + 1 || *end || strlen(before) > 40)
        return error_set(error, ERROR_INVALID, "before is not the \"next\" of a page of chats");
    page->has_before = true;
    return 0;
}

int chats_list(struct chats *chats, size_t limit, const char *before, const char *search, json_t **out,
               struct error *error)
{
    *out = NULL;
    struct store_page page = {.limit = limit, .search = search && *search ? search : NULL};
    int status = read_cursor(before, &page, error);
    if (status)
        return status;
    if (page.search && strlen(page.search) > STORE_SEARCH_BYTES)
        return error_set(error, ERROR_INVALID, "search is longer than %d bytes", STORE_SEARCH_BYTES);
    struct collection into = {.list = json_array()};
    if (!into.list)
        return error_memory(error, "chats", 0);
    into.unsaved = lock_unsaved(chats);
    if (!before && into.unsaved)
        status = list_unsaved(&into, page.search, error);
    struct store_visitor visitor = {.chat = collect_chat, .context = &into};
    if (!status && chats->store)
        status = store_chats_list(chats->store, &page, &visitor, error);
    unlock_unsaved(chats, into.unsaved);
    if (status) {
        json_decref(into.list);
        return status;
    }
    char next[48];
    snprintf(next, sizeof next, "%" PRId64 ".%" PRId64, into.last_ms, into.last_number);
    bool more = into.n > 0 && (size_t)into.n == limit;
    return made(json_pack("{s:o, s:o}", "chats", into.list, "next", more ? json_string(next) : json_null()),
                out, error);
}

/* The database's part and then memory's. */
static int read_chat(struct chats *chats, const char *id, struct collection *into, struct error *error)
{
    into->entry = into->unsaved ? unsaved_find(into->unsaved, id) : NULL;
    struct store_visitor visitor = {collect_chat, collect_message, into};
    int status = 0;
    if (into->entry && !into->entry->on_disk) {
        struct store_chat chat = unsaved_chat(into->entry);
        status = made(chats_chat_json(&chat, into->entry->reason), &into->chat, error);
    } else {
        status = chats->store ? store_chats_read(chats->store, id, &visitor, error) : not_found(error);
    }
    if (!status && !into->list && !(into->list = json_array()))
        status = error_memory(error, "a chat", 0);
    for (size_t i = 0; !status && into->entry && i < into->entry->n_messages; i++)
        status =
            append(into->list, chats_message_json(&into->entry->messages[i], into->entry->reason), error);
    return status;
}

int chats_get(struct chats *chats, const char *id, json_t **out, struct error *error)
{
    *out = NULL;
    if (!chats_id_is_valid(id))
        return not_found(error);
    struct collection into = {.unsaved = lock_unsaved(chats)};
    int status = read_chat(chats, id, &into, error);
    unlock_unsaved(chats, into.unsaved);
    if (!status && json_object_set(into.chat, "messages", into.list))
        status = error_memory(error, "a chat", 0);
    json_decref(into.list);
    if (status)
        json_decref(into.chat);
    else
        *out = into.chat;
    return status;
}

/* ---- changing ---- */

static int check_text(const char *name, const char *text, size_t max_bytes, struct error *error)
{
    size_t length = text ? strlen(text) : 0;
    if (length > max_bytes)
        return error_set(error, ERROR_LIMIT, "%s has %zu bytes; at most %zu are kept", name, length,
                         max_bytes);
    if (text && !utf8_is_valid(text, length))
        return error_set(error, ERROR_INVALID, "%s is not UTF-8", name);
    return 0;
}

static int check_texts(const char *title, const char *model, const char *system, struct error *error)
{
    int status = check_text("title", title, STORE_TITLE_BYTES, error);
    if (!status)
        status = check_text("model", model, STORE_TITLE_BYTES, error);
    return status ? status : check_text("system", system, STORE_MESSAGE_BYTES, error);
}

static int new_id(char out[STORE_CHAT_ID + 1], struct error *error)
{
    unsigned char bytes[STORE_CHAT_ID / 2];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return error_set(error, ERROR_IO, "the system gives no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

int chats_create(struct chats *chats, const char *title, const char *model, const char *system, json_t **out,
                 struct error *error)
{
    *out = NULL;
    char id[STORE_CHAT_ID + 1];
    int status = check_texts(title, model, system, error);
    if (!status)
        status = new_id(id, error);
    if (status)
        return status;
    int64_t now = chats_now_ms();
    struct store_chat chat = {.id = id,
                              .title = or_null(title),
                              .model = or_null(model),
                              .system = or_null(system),
                              .created_ms = now,
                              .updated_ms = now};
    struct store_chat_write write = {.id = id, .create = &chat, .take_away = -1, .updated_ms = now};
    struct error why = {0};
    const char *reason = NULL;
    pthread_mutex_lock(&chats->lock);
    status = chats->store ? store_chats_write(chats->store, &write, &why) : no_database(chats, &why);
    if (status == ERROR_IO) {
        struct unsaved *entry;
        reason = why.message;
        status = unsaved_begin(chats, id, &chat, 0, &entry, error);
        if (!status)
            status = unsaved_set_reason(entry, reason, error);
    } else if (status) {
        error_set(error, status, "%s", why.message);
    } else {
        unsaved_save_all(chats);
    }
    pthread_mutex_unlock(&chats->lock);
    return status ? status : made(chats_chat_json(&chat, reason), out, error);
}

/* Ends a change: unlocks, hands status on and, when it is 0, makes *out the chat as it is now. */
static int end_change(struct chats *chats, const char *id, int status, json_t **out, struct error *error)
{
    struct collection into = {.unsaved = chats};
    if (!status)
        status = read_chat(chats, id, &into, error);
    pthread_mutex_unlock(&chats->lock);
    json_decref(into.list);
    if (status)
        json_decref(into.chat);
    else
        *out = into.chat;
    return status;
}

int chats_branch(struct chats *chats, const char *from, int64_t n_messages, const char *title,
                 const char *model, const char *system, json_t **out, struct error *error)
{
    *out = NULL;
    char id[STORE_CHAT_ID + 1];
    if (!chats_id_is_valid(from))
        return not_found(error);
    int status = check_texts(title, model, system, error);
    if (!status)
        status = new_id(id, error);
    if (status)
        return status;
    const struct store_chat create = {
        .id = id, .title = title, .model = model, .system = system, .created_ms = chats_now_ms()};
    pthread_mutex_lock(&chats->lock);
    struct unsaved *entry = unsaved_find(chats, from);
    if (entry) /* its messages must be where they are copied from */
        status = unsaved_save(chats, entry, error);
    if (!status)
        status = chats->store ? store_chats_branch(chats->store, from, n_messages, &create, error)
                              : no_database(chats, error);
    return end_change(chats, id, status, out, error);
}

int chats_update(struct chats *chats, const char *id, const char *title, const char *model,
                 const char *system, json_t **out, struct error *error)
{
    *out = NULL;
    if (!chats_id_is_valid(id))
        return not_found(error);
    int status = check_texts(title, model, system, error);
    if (status)
        return status;
    pthread_mutex_lock(&chats->lock);
    struct unsaved *entry = unsaved_find(chats, id);
    if (entry && !entry->on_disk)
        status = unsaved_update(chats, entry, title, model, system, error);
    else
        status = chats->store ? store_chats_update(chats->store, id, title, model, system, error)
                              : not_found(error);
    if (!status)
        unsaved_save_all(chats);
    return end_change(chats, id, status, out, error);
}

int chats_delete(struct chats *chats, const char *id, struct error *error)
{
    if (!chats_id_is_valid(id))
        return not_found(error);
    pthread_mutex_lock(&chats->lock);
    struct unsaved *entry = unsaved_find(chats, id);
    int status = 0;
    if (!entry || entry->on_disk)
        status = chats->store ? store_chats_delete(chats->store, id, error) : not_found(error);
    if (!status && entry)
        unsaved_drop(chats, entry);
    pthread_mutex_unlock(&chats->lock);
    return status;
}

/* ---- messages ---- */

/* The entry of a chat that the database knows, made because it could not be written to. */
static int entry_on_disk(struct chats *chats, const char *id, struct unsaved **out, struct error *error)
{
    struct collection into = {.unsaved = chats};
    struct store_visitor visitor = {.chat = collect_chat, .context = &into};
    int status = chats->store ? store_chats_read(chats->store, id, &visitor, error) : not_found(error);
    if (!status)
        status = unsaved_begin(chats, id, NULL,
                               json_integer_value(json_object_get(into.chat, "message_count")), out, error);
    json_decref(into.chat);
    return status;
}

/* Under lock. In memory first, then all of it to the database; *reason (its entry's) when that failed. */
static int change_unsaved(struct chats *chats, struct unsaved *entry, int64_t replaces,
                          struct store_message *row, const char *model, const char **reason,
                          struct error *error)
{
    int status = replaces >= 0 ? unsaved_take_away(chats, entry, replaces, error) : 0;
    if (!status && row)
        status = unsaved_add(chats, entry, row, model, error);
    if (status)
        return status;
    if (unsaved_save(chats, entry, NULL))
        *reason = entry->reason;
    return 0;
}

/* Under lock: one change of a chat's messages, to the database or to memory. */
static int change_messages(struct chats *chats, const char *id, int64_t replaces, struct store_message *row,
                           const char *model, const char **reason, struct error *error)
{
    struct unsaved *entry = unsaved_find(chats, id);
    if (entry)
        return change_unsaved(chats, entry, replaces, row, model, reason, error);
    struct store_chat_write write = {.id = id,
                                     .take_away = replaces,
                                     .messages = row,
                                     .n_messages = row ? 1 : 0,
                                     .model = model,
                                     .updated_ms = chats_now_ms()};
    struct error why = {0};
    int status = chats->store ? store_chats_write(chats->store, &write, &why) : not_found(&why);
    if (status && status != ERROR_IO)
        return error_set(error, status, "%s", why.message);
    if (status) {
        status = entry_on_disk(chats, id, &entry, error);
        if (!status)
            status = change_unsaved(chats, entry, replaces, row, model, reason, error);
        if (status && entry)
            unsaved_drop(chats, entry);
        return status;
    }
    unsaved_save_all(chats);
    return 0;
}

static bool role_is_known(const char *role)
{
    return strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0 || strcmp(role, "tool") == 0 ||
           strcmp(role, "system") == 0;
}

int chats_add_message(struct chats *chats, const char *id, const struct chats_message *message, json_t **out,
                      struct error *error)
{
    *out = NULL;
    if (!chats_id_is_valid(id))
        return not_found(error);
    if (!role_is_known(message->role))
        return error_set(error, ERROR_INVALID, "role must be user, assistant, tool or system");
    if (message->length > STORE_MESSAGE_BYTES)
        return error_set(error, ERROR_LIMIT, "content has %zu bytes; a message may have %d", message->length,
                         STORE_MESSAGE_BYTES);
    char *text = chat_clean_utf8(message->text, message->length);
    char *extra = message->extra ? json_dumps(message->extra, JSON_COMPACT) : NULL;
    bool complete = text && (extra || !message->extra);
    int status = complete ? check_text("model", message->model, STORE_TITLE_BYTES, error)
                          : error_memory(error, "a message", message->length);
    if (complete && !status) {
        struct store_message row = {.role = message->role,
                                    .text = text,
                                    .length = strlen(text),
                                    .extra = extra,
                                    .created_ms = chats_now_ms()};
        const char *reason = NULL;
        pthread_mutex_lock(&chats->lock);
        status = change_messages(chats, id, message->replaces, &row, or_null(message->model), &reason, error);
        if (!status)
            status = made(chats_message_json(&row, reason), out, error);
        pthread_mutex_unlock(&chats->lock);
    }
    free(text);
    free(extra);
    return status;
}

int chats_take_back(struct chats *chats, const char *id, int64_t index, struct error *error)
{
    if (!chats_id_is_valid(id))
        return not_found(error);
    const char *reason;
    pthread_mutex_lock(&chats->lock);
    int status = change_messages(chats, id, index, NULL, NULL, &reason, error);
    pthread_mutex_unlock(&chats->lock);
    return status;
}
