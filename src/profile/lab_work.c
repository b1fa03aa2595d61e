#include "profile/lab_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "profile/json_put.h"
#include "profile/lab_json.h"
#include "profile/target.h"

enum { TIMEOUT_MS = 600 * 1000 };

int lab_work_open(struct lab_work *work, const struct engine_options *options, bool raw, struct error *error)
{
    int status = engine_open(options, &work->engine, error);
    if (status)
        return status;
    const struct engine_info *info = engine_info(work->engine);
    work->as_messages = info->has_chat_template && !raw;
    work->warm_nonce = clock_now_ns();
    work->nonce = work->warm_nonce + 1;
    status = prompt_source_open(&work->source, engine_tokenizer(work->engine), info->vocab, error);
    if (!status)
        status = probe_open(engine_plan(work->engine), info->n_threads, cpu_info()->last_level_cache_bytes,
                            &work->probe, error);
    if (status)
        lab_work_close(work);
    return status;
}

void lab_work_close(struct lab_work *work)
{
    probe_close(work->probe);
    prompt_source_close(&work->source);
    engine_close(work->engine);
    work->probe = NULL;
    work->engine = NULL;
}

json_t *lab_work_info(const struct lab_work *work)
{
    const struct engine_info *info = engine_info(work->engine);
    struct engine_stats stats;
    engine_stats(work->engine, &stats);
    json_t *o = json_object();
    json_object_set_new(o, "model", lab_model_json(info));
    json_object_set_new(o, "flags", lab_flags_json(info));
    json_put_number(o, "load_ms", info->load_ms, "not reported by the engine");
    json_put_integer(o, "vocab", info->vocab);
    json_put_integer(o, "weight_bytes", stats.weight_bytes);
    json_put_integer(o, "kv_bytes", stats.kv_bytes);
    json_put_integer(o, "scratch_bytes", stats.scratch_bytes);
    json_put_integer(o, "kv_bytes_per_token",
                     plan_kv_bytes_per_token(engine_plan(work->engine), info->kv_bits));
    json_put_integer(o, "context", info->context);
    json_put_bool(o, "has_chat_template", info->has_chat_template);
    return o;
}

/* ---- a run ---- */

/* The requests of a run and what they point to. */
struct prepared {
    struct target_request *requests;
    struct target_trace *traces;
    int32_t **tokens;
    char **texts;
    uint32_t n;
};

static void prepared_free(struct prepared *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->traces)
            target_trace_free(&p->traces[i]);
        if (p->tokens)
            free(p->tokens[i]);
        if (p->texts)
            free(p->texts[i]);
    }
    free(p->requests);
    free(p->traces);
    free(p->tokens);
    free(p->texts);
}

/* A request of the scenario's shape with a beginning of its own. */
static int make_request(struct lab_work *work, const struct lab_run *run, uint64_t nonce, struct prepared *p,
                        uint32_t i, struct error *error)
{
    const struct scenario *scenario = &run->scenario;
    struct target_request *request = &p->requests[i];
    *request = (struct target_request){.max_tokens = scenario->max_tokens,
                                       .temperature = isnan(run->temperature) ? 0 : run->temperature,
                                       .seed = run->seed + i,
                                       .warm = run->warm};
    if (scenario->kind == SCENARIO_PROMPT) {
        int status = prompt_text(scenario->prompt, work->as_messages, nonce, &p->texts[i], error);
        *(work->as_messages ? &request->messages_json : &request->text) = p->texts[i];
        return status;
    }
    p->tokens[i] = malloc(scenario->prompt_tokens * sizeof **p->tokens);
    if (!p->tokens[i])
        return error_memory(error, "a prompt", scenario->prompt_tokens * sizeof **p->tokens);
    prompt_fill(&work->source, nonce, p->tokens[i], scenario->prompt_tokens);
    request->tokens = p->tokens[i];
    request->n_tokens = scenario->prompt_tokens;
    return 0;
}

