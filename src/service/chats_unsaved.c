/* What could not be saved, kept until it can be.
 *
 * An entry is a write that is still to be done, in the words of store_chats_write: perhaps create the chat,
 * perhaps take its last message away, then append these. So saving it later is the same transaction that
 * failed, and reading a chat is the database's part followed by the entry's. */
#include <stdlib.h>
#include <string.h>

#include "service/chats_internal.h"

struct unsaved *unsaved_find(const struct chats *chats, const char *id)
{
    struct unsaved *entry = chats->unsaved;
    while (entry && strcmp(entry->id, id) != 0)
        entry = entry->next;
    return entry;
}

static int no_room(struct error *error)
{
    return error_set(
        error, ERROR_IO,
        "nothing can be saved, and what is kept in memory instead has reached its limit (%d MiB, %d "
        "chats); free space on the disk",
        CHATS_UNSAVED_BYTES >> 20, CHATS_UNSAVED);
}

/* Copies text (NULL stays NULL) and counts it. */
static int copy(struct chats *chats, struct unsaved *entry, const char *text, size_t length, const char **out,
                struct error *error)
{
    *out = NULL;
    if (!text)
        return 0;
    if (length > CHATS_UNSAVED_BYTES - chats->unsaved_bytes)
        return no_room(error);
    char *copied = malloc(length + 1);
    if (!copied)
        return error_memory(error, "a message", length);
    memcpy(copied, text, length);
    copied[length] = '\0';
    entry->bytes += length;
    chats->unsaved_bytes += length;
    *out = copied;
    return 0;
}

static int copy_text(struct chats *chats, struct unsaved *entry, const char *text, const char **out,
                     struct error *error)
{
    return copy(chats, entry, text, text ? strlen(text) : 0, out, error);
}

static void free_message(struct chats *chats, struct unsaved *entry, struct store_message *message)
{
    size_t bytes = message->length + (message->extra ? strlen(message->extra) : 0);
    entry->bytes -= bytes;
    chats->unsaved_bytes -= bytes;
    free((char *)message->text);
    free((char *)message->extra);
}

/* Roles are constants of our own: what comes from outside has been checked by chats_add_message. */
static const char *role_name(const char *role)
{
    static const char *const names[] = {"user", "assistant", "tool"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(role, names[i]) == 0)
            return names[i];
    return "system";
}

static void unsaved_free(struct chats *chats, struct unsaved *entry)
{
    for (size_t i = 0; i < entry->n_messages; i++)
        free_message(chats, entry, &entry->messages[i]);
    free(entry->messages);
    free((char *)entry->head.title);
    free((char *)entry->head.model);
    free((char *)entry->head.system);
    free(entry->reason);
    chats->unsaved_bytes -= entry->bytes;
    free(entry);
}

int unsaved_begin(struct chats *chats, const char *id, const struct store_chat *head, int64_t n_messages,
                  struct unsaved **out, struct error *error)
{
    if (chats->n_unsaved >= CHATS_UNSAVED)
        return no_room(error);
    struct unsaved *entry = calloc(1, sizeof *entry);
    if (!entry)
        return error_memory(error, "a chat", sizeof *entry);
    memcpy(entry->id, id, sizeof entry->id);
    entry->on_disk = !head;
    entry->take_away = -1;
    entry->first = n_messages;
    entry->head = (struct store_chat){.id = entry->id, .created_ms = head ? head->created_ms : 0};
    entry->head.updated_ms = entry->head.created_ms;
    int status = 0;
    if (head) {
        status = copy_text(chats, entry, head->title, &entry->head.title, error);
        if (!status)
            status = copy_text(chats, entry, head->model, &entry->head.model, error);
        if (!status)
            status = copy_text(chats, entry, head->system, &entry->head.system, error);
    }
    if (status) {
        unsaved_free(chats, entry);
        return status;
    }
    entry->next = chats->unsaved;
    chats->unsaved = entry;
    chats->n_unsaved++;
    *out = entry;
    return 0;
}

void unsaved_drop(struct chats *chats, struct unsaved *entry)
{
    struct unsaved **link = &chats->unsaved;
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    chats->n_unsaved--;
    unsaved_free(chats, entry);
}

