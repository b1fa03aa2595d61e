/* One reader for all requests of a run. A single request is waited for; several are polled in turn, because
 * each has its own ring and a full one would pause its sequence. Times are stamped by the engine, so a reader
 * that is late does no harm. */
#include "profile/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"

enum { MAX_PROGRESS = 4096, POLL_MS = 100, SHARED_POLL_MS = 1 };

const char *target_outcome_name(enum target_outcome outcome)
{
    static const char *const names[OUTCOMES] = {
        "ok", "short_output", "not_cold", "timeout", "out_of_memory", "cancelled", "error"};
    return names[outcome];
}

void target_trace_free(struct target_trace *trace)
{
    free(trace->token_ns);
    free(trace->progress);
    memset(trace, 0, sizeof *trace);
}

static uint64_t process_cpu_ns(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time))
        return 0;
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* What all requests of one target_run share. */
struct run {
    const struct target *target;
    const struct target_request *requests;
    struct target_trace *traces;
    struct engine_request **handles; /* NULL: not submitted, or done */
    uint32_t n, n_live;
    uint64_t start_ns, first_cpu_ns, first_wall_ns;
    bool stopped_for_time, stopped_by_user;
};

static void fail(struct target_trace *trace, const struct error *error)
{
    trace->outcome = error->code == ERROR_MEMORY      ? OUTCOME_OUT_OF_MEMORY
                     : error->code == ERROR_CANCELLED ? OUTCOME_CANCELLED
                                                      : OUTCOME_ERROR;
    trace->error = *error;
}

static int submit(struct run *run, uint32_t i, struct error *error)
{
    const struct target_request *request = &run->requests[i];
    struct target_trace *trace = &run->traces[i];
    memset(trace, 0, sizeof *trace);
    trace->capacity = request->max_tokens;
    trace->progress_capacity = MAX_PROGRESS;
    trace->token_ns = calloc(trace->capacity ? trace->capacity : 1, sizeof *trace->token_ns);
    trace->progress = calloc(MAX_PROGRESS, sizeof *trace->progress);
    if (!trace->token_ns || !trace->progress)
        return error_memory(error, "the times of a run", trace->capacity * sizeof *trace->token_ns);
    struct engine_submit submit = {.tokens = request->tokens,
                                   .n_tokens = request->n_tokens,
                                   .text = request->text,
                                   .messages_json = request->messages_json,
                                   .add_generation_prompt = true,
                                   .max_tokens = request->max_tokens,
                                   .ignore_eos = true,
                                   /* what was computed before is not what is timed */
                                   .no_cache = !request->warm,
                                   .sampling = {.temperature = (float)request->temperature,
                                                .seed = request->seed,
                                                .top_p = 1,
                                                .repetition_penalty = 1}};
    struct error problem = {0};
    if (engine_submit(run->target->engine, &submit, &run->handles[i], &problem)) {
        run->handles[i] = NULL;
        fail(trace, &problem);
    } else
        run->n_live++;
    return 0;
}

static void finish(struct run *run, uint32_t i, const struct engine_event *event)
{
    struct target_trace *trace = &run->traces[i];
    trace->timings = event->timings;
    if (event->finish == FINISH_ERROR)
        fail(trace, &event->error);
    else if (run->stopped_for_time) {
        trace->outcome = OUTCOME_TIMEOUT;
        error_set(&trace->error, ERROR_LIMIT, "stopped after %u ms", run->target->timeout_ms);
    } else if (event->finish == FINISH_CANCELLED) {
        trace->outcome = OUTCOME_CANCELLED;
        error_set(&trace->error, ERROR_CANCELLED, "interrupted");
    } else if (trace->timings.cached_tokens > 0 && !run->requests[i].warm) {
        trace->outcome = OUTCOME_NOT_COLD;
        error_set(&trace->error, ERROR_INVALID, "%u prompt tokens came from a cache",
                  trace->timings.cached_tokens);
    } else if (trace->n_tokens < run->requests[i].max_tokens) {
        trace->outcome = OUTCOME_SHORT;
        error_set(&trace->error, ERROR_INVALID, "%u tokens came, %u were asked for", trace->n_tokens,
                  run->requests[i].max_tokens);
    }
    engine_request_release(run->handles[i]);
    run->handles[i] = NULL;
    run->n_live--;
}

static void take(struct run *run, uint32_t i, const struct engine_event *event)
{
    struct target_trace *trace = &run->traces[i];
    switch (event->kind) {
    case EVENT_PREFILL:
        if (trace->n_progress < trace->progress_capacity)
            trace->progress[trace->n_progress++] =
                (struct target_progress){event->prompt_done, event->time_ns};
        break;
    case EVENT_TOKEN:
        if (!run->first_wall_ns) {
            run->first_cpu_ns = process_cpu_ns();
            run->first_wall_ns = clock_now_ns();
        }
        /* a long piece of text comes in several events of one token; the last one counts */
        if (!event->more_text && trace->n_tokens < trace->capacity)
            trace->token_ns[trace->n_tokens++] = event->time_ns;
        break;
    case EVENT_EMBEDDING:
        break; /* nobody asked for one */
    case EVENT_FINISH:
        finish(run, i, event);
        break;
    }
}

static void stop_when_asked(struct run *run)
{
    const struct target *target = run->target;
    bool by_user = target->cancel && atomic_load(target->cancel) != 0;
    bool for_time =
        target->timeout_ms && clock_now_ns() - run->start_ns > target->timeout_ms * (uint64_t)1000000;
    if (run->stopped_by_user || run->stopped_for_time || (!by_user && !for_time))
        return;
    run->stopped_by_user = by_user;
    run->stopped_for_time = !by_user;
    for (uint32_t i = 0; i < run->n; i++)
        if (run->handles[i])
            engine_cancel(run->handles[i]);
}

static void read_all(struct run *run)
{
    struct engine_event event;
    int wait_ms = run->n == 1 ? POLL_MS : SHARED_POLL_MS;
    while (run->n_live > 0) {
        stop_when_asked(run);
        bool waited = false;
        for (uint32_t i = 0; i < run->n; i++) {
            /* only the first one still running is waited for; what the others have is taken at once */
            while (run->handles[i] && engine_next_event(run->handles[i], &event, waited ? 0 : wait_ms) == 1) {
                take(run, i, &event);
                waited = true;
            }
            waited = waited || run->handles[i];
        }
    }
    uint64_t wall_ns = clock_now_ns(), cpu_ns = process_cpu_ns();
    for (uint32_t i = 0; run->first_wall_ns && i < run->n; i++) {
        run->traces[i].decode_cpu_ns = cpu_ns - run->first_cpu_ns;
        run->traces[i].decode_wall_ns = wall_ns - run->first_wall_ns;
    }
}

int target_run(const struct target *target, const struct target_request *requests, uint32_t n,
               struct target_trace *traces, struct error *error)
{
    struct run run = {
        .target = target, .requests = requests, .traces = traces, .n = n, .start_ns = clock_now_ns()};
    memset(traces, 0, n * sizeof *traces);
    run.handles = calloc(n, sizeof(struct engine_request *));
    if (!run.handles)
        return error_memory(error, "the requests of a run", n * sizeof *run.handles);
    int status = 0;
    for (uint32_t i = 0; !status && i < n; i++)
        status = submit(&run, i, error);
    if (!status)
        read_all(&run);
    for (uint32_t i = 0; i < n; i++)
        engine_request_release(run.handles[i]);
    free(run.handles);
    return status;
}