static int prepare(struct lab_work *work, const struct lab_run *run, struct prepared *p, struct error *error)
{
    p->n = run->n_sequences ? run->n_sequences : 1;
    p->requests = calloc(p->n, sizeof *p->requests);
    p->traces = calloc(p->n, sizeof *p->traces);
    p->tokens = calloc(p->n, sizeof *p->tokens);
    p->texts = calloc(p->n, sizeof *p->texts);
    if (!p->requests || !p->traces || !p->tokens || !p->texts) {
        error_memory(error, "the requests of a run", p->n * sizeof *p->traces);
        return ERROR_MEMORY;
    }
    int status = 0;
    for (uint32_t i = 0; !status && i < p->n; i++)
        status = make_request(work, run, run->warm ? work->warm_nonce - i : work->nonce++, p, i, error);
    return status;
}

/* Bytes and operations of a token by the plan's own account, at the length it really had. */
static void count_costs(const struct lab_work *work, const struct lab_run *run, uint32_t n,
                        struct lab_result *out)
{
    const struct plan *plan = engine_plan(work->engine);
    uint32_t kv_bits = engine_info(work->engine)->kv_bits, prompt = out->sample.prompt_tokens;
    out->weight_bytes_per_token = out->kv_bytes_per_token = NAN;
    out->flops_per_token = out->prefill_flops = NAN;
    out->guesses = engine_info(work->engine)->prompt_lookup > 0;
    if (prompt == 0)
        return;
    struct plan_step decode = {.n_tokens = n,
                               .n_outputs = n,
                               .n_sequences = n,
                               .context = prompt + run->scenario.max_tokens / 2,
                               .kv_bits = kv_bits};
    uint32_t computed = prompt - out->sample.cached_tokens;
    struct plan_step prefill = {.n_tokens = computed,
                                .n_outputs = 1,
                                .n_sequences = 1,
                                .context = out->sample.cached_tokens,
                                .kv_bits = kv_bits};
    struct plan_cost cost = plan_step_cost(plan, &decode);
    if (!out->guesses) { /* otherwise a step is no token: its bytes are not a token's */
        out->weight_bytes_per_token = cost.weight_bytes / n;
        out->kv_bytes_per_token = cost.kv_read_bytes / n;
        out->flops_per_token = cost.flops / n;
    }
    if (computed)
        out->prefill_flops = plan_step_cost(plan, &prefill).flops;
}

static void account_memory(struct engine *engine, const struct memory_process *before, struct lab_result *out)
{
    struct memory_process after;
    struct engine_stats stats;
    engine_stats(engine, &stats);
    memory_process_read(&after);
    out->memory.known = before->known && after.known;
    out->memory.minor_faults = after.minor_faults - before->minor_faults;
    out->memory.major_faults = after.major_faults - before->major_faults;
    out->memory.footprint_bytes = after.resident_bytes;
    out->memory.footprint_peak_bytes = after.resident_peak_bytes;
    out->memory.anonymous_bytes = after.anonymous_bytes;
    out->memory.file_resident_bytes = after.file_bytes;
    out->memory.swap_bytes = after.swap_bytes;
    out->memory.allocator_active_bytes = stats.allocator_active_bytes;
    out->memory.allocator_peak_bytes = stats.allocator_peak_bytes;
    out->memory.allocator_cache_bytes = stats.allocator_cache_bytes;
}

/* The first sequence stands for all; but when another one went wrong, the run did. */
static void take_results(const struct prepared *p, struct lab_result *out)
{
    sample_from_trace(&p->traces[0], &out->sample);
    for (uint32_t i = 1; i < p->n && out->sample.outcome == OUTCOME_OK; i++)
        if (p->traces[i].outcome != OUTCOME_OK) {
            out->sample.outcome = p->traces[i].outcome;
            snprintf(out->sample.message, sizeof out->sample.message, "sequence %u: %.120s", i + 1,
                     p->traces[i].error.message);
        }
    out->aggregate_decode_tps = p->n > 1 ? traces_decode_tps(p->traces, p->n, NULL) : NAN;
    uint64_t first_token_ns = p->traces[0].timings.first_token_ns;
    out->first_token_s = first_token_ns ? (double)first_token_ns / 1e9 : NAN;
}

