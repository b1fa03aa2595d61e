#include "service/embedding.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "service/host.h"

void embedding_init(struct embedding_job *job)
{
    *job = (struct embedding_job){0};
    pthread_mutex_init(&job->lock, NULL);
}

void embedding_free(struct embedding_job *job)
{
    free(job->vectors);
    pthread_mutex_destroy(&job->lock);
}

void embedding_cancel(struct embedding_job *job)
{
    pthread_mutex_lock(&job->lock);
    job->cancelled = true;
    for (uint32_t i = 0; i < EMBEDDING_AT_ONCE; i++)
        if (job->running[i])
            engine_cancel(job->running[i]);
    pthread_mutex_unlock(&job->lock);
}

static int submit(struct embedding_job *job, struct engine *engine, const struct embedding_input *input,
                  uint32_t place, struct error *error)
{
    struct engine_submit wish = {.text = input->text,
                                 .tokens = input->tokens,
                                 .n_tokens = input->n_tokens,
                                 .embedding = true,
                                 .sampling = {.top_p = 1, .repetition_penalty = 1}};
    struct engine_request *request = NULL;
    int status = engine_submit(engine, &wish, &request, error);
    pthread_mutex_lock(&job->lock);
    job->running[place] = request;
    if (request && job->cancelled)
        engine_cancel(request);
    pthread_mutex_unlock(&job->lock);
    return status;
}

void embedding_make_unit(float *vector, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)vector[i] * (double)vector[i];
    for (uint32_t i = 0; i < n && sum > 0; i++)
        vector[i] = (float)((double)vector[i] / sqrt(sum));
}

/* Everything one request tells, into its vector. */
static int collect(struct embedding_job *job, uint32_t place, float *vector, struct error *error)
{
    struct engine_event event = {0};
    struct engine_request *request = job->running[place];
    uint32_t n = 0;
    while (engine_next_event(request, &event, -1) > 0) {
        uint32_t more = event.kind == EVENT_EMBEDDING ? event.text_length / (uint32_t)sizeof *vector : 0;
        if (more > job->width - n)
            return error_set(error, ERROR_INTERNAL, "an embedding has more numbers than it said");
        memcpy(vector + n, event.text, more * sizeof *vector);
        n += more;
        if (event.kind == EVENT_FINISH)
            break;
    }
    job->prompt_tokens += event.timings.prompt_tokens;
    if (event.finish == FINISH_ERROR) {
        *error = event.error;
        return event.error.code;
    }
    if (event.finish != FINISH_LENGTH || n != job->width)
        return error_set(error, ERROR_CANCELLED,
                         "the embedding was cut off: the model is being unloaded; try again");
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(vector[i]))
            return error_set(error, ERROR_INTERNAL, "the model computes numbers that are not finite");
    embedding_make_unit(vector, n);
    return 0;
}

static void release(struct embedding_job *job, uint32_t place)
{
    pthread_mutex_lock(&job->lock);
    struct engine_request *request = job->running[place];
    job->running[place] = NULL;
    pthread_mutex_unlock(&job->lock);
    engine_request_release(request);
}

/* Some at once, since they share passes over the weights: as many of n as the queue has room for. *done: how
 * many there were. */
static int run_group(struct embedding_job *job, struct engine *engine, const struct embedding_input *inputs,
                     uint32_t n, float *vectors, uint32_t *done, struct error *error)
{
    int status = 0;
    *done = 0;
    while (*done < n && !status) {
        status = submit(job, engine, &inputs[*done], *done, error);
        *done += status == 0;
    }
    if (status == ERROR_BUSY && *done)
        status = 0;
    for (uint32_t i = 0; i < *done && !status; i++)
        status = collect(job, i, vectors + (size_t)i * job->width, error);
    for (uint32_t i = 0; i < EMBEDDING_AT_ONCE; i++)
        release(job, i);
    return status;
}

int embedding_run(struct embedding_job *job, struct services *services, const char *model,
                  const struct embedding_input *inputs, uint32_t n, uint32_t wait_ms, bool *model_refused,
                  struct error *error)
{
    struct host_lease lease = {0};
    size_t numbers = 0;
    int status = host_acquire(services->host, model, wait_ms, &lease, error);
    *model_refused = status != 0;
    if (status)
        return status;
    snprintf(job->model, sizeof job->model, "%s", lease.model);
    job->width = engine_info(lease.engine)->hidden;
    if (!job->width)
        status = error_set(error, ERROR_UNSUPPORTED, "model %s gives no embeddings", job->model);
    else if (!checked_mul(n, job->width, &numbers) || !(job->vectors = calloc(numbers, sizeof *job->vectors)))
        status = error_memory(error, "embeddings", numbers * sizeof *job->vectors);
    for (uint32_t i = 0, done = 0; i < n && !status; i += done)
        status =
            run_group(job, lease.engine, inputs + i, n - i < EMBEDDING_AT_ONCE ? n - i : EMBEDDING_AT_ONCE,
                      job->vectors + (size_t)i * job->width, &done, error);
    host_release(services->host, &lease);
    return status;
}
