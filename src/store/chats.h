/* Conversations in the database. Rows travel as the structs below; their strings are borrowed, in both
 * directions, for the time of the call. What they mean, their ids and their JSON are service/chats.h's. */
#ifndef LLMIND_STORE_CHATS_H
#define LLMIND_STORE_CHATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum {
    STORE_CHAT_ID = 32,            /* characters of an id */
    STORE_MESSAGE_BYTES = 1 << 20, /* text of one message */
    STORE_EXTRA_BYTES = 4 << 20,   /* what goes with it */
    STORE_CHAT_MESSAGES = 10000,   /* messages of one chat */
    STORE_CHAT_BYTES = 64 << 20,   /* texts and extras of one chat: what reading it may take */
    STORE_TITLE_BYTES = 500,
    STORE_SEARCH_BYTES = 200,
    STORE_OPENING_CHARACTERS = 200
};

struct store_chat {
    const char *id;
    const char *title, *model, *system; /* NULL: none */
    int64_t created_ms, updated_ms;
    /* only from reads */
    int64_t number;
    int64_t messages;
    const char *opening; /* how the first user message begins; NULL: there is none */
    const char
        *branch_of; /* id of the chat that it began as a copy of; NULL: none, or that one was deleted */
};

struct store_message {
    int64_t position; /* set by store_chats_write */
    const char *role;
    const char *text;
    size_t length;
    const char *extra; /* JSON or NULL */
    int64_t created_ms;
};

/* Visitors return 0, or an error, which ends the visit and is handed on. message may be NULL: not asked for.
 */
struct store_visitor {
    int (*chat)(void *context, const struct store_chat *chat, struct error *error);
    int (*message)(void *context, const struct store_message *message, struct error *error);
    void *context;
};

struct store_page {
    size_t limit;
    bool has_before; /* only chats behind this one, as the last page ended */
    int64_t before_ms, before_number;
    const char *search; /* in titles and texts, ASCII letters of either case; NULL: all */
};

/* Newest first, by updated_ms. */
int store_chats_list(struct store *store, const struct store_page *page, const struct store_visitor *visitor,
                     struct error *error);
/* The chat, then its messages in order, as of one moment. ERROR_NOT_FOUND. */
int store_chats_read(struct store *store, const char *id, const struct store_visitor *visitor,
                     struct error *error);

/* NULL leaves a field as it is, "" makes it NULL. ERROR_NOT_FOUND. */
int store_chats_update(struct store *store, const char *id, const char *title, const char *model,
                       const char *system, struct error *error);
int store_chats_delete(struct store *store, const char *id, struct error *error);

struct store_chat_write {
    const char *id;
    const struct store_chat *create; /* made first; NULL: it is there already (ERROR_NOT_FOUND) */
    /* The last message, by its position, is taken away first; -1: none. ERROR_BUSY when it is not the last.
     */
    int64_t take_away;
    struct store_message *messages; /* appended */
    size_t n_messages;
    const char *model; /* remembered as the chat's; NULL: unchanged */
    int64_t updated_ms;
};
/* One transaction. ERROR_LIMIT: one of the limits above; ERROR_IO: not saved, for this reason. */
int store_chats_write(struct store *store, const struct store_chat_write *write, struct error *error);
/* Makes a chat (create; its title, model and system prompt: NULL takes the other's) that begins with the
 * first n_messages of chat `from`, which is its branch_of. One transaction. ERROR_NOT_FOUND; ERROR_INVALID:
 * there are fewer. */
int store_chats_branch(struct store *store, const char *from, int64_t n_messages,
                       const struct store_chat *create, struct error *error);

#endif
