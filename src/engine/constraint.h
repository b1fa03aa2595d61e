/* What an answer must look like, as the engine sees it: the link between a request and its grammar.
 *
 * A constraint is compiled by submit, on the caller's thread, and then belongs to the engine's thread: before
 * a token is drawn constraint_mask says which may be, afterwards constraint_accept goes on by it. Both
 * allocate inside the grammar library; the work per token is bounded (text/grammar.h). A request without a
 * grammar has none and costs nothing.
 */
#ifndef LLMIND_ENGINE_CONSTRAINT_H
#define LLMIND_ENGINE_CONSTRAINT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"
#include "text/grammar.h"

/* One per engine: the grammar factory, opened by the first request that needs it. Any thread. */
struct constraint_source {
    pthread_mutex_t lock;
    struct grammar_factory *factory; /* guarded by lock until it is there, constant then */
};

void constraint_source_init(struct constraint_source *source);
void constraint_source_close(struct constraint_source *source);

struct constraint;

/* *out: the constraint of a request, or NULL when submit->grammar_kind is ENGINE_GRAMMAR_NONE. vocab: of the
 * plan; eos[n_eos]: of the model. Errors: ERROR_INVALID (no text; ignore_eos, which is its opposite) and
 * those of grammar_open and grammar_factory_open, with the name of the field in front. */
int constraint_open(struct constraint_source *source, const struct engine_submit *submit,
                    const struct tokenizer *tokenizer, uint32_t vocab, const int32_t *eos, uint32_t n_eos,
                    struct constraint **out, struct error *error);
void constraint_close(struct constraint *constraint); /* NULL is legal */

/* One bit per token (grammar.h), owned by the constraint and right until the next call of constraint_mask. */
int constraint_mask(struct constraint *constraint, const uint32_t **mask, struct error *error);

/* token: allowed by the mask, and not the end. *complete: the answer is over, no token need follow. */
int constraint_accept(struct constraint *constraint, int32_t token, bool *complete, struct error *error);

#endif