int lab_work_run(struct lab_work *work, const struct lab_run *run, struct lab_result *out,
                 struct error *error)
{
    struct prepared prepared = {0};
    struct memory_process before;
    struct target target = {.engine = work->engine,
                            .cancel = &work->cancel,
                            .timeout_ms = run->timeout_ms ? run->timeout_ms : TIMEOUT_MS};
    memset(out, 0, sizeof *out);
    out->probe = (struct probe_result){.gbps = NAN};
    int status = prepare(work, run, &prepared, error);
    if (!status && run->probe)
        probe_run(work->probe, &out->probe);
    memory_process_read(&before);
    out->start_s = (double)clock_now_ns() / 1e9;
    if (!status)
        status = target_run(&target, prepared.requests, prepared.n, prepared.traces, error);
    out->end_s = (double)clock_now_ns() / 1e9;
    if (!status) {
        take_results(&prepared, out);
        count_costs(work, run, prepared.n, out);
        account_memory(work->engine, &before, out);
    }
    prepared_free(&prepared);
    return status;
}

/* ---- a trace ---- */

static json_t *segment_json(const struct plan *plan, const struct engine_trace_segment *segment,
                            const struct plan_step *step)
{
    struct plan_cost sum = {0};
    for (uint32_t i = 0; i < segment->n_ops; i++) {
        struct plan_cost cost = plan_op_cost(plan, &plan->ops[segment->first_op + i], step);
        sum.weight_bytes += cost.weight_bytes;
        sum.kv_read_bytes += cost.kv_read_bytes;
        sum.flops += cost.flops;
    }
    double ns = (double)segment->ns;
    const char *reason = "the segment took no time that the clock can tell";
    json_t *o = json_object();
    json_put_string(o, "name", segment->name, "not known");
    json_put_integer(o, "first_op", segment->first_op);
    json_put_integer(o, "n_ops", segment->n_ops);
    json_put_number(o, "ms", ns / 1e6, "");
    json_put_number(o, "weight_bytes", sum.weight_bytes, "");
    json_put_number(o, "kv_bytes", sum.kv_read_bytes, "");
    json_put_number(o, "flops", sum.flops, "");
    json_put_number(o, "gbps", (sum.weight_bytes + sum.kv_read_bytes) / ns, reason);
    json_put_number(o, "gflops", sum.flops / ns, reason);
    return o;
}

void lab_work_put_overhead(json_t *trace, double traced_ns, double plain_ns)
{
    double overhead = traced_ns / plain_ns - 1;
    if (overhead < 0)
        json_put_null(trace, "overhead_fraction", "smaller than the noise of the steps");
    else
        json_put_number(trace, "overhead_fraction", overhead, "the step took no time");
}

int lab_work_trace(struct lab_work *work, uint32_t n_tokens, uint32_t depth, json_t **out,
                   struct error *error)
{
    struct engine_trace trace;
    *out = NULL;
    int status = engine_trace(work->engine, n_tokens, depth, &trace, error);
    if (status)
        return status;
    struct plan_step step = {.n_tokens = n_tokens,
                             .n_outputs = n_tokens,
                             .n_sequences = n_tokens,
                             .context = depth,
                             .kv_bits = engine_info(work->engine)->kv_bits};
    json_t *o = json_object(), *segments = json_array();
    double traced = (double)trace.traced_step_ns, plain = (double)trace.plain_step_ns, covered = 0;
    for (uint32_t i = 0; i < trace.n_segments; i++) {
        covered += (double)trace.segments[i].ns;
        json_array_append_new(segments, segment_json(engine_plan(work->engine), &trace.segments[i], &step));
    }
    json_put_integer(o, "n_tokens", n_tokens);
    json_put_integer(o, "depth", depth);
    json_put_number(o, "traced_step_ms", traced / 1e6, "");
    json_put_number(o, "plain_step_ms", plain / 1e6, "");
    lab_work_put_overhead(o, traced, plain);
    json_put_number(o, "covered_fraction", covered / traced, "the step took no time");
    json_object_set_new(o, "segments", segments);
    engine_trace_free(&trace);
    *out = o;
    return 0;
}
