/* What a profiling run consists of: prompts as people write them, and the two pure tests (prefill, decode at
 * several depths of context). Pure: decides from a few figures, runs nothing.
 */
#ifndef LLMIND_PROFILE_SCENARIO_H
#define LLMIND_PROFILE_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scenario_kind {
    SCENARIO_PROMPT,  /* a real prompt and its answer */
    SCENARIO_PREFILL, /* prompt_tokens in, one token out */
    SCENARIO_DECODE   /* max_tokens - 1 timed steps behind a prompt of prompt_tokens */
};

enum {
    SCENARIO_MAX = 32,
    SCENARIO_MAX_CUTS = 24,
    SCENARIO_PREFILL_TOKENS = 512,
    SCENARIO_DECODE_TOKENS = 128,
    SCENARIO_ANSWER_TOKENS = 128,
    SCENARIO_MAX_PROMPTS = 16 /* of the user's own */
};

struct scenario {
    enum scenario_kind kind;
    char id[32];            /* "simple", "prompt_1", "prefill_512", "decode_128_at_1024": names in reports */
    char label[48];         /* "decode 128 @ 1024" */
    const char *prompt;     /* PROMPT: text, borrowed; else NULL */
    uint32_t prompt_tokens; /* exact, except PROMPT: a guess until it is tokenized */
    uint32_t depth;         /* DECODE: tokens in the cache before the first timed step, as asked */
    uint32_t max_tokens;
};

struct scenario_request {
    const char *const *prompts; /* the user's own: they come instead of simple, medium and complex */
    size_t n_prompts;
    uint32_t answer_tokens;         /* of a prompt; 0: SCENARIO_ANSWER_TOKENS */
    uint32_t context;               /* of the engine: nothing longer is planned */
    uint32_t runs;                  /* of each test, warm-up included */
    double budget_s;                /* 0: none */
    double prefill_tps, decode_tps; /* about, from a short run; NaN or 0: unknown, nothing is cut */
};

struct scenario_list {
    struct scenario items[SCENARIO_MAX];
    size_t count;
    char cuts[SCENARIO_MAX_CUTS][80]; /* what was left out or shortened, in the order it was done */
    size_t n_cuts;
    double expected_s;
};

/* Plans the tests that fit into the context, and shortens them in this order until they fit into the budget:
 * depths from the deepest on, answers and decode tests to 64, 32 and 16 tokens, prefill to 256 and 128,
 * prompts left out from the last one on. The first prompt, prefill and decode at depth 0 stay; expected_s
 * says when even they do not fit. */
void scenario_plan(const struct scenario_request *request, struct scenario_list *out);

/* Seconds one run of a scenario takes at these speeds; 0 when they are unknown. */
double scenario_seconds(const struct scenario *scenario, double prefill_tps, double decode_tps);

const char *scenario_kind_name(enum scenario_kind kind); /* "prompt", "prefill", "decode" */

/* The default prompts, in the order simple, medium, complex. */
enum { SCENARIO_DEFAULT_PROMPTS = 3 };
extern const char *const scenario_default_ids[SCENARIO_DEFAULT_PROMPTS];
extern const char *const scenario_default_prompts[SCENARIO_DEFAULT_PROMPTS];
/* Plain prose that prompts of an exact length are cut from. */
extern const char scenario_passage[];

#endif
