/* The sampling options that generate and chat share. What is not given stays as the model's own
 * generation_config.json has it. */
#ifndef LLMIND_CLI_SAMPLING_H
#define LLMIND_CLI_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "engine/engine.h"

enum {
    SAMPLING_TEMP = 600,
    SAMPLING_TOP_K,
    SAMPLING_TOP_P,
    SAMPLING_MIN_P,
    SAMPLING_REPETITION,
    SAMPLING_SEED
};

/* Rows for a command's option table. */
/* clang-format off */
#define SAMPLING_OPTION_ROWS                                                                                      \
    {SAMPLING_TEMP, 0, "temp", "X", "temperature; 0 is greedy (default: the model's own)"},                       \
    {SAMPLING_TOP_K, 0, "top-k", "N", "sample from the N most likely tokens; 0 is off"},                          \
    {SAMPLING_TOP_P, 0, "top-p", "X", "sample from the most likely tokens that sum to X; 1 is off"},              \
    {SAMPLING_MIN_P, 0, "min-p", "X", "leave out tokens less likely than X times the best; 0 is off"},            \
    {SAMPLING_REPETITION, 0, "repetition-penalty", "X", "1 is off"},                                              \
    {SAMPLING_SEED, 0, "seed", "N", "the same seed gives the same text (default 0)"}
/* clang-format on */

struct sampling_wishes {
    float temperature, top_p, min_p, repetition; /* NaN: not given */
    uint32_t top_k;                              /* UINT32_MAX: not given */
    uint64_t seed;
};
void sampling_none(struct sampling_wishes *wishes);
/* Takes the option in when it is one of these. */
void sampling_option(struct cli_parser *parser, int id, struct sampling_wishes *wishes);
struct engine_sampling sampling_make(const struct engine *engine, const struct sampling_wishes *wishes);

#endif
