/* One answer of a model: from a checked wish to a stream of pieces that mean something to a client.
 *
 * Between the engine (tokens, bytes) and the entrances (OpenAI chunks, saved chats): takes a lease on the
 * model, submits, tells reasoning from content, and reads tool calls out of the text in the common formats.
 * One owner and one reader thread per answer; answer_cancel from any thread.
 */
#ifndef LLMIND_SERVICE_ANSWER_H
#define LLMIND_SERVICE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "engine/engine.h"
#include "service/services.h"

struct answer;
struct host_place;

/* Which fields a client gave: sampling fields not given keep the model's own defaults. */
enum {
    ANSWER_TEMPERATURE = 1 << 0,
    ANSWER_TOP_P = 1 << 1,
    ANSWER_TOP_K = 1 << 2,
    ANSWER_MIN_P = 1 << 3,
    ANSWER_REPETITION = 1 << 4,
    ANSWER_PRESENCE = 1 << 5,
    ANSWER_FREQUENCY = 1 << 6,
    ANSWER_SEED = 1 << 7 /* otherwise a random one */
};

enum answer_tools { ANSWER_TOOLS_NONE, ANSWER_TOOLS_AUTO, ANSWER_TOOLS_REQUIRED };

struct answer_options {
    const char *model;           /* catalogue name; NULL: the loaded or default one */
    struct engine_submit submit; /* prompt, stops, grammar, logprobs ...; .sampling holds the given fields */
    unsigned given;              /* ANSWER_... of submit.sampling */
    enum answer_tools tools;     /* whether tool calls are looked for */
    const char *tool_name;       /* with REQUIRED: this one only; or NULL */
    bool one_tool_call;          /* stop after the first */
    bool parse_reasoning;        /* <think>…</think> becomes ANSWER_REASONING; not with a grammar */
    uint32_t wait_ms;            /* for a change of models */
    struct host_place *place;    /* its turn has come; or NULL (service/host.h) */
    /* NULL, or an open answer of the same owner: this one uses its engine, whatever `model` says. Whoever has
     * a lease must not wait for another: a change of models that waits stands between the two. */
    const struct answer *beside;
    bool *model_refused; /* may be NULL: told whether a failure was host_acquire's */
};

/* Errors: those of host_acquire and engine_submit. Everything in options is copied or used up by then. With
 * tools, submit.tools_json declares them (OpenAI's array) and show_special is set here; REQUIRED sets the
 * grammar too, so options must not have one. */
int answer_open(struct services *services, const struct answer_options *options, struct answer **out,
                struct error *error);
/* Cancels what still runs, gives the lease back. NULL is legal. */
void answer_close(struct answer *answer);
void answer_cancel(struct answer *answer); /* any thread */
const char *answer_model(const struct answer *answer);
struct engine *answer_engine(const struct answer *answer); /* for token texts */

enum answer_piece_kind {
    ANSWER_TEXT,           /* content */
    ANSWER_REASONING,      /* the model thinking */
    ANSWER_TOOL_NAME,      /* a tool call begins: tool_index, tool_id, text = the function's name */
    ANSWER_TOOL_ARGUMENTS, /* its arguments, a JSON text, whole */
    ANSWER_PROGRESS,       /* prefill: prompt_done of prompt_tokens */
    ANSWER_END
};
struct answer_piece {
    enum answer_piece_kind kind;
    const char *text; /* length bytes of whole UTF-8 characters; until the next answer_next */
    size_t length;
    uint32_t tool_index;
    const char *tool_id; /* "call_…" */
    uint32_t prompt_done, prompt_tokens;
    /* TEXT and REASONING with logprobs: the tokens since the piece before (text may be empty at the end) */
    const struct engine_event *tokens;
    size_t n_tokens;
    /* END */
    enum engine_finish finish;
    bool has_tool_calls;       /* then OpenAI's finish_reason is "tool_calls" */
    uint32_t reasoning_tokens; /* of timings.generated_tokens: spent on thinking */
    struct engine_timings
        timings;        /* before END only prompt_tokens (0: not known yet) and generated_tokens so far */
    struct error error; /* FINISH_ERROR */
};

/* 1: *piece is filled; 0: nothing came within wait_ms; -1: after ANSWER_END. */
int answer_next(struct answer *answer, struct answer_piece *piece, int wait_ms);

#endif
