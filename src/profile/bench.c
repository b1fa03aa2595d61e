#include "profile/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "profile/metrics.h"
#include "profile/probe.h"
#include "profile/prompt.h"
#include "profile/target.h"

/* ---- the grid ---- */

size_t bench_expand(const struct bench_grid *grid, struct bench_test *out, size_t capacity)
{
    size_t n = 0;
    struct bench_test test;
    for (uint32_t d = 0; d < grid->depth.count; d++)
        for (uint32_t b = 0; b < grid->batch.count; b++) {
            test = (struct bench_test){.depth = grid->depth.items[d], .batch = grid->batch.items[b]};
            for (uint32_t i = 0; i < grid->prompt.count; i++) {
                test.n_prompt = grid->prompt.items[i];
                test.n_gen = 0;
                if (test.n_prompt && n++ < capacity)
                    out[n - 1] = test;
            }
            for (uint32_t i = 0; i < grid->gen.count; i++) {
                test.n_prompt = 0;
                test.n_gen = grid->gen.items[i];
                if (test.n_gen && n++ < capacity)
                    out[n - 1] = test;
            }
            test.n_prompt = grid->both[0];
            test.n_gen = grid->both[1];
            if (test.n_prompt && test.n_gen && n++ < capacity)
                out[n - 1] = test;
        }
    return n;
}

/* Prompt tokens of one sequence. A generation test needs one to begin with. */
static uint32_t prompt_length(const struct bench_test *test)
{
    uint32_t n = test->depth + test->n_prompt;
    return n ? n : 1;
}

/* Tokens to ask for: the first one belongs to the prompt. While later sequences are still being prefilled the
 * first ones already decode, so that they need some more for all to be decoding over n_gen steps; beside them
 * a step takes a quarter of the prefill chunk. */
static uint64_t answer_length(const struct bench_test *test, uint32_t prefill_chunk)
{
    uint64_t wait = 0;
    if (test->batch > 1 && test->n_prompt == 0)
        wait = (uint64_t)test->batch * (prompt_length(test) / (prefill_chunk ? prefill_chunk : 1) + 4);
    return test->n_gen + 1 + wait;
}

uint64_t bench_context(const struct bench_test *test, uint32_t prefill_chunk)
{
    return prompt_length(test) + answer_length(test, prefill_chunk);
}

void bench_label(const struct bench_test *test, char *out, size_t capacity)
{
    char depth[24] = "", batch[24] = "";
    if (test->depth)
        snprintf(depth, sizeof depth, " @ d%u", test->depth);
    if (test->batch > 1)
        snprintf(batch, sizeof batch, " b%u", test->batch);
    if (test->n_prompt && test->n_gen)
        snprintf(out, capacity, "pp%u+tg%u%s%s", test->n_prompt, test->n_gen, depth, batch);
    else if (test->n_prompt)
        snprintf(out, capacity, "pp%u%s%s", test->n_prompt, depth, batch);
    else
        snprintf(out, capacity, "tg%u%s%s", test->n_gen, depth, batch);
}

/* ---- one repeat ---- */

struct bench {
    struct target target;
    const struct bench_options *options;
    struct prompt_source source;
    struct probe *probe;
    uint64_t nonce;
};

static int why_not(const struct bench_test *test, const struct engine_info *info, char *out, size_t capacity)
{
    uint64_t needed = bench_context(test, info->prefill_chunk);
    out[0] = '\0';
    if (needed > info->context)
        snprintf(out, capacity, "needs a context of %llu tokens, the engine has %u",
                 (unsigned long long)needed, info->context);
    else if (test->depth && test->n_prompt && (test->batch > 1 || test->depth % info->prefill_chunk))
        snprintf(
            out, capacity,
            "a prompt test at a depth needs one sequence and a depth that is a multiple of the prefill chunk "
            "(%u)",
            info->prefill_chunk);
    else if (test->batch > info->max_sequences)
        snprintf(out, capacity, "needs %u sequences at once, the engine has %u", test->batch,
                 info->max_sequences);
    return out[0] != '\0';
}

/* Seconds and rate of one repeat from its records. False: it cannot be told. */
static bool evaluate(const struct bench_test *test, const struct target_trace *traces, double *tps,
                     double *ns)
{
    if (test->n_prompt == 0) {
        uint64_t window_ns;
        *tps = traces_decode_tps(traces, test->batch, &window_ns);
        *ns = (double)window_ns;
        return *tps > 0;
    }
    uint64_t start = UINT64_MAX, end = 0;
    for (uint32_t i = 0; i < test->batch; i++) {
        const struct engine_timings *t = &traces[i].timings;
        uint64_t prefill_ns = trace_prefill_ns(&traces[i], test->depth);
        if (prefill_ns == 0)
            return false;
        uint64_t begin = t->first_token_ns - prefill_ns;
        start = begin < start ? begin : start;
        end = t->last_token_ns > end ? t->last_token_ns : end;
    }
    *ns = (double)(end - start);
    *tps = ((double)test->n_prompt + test->n_gen) * test->batch / *ns * 1e9;
    return end > start;
}

/* What one repeat allocates; freed by repeat_free. */
struct repeat {
    int32_t *tokens;
    struct target_request *requests;
    struct target_trace *traces;
    uint32_t batch;
};