int unsaved_set_reason(struct unsaved *entry, const char *reason, struct error *error)
{
    char *copied = strdup(reason);
    if (!copied)
        return error_memory(error, "a reason", strlen(reason));
    free(entry->reason);
    entry->reason = copied;
    return 0;
}

/* *field becomes text; NULL leaves it. */
static int replace(struct chats *chats, struct unsaved *entry, const char **field, const char *text,
                   struct error *error)
{
    if (!text)
        return 0;
    const char *copied = NULL;
    int status = copy_text(chats, entry, *text ? text : NULL, &copied, error);
    if (status)
        return status;
    if (*field) {
        entry->bytes -= strlen(*field);
        chats->unsaved_bytes -= strlen(*field);
        free((char *)*field);
    }
    *field = copied;
    return 0;
}

int unsaved_update(struct chats *chats, struct unsaved *entry, const char *title, const char *model,
                   const char *system, struct error *error)
{
    int status = replace(chats, entry, &entry->head.title, title, error);
    if (!status)
        status = replace(chats, entry, &entry->head.model, model, error);
    return status ? status : replace(chats, entry, &entry->head.system, system, error);
}

int unsaved_add(struct chats *chats, struct unsaved *entry, struct store_message *message, const char *model,
                struct error *error)
{
    struct store_message *grown = realloc(entry->messages, (entry->n_messages + 1) * sizeof *entry->messages);
    if (!grown)
        return error_memory(error, "a message", sizeof *grown);
    entry->messages = grown;
    struct store_message *kept = &grown[entry->n_messages];
    *kept = *message;
    kept->role = role_name(message->role);
    kept->extra = NULL;
    int status = copy(chats, entry, message->text, message->length, &kept->text, error);
    if (!status)
        status = copy_text(chats, entry, message->extra, &kept->extra, error);
    if (!status)
        status = replace(chats, entry, &entry->head.model, model, error);
    if (status) {
        if (!kept->text)
            kept->length = 0;
        free_message(chats, entry, kept);
        return status;
    }
    message->position = kept->position = entry->first + (int64_t)entry->n_messages++;
    entry->head.updated_ms = message->created_ms;
    return 0;
}

int unsaved_take_away(struct chats *chats, struct unsaved *entry, int64_t index, struct error *error)
{
    if (entry->n_messages > 0 && index == entry->first + (int64_t)entry->n_messages - 1) {
        free_message(chats, entry, &entry->messages[--entry->n_messages]);
        return 0;
    }
    if (entry->n_messages > 0 || entry->take_away >= 0 || !entry->on_disk || index != entry->first - 1)
        return error_set(error, ERROR_BUSY, "the chat went on meanwhile: read it again");
    entry->take_away = index;
    entry->first = index;
    return 0;
}

int unsaved_save(struct chats *chats, struct unsaved *entry, struct error *error)
{
    struct error why = {0};
    struct store_chat_write write = {.id = entry->id,
                                     .create = entry->on_disk ? NULL : &entry->head,
                                     .take_away = entry->take_away,
                                     .messages = entry->messages,
                                     .n_messages = entry->n_messages,
                                     .model = entry->head.model,
                                     .updated_ms = entry->head.updated_ms};
    int status = chats->store ? store_chats_write(chats->store, &write, &why)
                              : error_set(&why, ERROR_IO, "%s", chats->reason);
    if (!status) {
        unsaved_drop(chats, entry);
        return 0;
    }
    int kept = unsaved_set_reason(entry, why.message, error);
    return kept ? kept : error_set(error, why.code, "%s", why.message);
}

void unsaved_save_all(struct chats *chats)
{
    while (chats->unsaved && unsaved_save(chats, chats->unsaved, NULL) == 0)
        ;
}

struct store_chat unsaved_chat(const struct unsaved *entry)
{
    struct store_chat chat = entry->head;
    chat.messages = entry->first + (int64_t)entry->n_messages;
    for (size_t i = entry->n_messages; i-- > 0;)
        if (strcmp(entry->messages[i].role, "user") == 0)
            chat.opening = entry->messages[i].text;
    return chat;
}

bool unsaved_matches(const struct unsaved *entry, const char *search)
{
    bool found = !search || (entry->head.title && strcasestr(entry->head.title, search));
    for (size_t i = 0; !found && i < entry->n_messages; i++)
        found = strcasestr(entry->messages[i].text, search) != NULL;
    return found;
}
