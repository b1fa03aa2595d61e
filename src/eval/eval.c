/* One request per window. The engine calls on_logits on its own thread while this one waits for the request's
 * events, so the sums are touched by one thread at a time: the engine's until the finish event, ours after
 * it. A failure inside the callback (disk full) is kept until then; the rest of the window is computed for
 * nothing. */
#include "eval/eval.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "eval/npy.h"
#include "platform/clock.h"

enum { WAIT_MS = 100 };

struct run {
    const struct eval_options *options;
    struct eval_result *result;
    struct npy_file logits, compare;
    float *reference; /* one row of the comparison */
    uint32_t vocab;
    size_t first, count; /* the window */
    atomic_size_t done;  /* positions so far, all windows */
    int status;          /* of the callback */
    struct error failure;
};

static bool all_finite(const float *row, uint32_t n)
{
    bool finite = true;
    for (uint32_t i = 0; i < n; i++)
        finite &= isfinite(row[i]) != 0;
    return finite;
}

/* A figure over one NaN would be a NaN for the whole text. */
static int check_logits(struct run *run, uint32_t position, const float *logits)
{
    if (all_finite(logits, run->vocab))
        return 0;
    return error_set(&run->failure, ERROR_INVALID,
                     "the model's logits after token %zu are not finite numbers: its weights are damaged, or "
                     "this precision overflows",
                     run->first + position);
}

static int compare(struct run *run, const float *logits)
{
    int status = npy_read(&run->compare, run->reference, run->vocab, &run->failure);
    if (!status && !all_finite(run->reference, run->vocab))
        status = error_set(&run->failure, ERROR_INVALID, "%s holds logits that are not finite numbers",
                           run->options->compare_path);
    if (!status)
        score_compare(&run->result->score, logits, run->reference, run->vocab);
    return status;
}

static void on_logits(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    struct run *run = context;
    if (run->status || vocab != run->vocab)
        return;
    run->status = check_logits(run, position, logits);
    if (run->status)
        return;
    if (position + 1 < run->count)
        score_next(&run->result->score, logits, vocab,
                   (uint32_t)run->options->tokens[run->first + position + 1]);
    if (run->logits.file)
        run->status = npy_write(&run->logits, logits, vocab, &run->failure);
    if (run->compare.file && !run->status)
        run->status = compare(run, logits);
    atomic_fetch_add(&run->done, 1);
}

static int check_tokens(const struct eval_options *options, uint32_t vocab, struct error *error)
{
    if (options->n_tokens < 2)
        return error_set(error, ERROR_INVALID, "the text has %zu tokens; at least 2 are needed",
                         options->n_tokens);
    for (size_t i = 0; i < options->n_tokens; i++)
        if (options->tokens[i] < 0 || (uint32_t)options->tokens[i] >= vocab)
            return error_set(error, ERROR_INVALID, "token %zu is %d, and the model's vocabulary has %u", i,
                             options->tokens[i], vocab);
    return 0;
}

static int open_files(struct run *run, struct error *error)
{
    const struct eval_options *options = run->options;
    if (options->compare_path) {
        int result = npy_open(&run->compare, options->compare_path, error);
        if (result)
            return result;
        if (run->compare.type != NPY_F32 || run->compare.rows != options->n_tokens ||
            run->compare.cols != run->vocab)
            return error_set(error, ERROR_INVALID,
                             "%s is not float32 [%zu, %u]: it is of other tokens or another model",
                             options->compare_path, options->n_tokens, run->vocab);
        run->reference = malloc(run->vocab * sizeof *run->reference);
        if (!run->reference)
            return error_memory(error, "a row of logits", run->vocab * sizeof *run->reference);
    }
    if (options->logits_path)
        return npy_create(&run->logits, options->logits_path, options->n_tokens, run->vocab, error);
    return 0;
}

static int run_window(struct run *run, struct engine *engine, eval_progress progress, void *context,
                      struct error *error)
{
    struct engine_request *request;
    struct engine_submit submit = {
        .tokens = run->options->tokens + run->first,
        .n_tokens = (uint32_t)run->count,
        .sampling = {.top_p = 1, .repetition_penalty = 1}, /* nothing is sampled: not the model's wishes */
        .on_logits = on_logits,
        .on_logits_context = run,
    };
    int result = engine_submit(engine, &submit, &request, error);
    if (result)
        return result;
    bool stopped = false;
    struct engine_event event = {.kind = EVENT_PREFILL};
    for (int got; (got = engine_next_event(request, &event, WAIT_MS)) >= 0;) {
        if (got && event.kind == EVENT_FINISH)
            break;
        if (!stopped && progress && !progress(context, atomic_load(&run->done), run->options->n_tokens)) {
            engine_cancel(request);
            stopped = true;
        }
    }
    engine_request_release(request);
    if (stopped)
        return error_set(error, ERROR_CANCELLED, "stopped");
    if (run->status)
        return error_set(error, run->status, "%s", run->failure.message);
    if (event.kind == EVENT_FINISH && event.finish == FINISH_ERROR)
        return error_set(error, event.error.code, "%s", event.error.message);
    if (atomic_load(&run->done) != run->first + run->count)
        return error_set(error, ERROR_INTERNAL, "the engine scored %zu of %zu positions",
                         atomic_load(&run->done), run->first + run->count);
    return 0;
}

int eval_run(struct engine *engine, const struct eval_options *options, eval_progress progress, void *context,
             struct eval_result *out, struct error *error)
{
    const struct engine_info *info = engine_info(engine);
    uint32_t window = options->window && options->window < info->context ? options->window : info->context;
    *out = (struct eval_result){.n_tokens = options->n_tokens};
    struct run run = {.options = options, .result = out, .vocab = info->vocab};
    int result = check_tokens(options, info->vocab, error);
    if (!result)
        result = open_files(&run, error);
    uint64_t start = clock_now_ns();
    for (run.first = 0; run.first < options->n_tokens && !result; run.first += run.count) {
        run.count = options->n_tokens - run.first < window ? options->n_tokens - run.first : window;
        result = run_window(&run, engine, progress, context, error);
    }
    out->seconds = (double)(clock_now_ns() - start) * 1e-9;
    bool created = run.logits.file != NULL;
    int closed = npy_close(&run.logits, result ? NULL : error);
    result = result ? result : closed;
    if (result && created)
        unlink(options->logits_path);
    npy_close(&run.compare, NULL);
    free(run.reference);
    return result;
}
