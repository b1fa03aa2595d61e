/* Runs the answers of one request. They are opened at once, so that a request that cannot be answered is
 * refused with the right status; only while the host is parked (service/host.h) a stream begins before them,
 * with comments that say what it waits for. One pump serves both kinds of response: it takes pieces from
 * whichever answer has some and gives them to the stream or to the collector. Everything that is there
 * already goes out in one write; only when nothing is there does the pump wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/openai.h"
#include "http/sse.h"
#include "platform/clock.h"
#include "service/host.h"
#include "service/live.h"

enum {
    ENOUGH_BYTES = 64 << 10, /* for one write */
    SLICE_MS = 5,            /* of waiting on one answer while others may have something */
    PATIENCE_MS = 250,       /* of one turn of a response that is collected */
    HEARTBEAT_MS = 2000      /* between two words on what is waited for */
};

static void job_free(struct openai_job *job)
{
    for (uint32_t i = 0; i < job->n_choices; i++) /* all at once: each takes up to a step to end */
        if (!job->choices[i].ended)
            answer_cancel(job->choices[i].answer);
    for (uint32_t i = 0; i < job->n_choices; i++) {
        struct openai_choice *choice = &job->choices[i];
        struct buffer *buffers[] = {&choice->text,         &choice->reasoning, &choice->calls,
                                    &choice->logprobs,     &choice->names,     &choice->values,
                                    &choice->alternatives, &choice->offsets};
        answer_close(choice->answer);
        for (size_t b = 0; b < sizeof buffers / sizeof *buffers; b++)
            buffer_free(buffers[b]);
        free(choice->echo);
    }
    host_place_free(job->services->host, job->place);
    openai_request_free(job->request);
    free(job->choices);
    buffer_free(&job->head);
    free(job);
}

/* ---- the pump ---- */

static void fail(struct openai_job *job, const struct error *error)
{
    if (!job->failure.code)
        job->failure = *error;
}

static void take_piece(struct openai_job *job, struct openai_choice *choice, const struct answer_piece *piece,
                       struct buffer *out)
{
    if (piece->kind == ANSWER_PROGRESS)
        return;
    if (piece->kind == ANSWER_END) {
        choice->ended = true;
        choice->end = *piece;
        job->n_ended++;
        if (piece->finish == FINISH_ERROR) {
            fail(job, &piece->error);
            return;
        }
        if (piece->finish == FINISH_CANCELLED) {
            struct error error = {0};
            error_set(&error, ERROR_CANCELLED,
                      "the answer was cut off: the model is being unloaded, or the "
                      "server is stopping; try again");
            fail(job, &error);
            return;
        }
    }
    choice->end.timings = piece->timings; /* so far: usage in chunks */
    if (job->stream)
        openai_write_chunk(job, choice, piece, out);
    else
        openai_collect(job, choice, piece);
}

/* Takes what one answer has, waiting for the first piece at most wait_ms. True: there was some. */
static bool drain(struct openai_job *job, struct openai_choice *choice, struct buffer *out, int wait_ms)
{
    struct answer_piece piece;
    bool any = false;
    while (!choice->ended && !job->failure.code && out->length < ENOUGH_BYTES &&
           answer_next(choice->answer, &piece, any ? 0 : wait_ms) == 1) {
        take_piece(job, choice, &piece, out);
        any = true;
    }
    return any;
}

/* 1 while more may come, 0 when all have ended or one has failed. */
static int pump(struct openai_job *job, struct buffer *out, int wait_ms)
{
    bool any = false;
    for (uint32_t i = 0; i < job->n_choices; i++)
        any = drain(job, &job->choices[i], out, 0) || any;
    uint32_t running = job->n_choices - job->n_ended;
    while (!any && running && !job->failure.code && wait_ms > 0) {
        int slice = running > 1 && wait_ms > SLICE_MS ? SLICE_MS : wait_ms;
        wait_ms -= slice;
        for (uint32_t i = 0; i < job->n_choices; i++) {
            bool first_running = !any && slice > 0 && !job->choices[i].ended;
            any = drain(job, &job->choices[i], out, first_running ? slice : 0) || any;
            if (first_running)
                slice = 0;
        }
    }
    return job->n_ended < job->n_choices && !job->failure.code;
}