static void repeat_free(struct repeat *repeat)
{
    for (uint32_t i = 0; repeat->traces && i < repeat->batch; i++)
        target_trace_free(&repeat->traces[i]);
    free(repeat->traces);
    free(repeat->requests);
    free(repeat->tokens);
}

static int repeat_init(struct repeat *repeat, struct bench *bench, const struct bench_test *test,
                       struct error *error)
{
    uint32_t n = prompt_length(test), batch = test->batch;
    *repeat = (struct repeat){.tokens = calloc((size_t)n * batch, sizeof *repeat->tokens),
                              .requests = calloc(batch, sizeof *repeat->requests),
                              .traces = calloc(batch, sizeof *repeat->traces),
                              .batch = batch};
    if (!repeat->tokens || !repeat->requests || !repeat->traces) {
        repeat_free(repeat);
        error_memory(error, "the prompts of a test", (unsigned long long)n * batch * sizeof(int32_t));
        return ERROR_MEMORY;
    }
    uint32_t chunk = engine_info(bench->target.engine)->prefill_chunk;
    for (uint32_t i = 0; i < batch; i++) {
        int32_t *tokens = repeat->tokens + (size_t)n * i;
        prompt_fill(&bench->source, bench->nonce++, tokens, n);
        repeat->requests[i] =
            (struct target_request){.tokens = tokens,
                                    .n_tokens = n,
                                    .max_tokens = test->n_gen ? (uint32_t)answer_length(test, chunk) : 1};
    }
    return 0;
}

/* Runs the test once. *problem is filled when it did not end well. */
static int run_once(struct bench *bench, const struct bench_test *test, double *tps, double *ns,
                    char problem[200], struct error *error)
{
    struct repeat repeat;
    int status = repeat_init(&repeat, bench, test, error);
    if (status)
        return status;
    status = target_run(&bench->target, repeat.requests, repeat.batch, repeat.traces, error);
    for (uint32_t i = 0; !status && i < repeat.batch && !problem[0]; i++) {
        const struct target_trace *trace = &repeat.traces[i];
        if (trace->outcome == OUTCOME_CANCELLED)
            status = error_set(error, ERROR_CANCELLED, "interrupted");
        else if (trace->outcome != OUTCOME_OK)
            snprintf(problem, 200, "%s: %.160s", target_outcome_name(trace->outcome), trace->error.message);
    }
    if (!status && !problem[0] && !evaluate(test, repeat.traces, tps, ns))
        snprintf(problem, 200, "the engine did not report when the part to be timed began or ended");
    repeat_free(&repeat);
    return status;
}

/* ---- one row ---- */

static int run_test(struct bench *bench, const struct bench_test *test, struct error *error)
{
    uint32_t repeats = bench->options->repeats;
    struct bench_row row = {
        .test = *test, .model_name = bench->options->model_name, .info = *engine_info(bench->target.engine)};
    row.read_from = probe_level_name(PROBE_UNKNOWN);
    double *values = calloc(3 * (size_t)repeats, sizeof *values);
    if (!values)
        return error_memory(error, "the samples of a test", 3ull * repeats * sizeof *values);
    row.tps = values;
    row.ns = values + repeats;
    double *gbps = values + 2 * (size_t)repeats, tps, ns;
    int status = 0;
    if (!why_not(test, &row.info, row.problem, sizeof row.problem))
        status = run_once(bench, test, &tps, &ns, row.problem, error); /* the warm-up */
    for (uint32_t i = 0; !status && !row.problem[0] && i < repeats; i++) {
        struct probe_result probe;
        probe_run(bench->probe, &probe);
        gbps[i] = probe.gbps;
        row.read_from = probe_level_name(probe.level);
        status = run_once(bench, test, &row.tps[i], &row.ns[i], row.problem, error);
        if (!status && !row.problem[0])
            row.n_samples = i + 1;
    }
    if (row.problem[0])
        row.n_samples = 0; /* an average of what happened to work would hide it */
    stats_compute(row.tps, row.n_samples, &row.tps_stats);
    stats_compute(row.ns, row.n_samples, &row.ns_stats);
    stats_compute(gbps, row.n_samples, &row.read_gbps);
    struct memory_process memory;
    memory_process_read(&memory);
    row.resident_bytes = memory.known ? memory.resident_bytes : 0;
    if (!status && bench->options->on_row)
        bench->options->on_row(bench->options->context, &row);
    free(values);
    return status;
}

int bench_engine(struct engine *engine, const struct bench_options *options, struct error *error)
{
    const struct engine_info *info = engine_info(engine);
    struct bench bench = {
        .target = {.engine = engine, .cancel = options->cancel}, .options = options, .nonce = clock_now_ns()};
    int status = prompt_source_open(&bench.source, engine_tokenizer(engine), info->vocab, error);
    if (!status)
        status = probe_open(engine_plan(engine), info->n_threads, cpu_info()->last_level_cache_bytes,
                            &bench.probe, error);
    for (size_t i = 0; !status && i < options->n_tests; i++) {
        if (options->on_begin)
            options->on_begin(options->context, i, &options->tests[i]);
        status = run_test(&bench, &options->tests[i], error);
    }
    probe_close(bench.probe);
    prompt_source_close(&bench.source);
    return status;
}
