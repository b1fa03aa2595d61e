/* One decode step, taken apart: nanoseconds of every segment of the plan.
 *
 * The KV cache must really be as deep as asked: pages that were never written are all the kernel's one zero
 * page, and reading them would measure the cache of the CPU. So random tokens are prefilled first. Then the
 * same step is run with and without tracing, in turn, and of each kind the run of median length is reported:
 * the sum of the segments and the traced step are of one and the same run. The clock is read by one of the
 * threads that work; when the system takes that one's core away, the others do the work without it, and what
 * it then notes is not when it was done. Such a step is taken again, and never reported.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/random.h"
#include "engine/state.h"
#include "platform/clock.h"

/* ---- on the engine's thread ---- */

static bool closing(struct local_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    bool stopping = engine->stopping;
    pthread_mutex_unlock(&engine->lock);
    return stopping;
}

static int fill_cache(struct local_engine *engine, struct trace_job *job)
{
    const float *logits;
    for (uint32_t s = 0; s < job->n_sequences; s++) {
        const int32_t *tokens = job->tokens + (size_t)s * (job->depth + 1);
        const uint32_t *pages = job->pages + (size_t)s * job->pages_each;
        for (uint32_t done = 0, n; done < job->depth; done += n) {
            if (closing(engine))
                return error_set(&job->base.error, ERROR_CANCELLED, "the engine is closing");
            n = job->depth - done < engine->info.prefill_chunk ? job->depth - done
                                                               : engine->info.prefill_chunk;
            batch_clear(engine);
            batch_append(engine, tokens + done, n, done, 0, pages, job->pages_each);
            int status = backend_step(engine->backend, &engine->batch, &logits, NULL, &job->base.error);
            if (status)
                return status;
        }
    }
    return 0;
}

static int time_step(struct local_engine *engine, struct trace_job *job, uint64_t *segment_ns,
                     uint64_t *step_ns)
{
    const float *logits;
    uint64_t start = clock_now_ns();
    int status = backend_step(engine->backend, &engine->batch, &logits, segment_ns, &job->base.error);
    *step_ns = clock_now_ns() - start;
    return status;
}

/* What is missing is stamping and what lies around the plan, unless the thread was put aside. */
#define TRACE_COVERED 0.8

static bool covered(const struct trace_job *job, uint32_t i)
{
    uint64_t sum = 0;
    for (uint32_t k = 0; k < job->n_segments; k++)
        sum += job->segment_ns[(size_t)i * job->n_segments + k];
    return (double)sum >= TRACE_COVERED * (double)job->traced_ns[i];
}

static int time_steps(struct local_engine *engine, struct trace_job *job)
{
    batch_clear(engine);
    for (uint32_t s = 0; s < job->n_sequences; s++)
        batch_append(engine, job->tokens + (size_t)s * (job->depth + 1) + job->depth, 1, job->depth, 1,
                     job->pages + (size_t)s * job->pages_each, job->pages_each);
    uint64_t warm_up_ns;
    int status = time_step(engine, job, NULL, &warm_up_ns);
    for (uint32_t i = 0; i < TRACE_REPEATS && !status; i++) {
        status = time_step(engine, job, NULL, &job->plain_ns[i]);
        for (int tries = 0; tries < TRACE_TRIES && !status && (tries == 0 || !covered(job, i)); tries++)
            status =
                time_step(engine, job, job->segment_ns + (size_t)i * job->n_segments, &job->traced_ns[i]);
    }
    return status;
}

static void run_trace(struct local_engine *engine, struct engine_job *base)
{
    struct trace_job *job = (struct trace_job *)base;
    uint32_t n_pages = job->n_sequences * job->pages_each;
    if (!kvcache_reserve(&engine->kvcache, NULL, 0, n_pages)) {
        base->status =
            error_set(&base->error, ERROR_INTERNAL, "KV pages are in use although no request runs");
        return;
    }
    for (uint32_t i = 0; i < n_pages; i++)
        job->pages[i] = kvcache_take(&engine->kvcache);
    base->status = fill_cache(engine, job);
    if (!base->status)
        base->status = time_steps(engine, job);
    kvcache_release(&engine->kvcache, job->pages, n_pages, 0);
}

/* ---- on the caller's ---- */

static int check(const struct local_engine *engine, uint32_t n_sequences, uint32_t depth, struct error *error)
{
    if (!n_sequences || n_sequences > engine->info.max_sequences)
        return error_set(error, ERROR_INVALID, "trace: %u sequences, and the engine has room for 1 to %u",
                         n_sequences, engine->info.max_sequences);
    if (depth >= engine->info.context)
        return error_set(error, ERROR_LIMIT, "trace: depth %u does not fit the context of %u tokens", depth,
                         engine->info.context);
    uint64_t pages = (uint64_t)n_sequences * kvcache_pages_for(depth + 1);
    if (pages > engine->n_pages)
        return error_set(error, ERROR_LIMIT,
                         "trace: %u sequences at depth %u need %llu KV pages, and the engine has %u",
                         n_sequences, depth, (unsigned long long)pages, engine->n_pages);
    return 0;
}

