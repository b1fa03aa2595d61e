/* Saved conversations. Every message is one transaction: whole or not there at all.
 *
 * When the disk is full or the database cannot be used, chats go on: what could not be saved is kept in
 * memory (up to CHATS_UNSAVED_BYTES), belongs to its chat like everything else, says "saved": false with the
 * reason, and is saved as soon as a write succeeds again. It is an error only where even that is not
 * possible. Any thread.
 */
#ifndef LLMIND_SERVICE_CHATS_H
#define LLMIND_SERVICE_CHATS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct store;
struct chats;

enum {
    CHATS_UNSAVED_BYTES = 32 << 20, /* all chats together */
    CHATS_UNSAVED = 200             /* chats with something that is not saved */
};

/* store: borrowed; NULL with a reason when there is no database. */
int chats_open(struct store *store, const char *reason, struct chats **out, struct error *error);
void chats_close(struct chats *chats); /* NULL is legal */

/* Every json_t is a new reference, the caller's:
 *   a chat     {"id", "title", "model", "system", "created_at", "updated_at", "message_count",
 *               "branch_of", "saved", "saved_reason"}; from chats_get also "messages"
 *   a message  {"index", "role", "content", "created_at", "saved", "saved_reason"} and the members of extra
 * id: 32 hexadecimal digits; anything else is a chat that is not there. A chat without a title is called
 * after its first user message. branch_of: the id of the chat that it began as a copy of (chats_branch), null
 * when there is none or that one was deleted. Errors: ERROR_NOT_FOUND, ERROR_INVALID, ERROR_LIMIT (the limits
 * of store/chats.h), ERROR_IO (the message says why). */

/* {"chats": [...], "next": "..." | null}: newest first; `before` is the `next` of the page before, or NULL.
 * search: in titles and messages, NULL or "" for all. */
int chats_list(struct chats *chats, size_t limit, const char *before, const char *search, json_t **out,
               struct error *error);
/* title, model, system: NULL or "" for none. */
int chats_create(struct chats *chats, const char *title, const char *model, const char *system, json_t **out,
                 struct error *error);
/* A new chat that begins with the first n_messages of chat `from`, which stays as it is. title, model,
 * system: NULL takes the other's. ERROR_INVALID: there are fewer messages; ERROR_IO: it could not be saved.
 */
int chats_branch(struct chats *chats, const char *from, int64_t n_messages, const char *title,
                 const char *model, const char *system, json_t **out, struct error *error);
int chats_get(struct chats *chats, const char *id, json_t **out, struct error *error);
/* NULL leaves a field as it is, "" takes it away. */
int chats_update(struct chats *chats, const char *id, const char *title, const char *model,
                 const char *system, json_t **out, struct error *error);
int chats_delete(struct chats *chats, const char *id, struct error *error);

struct chats_message {
    const char *role; /* "user", "assistant", "tool", "system" */
    const char *text; /* bytes that are not UTF-8 are replaced */
    size_t length;
    const json_t *extra; /* reasoning, tool calls, timings; borrowed, may be NULL */
    const char *model;   /* the chat uses it from now on; NULL: as before */
    int64_t replaces;    /* index of the last message, which this one takes the place of; -1: none */
};
int chats_add_message(struct chats *chats, const char *id, const struct chats_message *message, json_t **out,
                      struct error *error);
/* Takes the last message back. ERROR_BUSY: index is not the last one's. */
int chats_take_back(struct chats *chats, const char *id, int64_t index, struct error *error);

/* Malloc'ed Markdown. */
int chats_markdown(struct chats *chats, const char *id, char **out, struct error *error);

/* ---- one answer at a time per chat (of this process) ---- */

/* ERROR_BUSY when the chat is being answered. cancel(context) may come from any thread until chats_turn_end
 * has returned; it must not call back into chats. */
int chats_turn_begin(struct chats *chats, const char *id, void (*cancel)(void *context), void *context,
                     struct error *error);
void chats_turn_end(struct chats *chats, const char *id);
/* Cancels the answer that is being written; false: there is none. */
bool chats_stop(struct chats *chats, const char *id);

#endif
