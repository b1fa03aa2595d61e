/* Embeddings: one vector for each text, what the loaded model makes of its last token behind its last norm,
 * as Qwen3-Embedding and other models that were trained for it pool. Made to length 1.
 */
#ifndef LLMIND_SERVICE_EMBEDDING_H
#define LLMIND_SERVICE_EMBEDDING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"
#include "service/services.h"

struct embedding_input {
    const char *text; /* encoded with the special tokens that the model's tokenizer adds; or */
    const int32_t *tokens;
    uint32_t n_tokens;
};

struct embedding_options {
    const char *model; /* NULL or "": the loaded or default one */
    const struct embedding_input *inputs;
    uint32_t n;
    uint32_t dimensions; /* the first ones are given (Matryoshka embeddings, arXiv 2205.13147); 0: all */
    uint32_t wait_ms;    /* for the model */
};

enum { EMBEDDING_AT_ONCE = 8 };

/* One call, and how it is broken off from another thread. */
struct embedding_job {
    pthread_mutex_t lock;
    bool cancelled;
    struct engine_request *running[EMBEDDING_AT_ONCE]; /* guarded by lock */
    struct live *live;                                 /* where prompts are counted */
    uint32_t hidden;                                   /* numbers that the model gives for each text */
    /* after embedding_run */
    char model[256];
    float *vectors; /* [n, width] */
    uint32_t width;
    uint64_t prompt_tokens;
};

void embedding_init(struct embedding_job *job);
void embedding_free(struct embedding_job *job);
void embedding_cancel(struct embedding_job *job); /* any thread */

/* Errors: host_acquire's (*model_refused is then true), engine_submit's, ERROR_LIMIT (more dimensions than
 * the model gives: nothing has been computed), ERROR_CANCELLED, ERROR_MEMORY. */
int embedding_run(struct embedding_job *job, struct services *services,
                  const struct embedding_options *options, bool *model_refused, struct error *error);

#endif
