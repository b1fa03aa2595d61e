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

enum { EMBEDDING_AT_ONCE = 8 };

/* One call, and how it is broken off from another thread. */
struct embedding_job {
    pthread_mutex_t lock;
    bool cancelled;
    struct engine_request *running[EMBEDDING_AT_ONCE]; /* guarded by lock */
    /* after embedding_run */
    char model[256];
    float *vectors; /* [n, width] */
    uint32_t width;
    uint64_t prompt_tokens;
};

void embedding_init(struct embedding_job *job);
void embedding_free(struct embedding_job *job);
void embedding_cancel(struct embedding_job *job); /* any thread */

/* Makes it one of length 1; all zeros stay. */
void embedding_make_unit(float *vector, uint32_t n);

/* model: NULL or "": the loaded or default one. Errors: host_acquire's (*model_refused is then true),
 * engine_submit's, ERROR_CANCELLED, ERROR_MEMORY. */
int embedding_run(struct embedding_job *job, struct services *services, const char *model,
                  const struct embedding_input *inputs, uint32_t n, uint32_t wait_ms, bool *model_refused,
                  struct error *error);

#endif