/* ---- opening ---- */

/* Opening and a client that leaves meet here: whoever comes second sees what the other has set. */
static void cancel_if_gone(struct openai_job *job)
{
    if (atomic_load(&job->open) && atomic_load(&job->gone))
        for (uint32_t i = 0; i < job->n_choices; i++)
            answer_cancel(job->choices[i].answer);
}

static void job_gone(void *context)
{
    struct openai_job *job = context;
    atomic_store(&job->gone, true);
    cancel_if_gone(job);
}

static int open_choice(struct openai_job *job, size_t prompt, uint32_t copy, struct answer_options *options,
                       struct error *error)
{
    const struct openai_request *request = job->request;
    const struct openai_prompts *prompts = &request->prompts;
    struct openai_choice *choice = &job->choices[job->n_choices];
    /* choices of one prompt differ although their seed was given: by their number */
    options->submit.sampling.seed = request->wish.options.submit.sampling.seed + copy;
    options->beside = job->n_choices ? job->choices[0].answer : NULL;
    if (prompts->set)
        prompts->set(prompts->context, prompt, &options->submit);
    int status = answer_open(job->services, options, &choice->answer, error);
    if (status)
        return status;
    choice->index = job->n_choices++;
    choice->first_of_prompt = copy == 0;
    if (request->wish.echo) {
        choice->echo = prompts->text(prompts->context, prompt, answer_engine(choice->answer));
        if (!choice->echo)
            return error_memory(error, "the prompt's text", 0);
    }
    return 0;
}

/* 0, or job->failure and job->problem say why not. */
static int open_choices(struct openai_job *job)
{
    const struct openai_request *request = job->request;
    bool model_refused = false;
    struct answer_options options = request->wish.options;
    options.model_refused = &model_refused;
    options.place = job->place;
    int status = 0;
    for (size_t i = 0; !status && i < request->prompts.count; i++)
        for (uint32_t copy = 0; !status && copy < (uint32_t)request->wish.n; copy++)
            status = open_choice(job, i, copy, &options, &job->failure);
    if (status) {
        job->problem = openai_judge_failure(&request->wish, request->wish.chat ? "messages" : "prompt",
                                            &job->failure, model_refused);
        return status;
    }
    openai_write_head(job, job->choices[0].answer);
    host_place_free(job->services->host, job->place);
    openai_request_free(job->request);
    job->place = NULL;
    job->request = NULL;
    atomic_store(&job->open, true);
    cancel_if_gone(job);
    return 0;
}

/* A stream before its answers: 1 while it waits for a parked host, 0 when they are open, or failed to. */
static int stream_wait(struct openai_job *job, struct buffer *out, int wait_ms)
{
    if (atomic_load(&job->gone)) {
        error_set(&job->failure, ERROR_CANCELLED, "the client is gone");
        return 0;
    }
    if (!job->heartbeat_ns)
        wait_ms = 0; /* the first word at once */
    if (host_place_wait(job->services->host, job->place, (uint32_t)wait_ms)) {
        open_choices(job);
        return 0;
    }
    uint64_t now = clock_now_ns();
    if (now >= job->heartbeat_ns) {
        sse_comment(out, "waiting for a profiling run");
        job->heartbeat_ns = now + HEARTBEAT_MS * UINT64_C(1000000);
    }
    return 1;
}

/* ---- the two kinds of response ---- */

