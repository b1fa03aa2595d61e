/* One turn of a saved conversation: the user's message is saved, the model answers, the answer is saved.
 *
 * What was generated is kept whatever ends it: a stop, a client that left, a worker that died. One owner and
 * one reader thread per turn; turn_cancel from any thread. One turn at a time per chat.
 */
#ifndef LLMIND_SERVICE_TURN_H
#define LLMIND_SERVICE_TURN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/answer.h"
#include "service/services.h"

struct turn;

enum { TURN_WAIT_FOR_MODEL_MS = 60000 };

struct turn_options {
    const char *content; /* the user's message; NULL: answer (again) what was said last */
    const char *model;   /* the chat's from now on; NULL: the chat's, else the loaded or default one */
    /* Fields that are not given: the saved settings', else the model's own. max_tokens: 0 is not given. An
     * answer never gets more than the context has room for. */
    struct engine_sampling sampling;
    unsigned given; /* ANSWER_TEMPERATURE, ANSWER_TOP_P, ANSWER_SEED */
    uint32_t max_tokens;
    struct host_place *place; /* as answer_options' */
};

/* When it fails, the conversation is as it was before. Errors: those of chats.h and answer_open. ERROR_BUSY
 * with *conflict: the chat is being answered; without: the model's queue is full. */
int turn_open(struct services *services, const char *id, const struct turn_options *options,
              struct turn **out, bool *conflict, struct error *error);
/* Saves what there is, if turn_finish has not. NULL is legal. */
void turn_close(struct turn *turn);
void turn_cancel(struct turn *turn);

/* The user's message as it was saved (chats.h); NULL when there was none. */
const json_t *turn_user_message(const struct turn *turn);
/* As answer_next. */
int turn_next(struct turn *turn, struct answer_piece *piece, int wait_ms);

/* Ends the turn, cancelling what still runs, and saves the answer. *out, a new reference: {"message": as
 * chats.h has it, null when nothing was generated, "finish_reason": "stop" | "length" | "cancelled" |
 * "error", "model", "timings", "saved", "saved_reason"}. Returns 0, or what went wrong while answering (the
 * rest is kept all the same; *out is NULL only when memory is short). Once. */
int turn_finish(struct turn *turn, json_t **out, struct error *error);

#endif
