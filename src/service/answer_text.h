/* The middle of an answer: events of the engine in, pieces out. No engine, no lease, no clock, so that tests
 * feed it events of their own. One owner.
 *
 * One event gives at most a few pieces; they and their texts live until the next event is fed.
 */
#ifndef LLMIND_SERVICE_ANSWER_TEXT_H
#define LLMIND_SERVICE_ANSWER_TEXT_H

#include <jansson.h>

#include "service/answer.h"
#include "service/reasoning.h"
#include "service/tool_calls.h"

enum { ANSWER_TOOL_ID = 5 + 24 + 1 }; /* "call_", 24 letters and digits, zero */

struct answer_text {
    /* given, before the first event */
    json_t *tools;  /* owned; NULL: no calls are looked for */
    bool one_call;  /* the answer is over after the first call */
    bool reasoning; /* thoughts are told from content */
    bool logprobs;  /* pieces carry their tokens */

    /* private: start from zero, then answer_text_begin */
    struct reasoning thoughts;
    struct tool_calls calls;
    struct buffer bytes; /* the texts of the pieces */
    struct answer_text_piece {
        enum answer_piece_kind kind;
        size_t at, length;
        uint32_t tool_index;
        char tool_id[ANSWER_TOOL_ID];
        bool has_tokens;
    } * pieces;
    size_t n_pieces, pieces_capacity, next_piece;
    struct engine_event *tokens; /* with logprobs: not yet part of a piece, or of one that is out */
    size_t n_tokens, tokens_capacity;
    size_t n_tokens_out;                      /* of the tokens: went out with a piece */
    bool begun;                               /* a token was fed */
    uint32_t prompt_tokens, generated_tokens; /* so far; the first is 0 until it is known */
    bool failed;
    uint32_t n_calls, reasoning_tokens;
    struct answer_piece end; /* with ended */
    bool ended, end_taken;
};

void answer_text_begin(struct answer_text *text);
void answer_text_free(struct answer_text *text);

/* Takes in the next event. EVENT_FINISH flushes what was held back. */
void answer_text_feed(struct answer_text *text, const struct engine_event *event);
/* The next piece of what was fed: true with *piece; the last one is ANSWER_END. */
bool answer_text_next(struct answer_text *text, struct answer_piece *piece);
/* one_call, and it was told: nothing that follows matters. */
bool answer_text_is_enough(const struct answer_text *text);

/* "call_" and 24 random letters and digits. */
void answer_tool_id(char id[ANSWER_TOOL_ID]);

#endif
