#include "service/embedding.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "service/host.h"
#include "service/live.h"

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

/* Makes it one of length 1; all zeros stay. */
static void make_unit(float *vector, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)vector[i] * (double)vector[i];
    for (uint32_t i = 0; i < n && sum > 0; i++)
        vector[i] = (float)((double)vector[i] / sqrt(sum));
}

/* Everything one request tells, into its vector: the first job->width numbers. */
static int collect(struct embedding_job *job, uint32_t place, float *vector, struct error *error)
{
    struct engine_event event = {0};
    struct engine_request *request = job->running[place];
    uint32_t n = 0;
    while (engine_next_event(request, &event, -1) > 0) {
        uint32_t more = event.kind == EVENT_EMBEDDING ? event.text_length / (uint32_t)sizeof *vector : 0;
        uint32_t room = n < job->width ? job->width - n : 0;
        if (more > job->hidden - n)
            return error_set(error, ERROR_INTERNAL, "an embedding has more numbers than it said");
        if (room)
            memcpy(vector + n, event.text, (more < room ? more : room) * sizeof *vector);
        n += more;
        if (event.kind == EVENT_FINISH)
            break;
    }
    job->prompt_tokens += event.timings.prompt_tokens;
    live_count_prompt(job->live, &event.timings);
    if (event.finish == FINISH_ERROR)
        return error_set(error, event.error.code, "%s", event.error.message);
    if (event.finish != FINISH_LENGTH || n != job->hidden)
        return error_set(error, ERROR_CANCELLED,
                         "the embedding was cut off: the model is being unloaded; try again");
    for (uint32_t i = 0; i < job->width; i++)
        if (!isfinite(vector[i]))
            return error_set(error, ERROR_INTERNAL, "the model computes numbers that are not finite");
    make_unit(vector, job->width);
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
 * many there were. After a failure the others are cancelled, and their prompts count all the same. */
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
    for (uint32_t i = 0; i < *done; i++) {
        if (status)
            engine_cancel(job->running[i]);
        int one = collect(job, i, vectors + (size_t)i * job->width, status ? NULL : error);
        status = status ? status : one;
    }
    for (uint32_t i = 0; i < EMBEDDING_AT_ONCE; i++)
        release(job, i);
    return status;
}

/* What can be refused before the model has worked for it, and room for the vectors. */
static int prepare(struct embedding_job *job, const struct embedding_options *options, struct error *error)
{
    size_t numbers = 0;
    if (!job->hidden)
        return error_set(error, ERROR_UNSUPPORTED, "model %s gives no embeddings", job->model);
    if (options->dimensions > job->hidden)
        return error_set(error, ERROR_LIMIT, "'dimensions' is %u, and the model's embeddings have %u",
                         options->dimensions, job->hidden);
    job->width = options->dimensions ? options->dimensions : job->hidden;
    if (!checked_mul(options->n, job->width, &numbers) ||
        !(job->vectors = calloc(numbers, sizeof *job->vectors)))
        return error_memory(error, "embeddings", numbers * sizeof *job->vectors);
    return 0;
}

/* The queue is full, and a part of the texts is done already, which nobody shall compute again: some time
 * goes by. */
static int wait_for_room(struct embedding_job *job, struct error *error)
{
    pthread_mutex_lock(&job->lock);
    bool cancelled = job->cancelled;
    pthread_mutex_unlock(&job->lock);
    if (cancelled)
        return error_set(error, ERROR_CANCELLED, "the embeddings were cancelled");
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return 0;
}

int embedding_run(struct embedding_job *job, struct services *services,
                  const struct embedding_options *options, bool *model_refused, struct error *error)
{
    struct host_lease lease = {0};
    int status = host_acquire(services->host, options->model, options->wait_ms, &lease, error);
    *model_refused = status != 0;
    if (status)
        return status;
    snprintf(job->model, sizeof job->model, "%s", lease.model);
    job->hidden = engine_info(lease.engine)->hidden;
    job->live = services->live;
    status = prepare(job, options, error);
    for (uint32_t i = 0, done = 0; i < options->n && !status; i += done) {
        uint32_t left = options->n - i;
        status = run_group(job, lease.engine, options->inputs + i,
                           left < EMBEDDING_AT_ONCE ? left : EMBEDDING_AT_ONCE,
                           job->vectors + (size_t)i * job->width, &done, error);
        if (status == ERROR_BUSY && i > 0)
            status = wait_for_room(job, error);
    }
    host_release(services->host, &lease);
    return status;
}
