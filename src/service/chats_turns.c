/* Which chats are being answered right now. */
#include <stdlib.h>
#include <string.h>

#include "service/chats_internal.h"

static struct turn_entry **find(struct chats *chats, const char *id)
{
    struct turn_entry **link = &chats->turns;
    while (*link && strcmp((*link)->id, id) != 0)
        link = &(*link)->next;
    return link;
}

int chats_turn_begin(struct chats *chats, const char *id, void (*cancel)(void *context), void *context,
                     struct error *error)
{
    if (!chats_id_is_valid(id))
        return error_set(error, ERROR_NOT_FOUND, "there is no chat with this id");
    pthread_mutex_lock(&chats->turns_lock);
    bool busy = *find(chats, id) != NULL;
    struct turn_entry *entry = busy ? NULL : malloc(sizeof *entry);
    if (entry) {
        entry->cancel = cancel;
        entry->context = context;
        memcpy(entry->id, id, sizeof entry->id);
        entry->next = chats->turns;
        chats->turns = entry;
    }
    pthread_mutex_unlock(&chats->turns_lock);
    if (busy)
        return error_set(error, ERROR_BUSY,
                         "this chat is being answered: wait for the end, or stop it (POST .../stop)");
    return entry ? 0 : error_memory(error, "an answer", sizeof *entry);
}

void chats_turn_end(struct chats *chats, const char *id)
{
    pthread_mutex_lock(&chats->turns_lock);
    struct turn_entry **link = find(chats, id), *entry = *link;
    if (entry)
        *link = entry->next;
    pthread_mutex_unlock(&chats->turns_lock);
    free(entry);
}

bool chats_stop(struct chats *chats, const char *id)
{
    pthread_mutex_lock(&chats->turns_lock);
    const struct turn_entry *entry = *find(chats, id);
    if (entry)
        entry->cancel(entry->context);
    pthread_mutex_unlock(&chats->turns_lock);
    return entry != NULL;
}