static int make_job(struct local_engine *engine, struct trace_job *job, struct error *error)
{
    size_t n_tokens = (size_t)job->n_sequences * ((size_t)job->depth + 1);
    job->pages_each = kvcache_pages_for(job->depth + 1);
    backend_segments(engine->backend, &job->n_segments);
    /* "+ 1": analyzers cannot see that none of these numbers is 0 */
    job->tokens = calloc(n_tokens + 1, sizeof *job->tokens);
    job->pages = calloc((size_t)job->n_sequences * job->pages_each + 1, sizeof *job->pages);
    job->segment_ns = calloc((size_t)job->n_segments * TRACE_REPEATS + 1, sizeof *job->segment_ns);
    if (!job->tokens || !job->pages || !job->segment_ns)
        return error_memory(error, "a trace", (unsigned long long)n_tokens * sizeof *job->tokens);
    for (size_t i = 0; i < n_tokens; i++)
        job->tokens[i] = (int32_t)(random_u64(0, i) % engine->plan->vocab);
    return 0;
}

/* Of the runs that count; -1: none does. */
static int median_run(const uint64_t *ns, const bool *counts)
{
    int n = 0;
    for (int i = 0; i < TRACE_REPEATS; i++)
        n += counts[i];
    for (int i = 0; i < TRACE_REPEATS; i++) {
        int before = 0;
        for (int j = 0; j < TRACE_REPEATS; j++)
            before += counts[j] && (ns[j] < ns[i] || (j < i && ns[j] == ns[i]));
        if (counts[i] && before == n / 2)
            return i;
    }
    return -1;
}

/* "layers.0.self_attn.q_proj … v_proj": the first operation, and of the last what differs. */
static char *segment_name(const struct plan *plan, const struct backend_segment *segment)
{
    const char *first = plan->ops[segment->first_op].name;
    const char *last = plan->ops[segment->first_op + segment->n_ops - 1].name;
    if (segment->n_ops < 2)
        return strdup(first);
    size_t common = 0;
    for (size_t i = 0; first[i] && first[i] == last[i]; i++)
        if (first[i] == '.')
            common = i + 1;
    size_t size = strlen(first) + strlen(last + common) + sizeof " … ";
    char *name = malloc(size);
    if (name)
        snprintf(name, size, "%s … %s", first, last + common);
    return name;
}

static int report(const struct local_engine *engine, const struct trace_job *job, struct engine_trace *out,
                  struct error *error)
{
    bool whole[TRACE_REPEATS], all[TRACE_REPEATS];
    for (uint32_t i = 0; i < TRACE_REPEATS; i++) {
        whole[i] = covered(job, i);
        all[i] = true;
    }
    uint32_t n;
    const int traced = median_run(job->traced_ns, whole);
    if (traced < 0)
        return error_set(error, ERROR_BUSY, "trace: other programs interrupted every step that was timed");
    const struct backend_segment *segments = backend_segments(engine->backend, &n);
    out->segments = calloc(n + 1, sizeof *out->segments);
    if (!out->segments)
        return error_memory(error, "a trace", n * sizeof *out->segments);
    out->traced_step_ns = job->traced_ns[traced];
    out->plain_step_ns = job->plain_ns[median_run(job->plain_ns, all)];
    for (; out->n_segments < n; out->n_segments++) {
        const struct backend_segment *segment = &segments[out->n_segments];
        struct engine_trace_segment *entry = &out->segments[out->n_segments];
        entry->name = segment_name(engine->plan, segment);
        if (!entry->name)
            return error_memory(error, "a segment's name", 0);
        entry->first_op = segment->first_op;
        entry->n_ops = segment->n_ops;
        entry->ns = job->segment_ns[(size_t)traced * n + out->n_segments];
    }
    return 0;
}

int local_trace(struct engine *base, uint32_t n_tokens, uint32_t depth, struct engine_trace *out,
                struct error *error)
{
    struct local_engine *engine = (struct local_engine *)base;
    *out = (struct engine_trace){0};
    int status = check(engine, n_tokens, depth, error);
    if (status)
        return status;
    struct trace_job job = {
        .base = {.name = "trace", .run = run_trace}, .n_sequences = n_tokens, .depth = depth};
    status = make_job(engine, &job, error);
    if (!status)
        status = job_run(engine, &job.base, error);
    if (!status)
        status = report(engine, &job, out, error);
    free(job.segment_ns);
    free(job.pages);
    free(job.tokens);
    if (status)
        engine_trace_free(out);
    return status;
}

void engine_trace_free(struct engine_trace *trace)
{
    for (uint32_t i = 0; i < trace->n_segments; i++)
        free((char *)(uintptr_t)trace->segments[i].name);
    free(trace->segments);
    *trace = (struct engine_trace){0};
}
