/* What the files behind chats.h share. */
#ifndef LLMIND_SERVICE_CHATS_INTERNAL_H
#define LLMIND_SERVICE_CHATS_INTERNAL_H

#include <pthread.h>

#include "service/chats.h"
#include "store/chats.h"

/* What one chat has that is not in the database. Owns its strings. */
struct unsaved {
    struct unsaved *next;
    char id[STORE_CHAT_ID + 1];
    bool on_disk; /* the chat itself is in the database; else head is all there is of it */
    struct store_chat head;
    int64_t take_away; /* index of the message on disk that must go first; -1: none */
    int64_t first;     /* index of messages[0] */
    struct store_message *messages;
    size_t n_messages;
    size_t bytes; /* of everything above, for the limit */
    char *reason;
};

struct turn_entry {
    struct turn_entry *next;
    char id[STORE_CHAT_ID + 1];
    void (*cancel)(void *context);
    void *context;
};

struct chats {
    struct store *store; /* NULL: no database, for this reason */
    char *reason;
    pthread_mutex_t lock; /* guards what is unsaved, and makes saving one thing after another */
    struct unsaved *unsaved;
    size_t n_unsaved, unsaved_bytes;
    pthread_mutex_t turns_lock;
    struct turn_entry *turns;
};

int64_t chats_now_ms(void);
bool chats_id_is_valid(const char *id);

/* ---- forms (chats_json.c); NULL when memory is short ---- */

/* reason: why it is not saved; NULL: it is. */
json_t *chats_chat_json(const struct store_chat *chat, const char *reason);
json_t *chats_message_json(const struct store_message *message, const char *reason);

/* ---- what is not saved (chats_unsaved.c); all under lock ---- */

struct unsaved *unsaved_find(const struct chats *chats, const char *id);
/* A chat that cannot be created (head), or one that is in the database (head NULL) with n messages. */
int unsaved_begin(struct chats *chats, const char *id, const struct store_chat *head, int64_t n_messages,
                  struct unsaved **out, struct error *error);
void unsaved_drop(struct chats *chats, struct unsaved *entry);
/* Copies. Sets message->position. model: the chat's from now on, or NULL. */
int unsaved_add(struct chats *chats, struct unsaved *entry, struct store_message *message, const char *model,
                struct error *error);
int unsaved_take_away(struct chats *chats, struct unsaved *entry, int64_t index, struct error *error);
int unsaved_set_reason(struct unsaved *entry, const char *reason, struct error *error);
/* Replaces fields of a head as chats_update does. */
int unsaved_update(struct chats *chats, struct unsaved *entry, const char *title, const char *model,
                   const char *system, struct error *error);
/* Saves the entry and drops it. On error it stays, with the error as its reason. */
int unsaved_save(struct chats *chats, struct unsaved *entry, struct error *error);
/* After a write that succeeded: the others, until one fails. */
void unsaved_save_all(struct chats *chats);
/* Copies of the head with what it is shown by filled in (messages, opening). */
struct store_chat unsaved_chat(const struct unsaved *entry);
bool unsaved_matches(const struct unsaved *entry, const char *search);

#endif
