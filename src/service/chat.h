/* A conversation: system prompt, turns of user and assistant, and the two forms others want it in.
 *
 * One owner, one thread. Text may be any bytes; what is not UTF-8 is replaced by U+FFFD when it comes in, so
 * that the JSON is always valid.
 */
#ifndef LLMIND_SERVICE_CHAT_H
#define LLMIND_SERVICE_CHAT_H

#include <stddef.h>

#include "base/error.h"

struct chat;

/* system: the system prompt, or NULL. */
int chat_open(const char *system, struct chat **out, struct error *error);
void chat_close(struct chat *chat); /* NULL is legal */

/* Replaces the system prompt; NULL or "" removes it. The turns stay. */
int chat_set_system(struct chat *chat, const char *system, struct error *error);
/* role: "user" or "assistant". */
int chat_add(struct chat *chat, const char *role, const char *text, size_t length, struct error *error);
/* Takes the last turn back (nothing when there is none). */
void chat_drop_last(struct chat *chat);
/* Forgets all turns; the system prompt stays. */
void chat_reset(struct chat *chat);
size_t chat_turns(const struct chat *chat);

/* OpenAI-style messages; malloc'ed, freed by the caller. */
int chat_messages_json(const struct chat *chat, char **out, struct error *error);
/* Writes the conversation as Markdown. An existing file is not overwritten (ERROR_INVALID). */
int chat_save_markdown(const struct chat *chat, const char *path, const char *model_name,
                       struct error *error);

/* A malloc'ed copy with every byte that is not part of valid UTF-8 replaced by U+FFFD; NULL when memory is
 * short. Zero bytes are replaced too. */
char *chat_clean_utf8(const char *text, size_t length);

#endif