static int stream_next(void *context, struct buffer *out, int wait_ms)
{
    struct openai_job *job = context;
    if (!atomic_load(&job->open)) {
        if (stream_wait(job, out, wait_ms))
            return 1;
        wait_ms = 0;
    }
    if (!job->failure.code && pump(job, out, wait_ms))
        return 1;
    if (job->failure.code && atomic_load(&job->gone))
        return 0; /* cut off by its client: nobody is there to be told */
    if (job->failure.code)
        openai_write_failure(&job->failure, &job->problem, out);
    else
        openai_write_last(job, out);
    job->told = true;
    return 0;
}

static void stream_close(void *context)
{
    struct openai_job *job = context;
    if (!job->told)
        live_count_disconnect(job->services->live);
    job_free(job);
}

static void reply_gone(struct http_exchange *exchange, struct openai_job *job)
{
    live_count_disconnect(job->services->live);
    http_reply_problem(exchange, 503, "cancelled", NULL, "the client is gone, or the server is stopping");
}

static void reply_failure(struct http_exchange *exchange, const struct openai_job *job)
{
    if (job->problem.status)
        http_reply_problem(exchange, job->problem.status, job->problem.code, job->problem.param, "%s",
                           job->failure.message);
    else
        http_reply_error(exchange, &job->failure, job->problem.param);
}

static void reply_whole(struct http_exchange *exchange, struct openai_job *job)
{
    struct buffer body = {0};
    while (pump(job, &body, PATIENCE_MS))
        ;
    if (atomic_load(&job->gone)) {
        reply_gone(exchange, job);
    } else if (job->failure.code) {
        reply_failure(exchange, job);
    } else {
        openai_write_body(job, &body);
        if (body.failed)
            http_reply_problem(exchange, 503, NULL, NULL, "not enough memory for this response");
        else
            http_reply_bytes(exchange, 200, "application/json", body.data, body.length);
    }
    buffer_free(&body);
}

static void run_whole(struct http_exchange *exchange, struct openai_job *job)
{
    http_watch(exchange, job_gone, job);
    while (job->place && !atomic_load(&job->gone) &&
           !host_place_wait(job->services->host, job->place, PATIENCE_MS))
        ;
    if (atomic_load(&job->gone))
        reply_gone(exchange, job);
    else if (open_choices(job))
        reply_failure(exchange, job);
    else
        reply_whole(exchange, job);
    http_unwatch(exchange);
    job_free(job);
}

static void run_stream(struct http_exchange *exchange, struct openai_job *job)
{
    struct http_source source = {
        .next = stream_next, .close = stream_close, .gone = job_gone, .context = job};
    if (job->place || !open_choices(job)) {
        http_reply_stream(exchange, &source);
    } else {
        reply_failure(exchange, job);
        job_free(job);
    }
}

static struct openai_job *job_open(struct http_exchange *exchange, struct openai_request *request)
{
    const struct openai_wish *wish = &request->wish;
    struct openai_job *job = calloc(1, sizeof *job);
    struct openai_choice *choices = calloc(request->prompts.count * (size_t)wish->n, sizeof *choices);
    if (!job || !choices) {
        free(job);
        free(choices);
        return NULL;
    }
    atomic_init(&job->gone, false);
    atomic_init(&job->open, false);
    job->services = http_services(exchange);
    job->request = request;
    job->choices = choices;
    job->chat = wish->chat;
    job->stream = wish->stream;
    job->include_usage = wish->include_usage;
    job->usage_in_chunks = wish->usage_in_chunks;
    job->logprobs = wish->options.submit.logprobs;
    snprintf(job->id, sizeof job->id, "%s-%s", job->chat ? "chatcmpl" : "cmpl", http_request_id(exchange));
    return job;
}

void openai_run(struct http_exchange *exchange, struct openai_request *request)
{
    struct openai_job *job = job_open(exchange, request);
    if (!job) {
        http_reply_problem(exchange, 503, NULL, NULL, "not enough memory for this request");
        openai_request_free(request);
        return;
    }
    host_queue(job->services->host, &job->place);
    if (job->stream)
        run_stream(exchange, job);
    else
        run_whole(exchange, job);
}
