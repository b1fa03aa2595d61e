/* Prompts for timed runs: real text, cut to an exact number of tokens, and never the same beginning twice, so
 * that no cache of prefixes can help (a "cold" run). Immutable after opening. */
#ifndef LLMIND_PROFILE_PROMPT_H
#define LLMIND_PROFILE_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "text/tokenizer.h"

struct prompt_source {
    struct token_list passage;
};

/* Encodes the passage once; ids the model does not have (>= vocab) are left out. */
int prompt_source_open(struct prompt_source *source, const struct tokenizer *tokenizer, uint32_t vocab,
                       struct error *error);
void prompt_source_close(struct prompt_source *source);

/* n tokens of the passage, repeated as often as needed, from a place that `nonce` chooses and with a
 * beginning of its own. The same nonce gives the same tokens. */
void prompt_fill(const struct prompt_source *source, uint64_t nonce, int32_t *out, uint32_t n);

/* The text of a user's prompt with a short unique mark before it: as messages for a chat template, or as
 * plain text. malloc'ed. ERROR_INVALID: not UTF-8. */
int prompt_text(const char *text, bool as_messages, uint64_t nonce, char **out, struct error *error);

#endif
