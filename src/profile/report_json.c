/* "llmind.report/1": everything that was measured, raw samples included. The schema is
 * docs/report.schema.json. Unknown is null beside "<name>_reason". */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/version.h"
#include "profile/report.h"

/* ---- values ---- */

static void put_null(json_t *object, const char *key, const char *reason)
{
    char name[80];
    snprintf(name, sizeof name, "%s_reason", key);
    json_object_set_new(object, key, json_null());
    json_object_set_new(object, name, json_string(reason));
}

static void put_number(json_t *object, const char *key, double value, const char *reason)
{
    if (isfinite(value))
        json_object_set_new(object, key, json_real(value));
    else
        put_null(object, key, reason);
}

static void put_integer(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void put_bool(json_t *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

/* Strings of models and machines may hold anything: what is not UTF-8 is not shown. */
static void put_string(json_t *object, const char *key, const char *text, const char *reason)
{
    json_t *string = text ? json_string(text) : NULL;
    if (string)
        json_object_set_new(object, key, string);
    else
        put_null(object, key, text ? "not valid UTF-8" : reason);
}

static void put_known_bytes(json_t *object, const char *key, bool known, uint64_t bytes)
{
    if (known)
        put_integer(object, key, bytes);
    else
        put_null(object, key, "this system does not tell");
}

static json_t *interval(double low, double high)
{
    return json_pack("[f, f]", low, high);
}

static void put_stats(json_t *object, const char *key, const struct stats *s, const char *reason)
{
    if (s->n == 0) {
        put_null(object, key, reason);
        return;
    }
    json_t *o = json_object();
    put_integer(o, "n", s->n);
    put_number(o, "mean", s->mean, "");
    put_number(o, "median", s->median, "");
    put_number(o, "min", s->min, "");
    put_number(o, "max", s->max, "");
    put_number(o, "iqr", s->iqr, "");
    put_number(o, "sd", s->sd, "needs 2 samples or more");
    put_number(o, "cv", s->cv, "needs 2 samples or more");
    if (isnan(s->mean_low))
        put_null(o, "mean_ci95", "needs 2 samples or more");
    else
        json_object_set_new(o, "mean_ci95", interval(s->mean_low, s->mean_high));
    if (isnan(s->median_low))
        put_null(o, "median_ci95", "needs 6 samples or more");
    else
        json_object_set_new(o, "median_ci95", interval(s->median_low, s->median_high));
    json_object_set_new(object, key, o);
}

/* ---- parts ---- */

static json_t *tool_json(void)
{
    json_t *o = json_object();
    put_string(o, "name", "llmind", "");
    put_string(o, "version", version_number(), "");
    put_string(o, "commit", version_commit(), "built outside a git checkout");
    return o;
}

/* Snapshots of the Hugging Face cache lie in .../snapshots/REVISION. */
static const char *revision_of(const char *path)
{
    const char *at = path ? strstr(path, "/snapshots/") : NULL;
    return at && at[11] && !strchr(at + 11, '/') ? at + 11 : NULL;
}

static json_t *model_json(const struct engine_info *info)
{
    json_t *o = json_object();
    put_string(o, "name", info->model_name, "");
    put_string(o, "path", info->model_path, "not known");
    put_string(o, "architecture", info->architecture, "not known");
    put_string(o, "quantization", info->quantization, "not known");
    put_string(o, "revision", revision_of(info->model_path), "not a snapshot of the Hugging Face cache");
    put_null(o, "sha256", "hashing the weights would take longer than the run");
    put_integer(o, "parameters", info->parameters);
    put_integer(o, "weight_bytes", info->weight_bytes);
    put_integer(o, "file_bytes", info->file_bytes);
    put_integer(o, "vocab", info->vocab);
    return o;
}

static json_t *machine_json(const struct report *report)
{
    const struct cpu_info *cpu = &report->cpu;
    const struct memory_machine *memory = &report->host_before.machine;
    json_t *o = json_object();
    put_string(o, "cpu", cpu->name, "not known");
    put_integer(o, "cores_online", cpu->cores_online);
    put_integer(o, "cores_allowed", cpu->cores_allowed);
    put_number(o, "quota_cores", cpu->quota_cores > 0 ? cpu->quota_cores : NAN, "no CPU quota is set");
    put_known_bytes(o, "last_level_cache_bytes", cpu->last_level_cache_bytes > 0,
                    cpu->last_level_cache_bytes);
    put_known_bytes(o, "memory_bytes", memory->known, memory->total_bytes);
    if (memory->known && memory->limit_bytes == 0)
        put_null(o, "memory_limit_bytes", "no memory limit is set");
    else
        put_known_bytes(o, "memory_limit_bytes", memory->known, memory->limit_bytes);
    put_string(o, "os", report->os[0] ? report->os : NULL, "this system does not tell");
    put_null(o, "gpu", "no GPU backend is built into this program");
    return o;
}

static json_t *flags_json(const struct engine_info *info)
{
    json_t *o = json_object();
    put_string(o, "backend", info->backend, "");
    put_string(o, "isa", info->isa, "");
    put_integer(o, "threads", info->n_threads);
    put_integer(o, "context", info->context);
    put_integer(o, "prefill_chunk", info->prefill_chunk);
    put_integer(o, "kv_bits", info->kv_bits);
    put_integer(o, "max_sequences", info->max_sequences);
    put_bool(o, "precise", info->precise);
    return o;
}

static json_t *protocol_json(const struct report *report)
{
    json_t *o = json_object();
    put_integer(o, "repeats", report->repeats);
    put_integer(o, "warmups", 1);
    put_bool(o, "greedy", true);
    put_bool(o, "ignore_eos", true);
    put_bool(o, "cold_prompts", true);
    put_bool(o, "traced", false);
    put_number(o, "budget_s", report->budget_s > 0 ? report->budget_s : NAN, "only quick mode has a budget");
    json_t *cuts = json_array();
    for (size_t i = 0; i < report->plan.n_cuts; i++)
        json_array_append_new(cuts, json_string(report->plan.cuts[i]));
    json_object_set_new(o, "cuts", cuts);
    return o;
}

static json_t *host_json(const struct report *report)
{
    json_t *o = json_object();
    put_number(o, "load_before", report->host_before.load_1min, "this system does not tell");
    put_number(o, "load_after", report->host_after.load_1min, "this system does not tell");
    put_number(o, "steal_fraction", host_steal(&report->host_before, &report->host_after),
               "this system does not tell");
    const struct memory_process *before = &report->memory.before, *after = &report->memory.after;
    bool known = before->known && after->known;
    put_number(o, "swap_change_bytes", known ? (double)after->swap_bytes - (double)before->swap_bytes : NAN,
               "this system does not tell");
    put_number(o, "major_faults", known ? (double)after->major_faults - (double)before->major_faults : NAN,
               "this system does not tell");
    put_null(o, "temperature_c", "no sensor is read by this version");
    put_null(o, "frequency_mhz", "no sensor is read by this version");
    put_null(o, "power_w", "no sensor is read by this version");
    put_null(o, "gpu_utilization", "no GPU backend is built into this program");
    return o;
}

static json_t *memory_json(const struct report_memory *memory)
{
    const struct memory_process *after = &memory->after;
    json_t *predicted = json_object(), *measured = json_object();
    put_integer(predicted, "weights_bytes", memory->weight_bytes);
    put_integer(predicted, "kv_bytes", memory->kv_bytes);
    put_integer(predicted, "scratch_bytes", memory->scratch_bytes);
    put_integer(predicted, "footprint_bytes",
                memory->weight_bytes + memory->kv_bytes + memory->scratch_bytes);
    put_known_bytes(measured, "file_resident_bytes", after->known, after->file_bytes);
    put_known_bytes(measured, "anonymous_bytes", after->known, after->anonymous_bytes);
    put_known_bytes(measured, "footprint_bytes", after->known, after->resident_bytes);
    put_known_bytes(measured, "footprint_peak_bytes", after->known, after->resident_peak_bytes);
    json_t *o = json_object();
    put_integer(o, "kv_bytes_per_token", memory->kv_bytes_per_token);
    json_object_set_new(o, "predicted", predicted);
    json_object_set_new(o, "measured", measured);
    return o;
}

/* ---- tests ---- */

static json_t *sample_json(const struct report_test *test, const struct sample *sample,
                           const struct probe_result *probe)
{
    json_t *o = json_object();
    put_string(o, "outcome", target_outcome_name(sample->outcome), "");
    if (sample->message[0])
        put_string(o, "message", sample->message, "");
    if (sample->prompt_tokens) {
        put_integer(o, "prompt_tokens", sample->prompt_tokens);
        put_integer(o, "cached_tokens", sample->cached_tokens);
    } else {
        put_null(o, "prompt_tokens", "the run did not come so far");
        put_null(o, "cached_tokens", "the run did not come so far");
    }
    put_integer(o, "generated_tokens", sample->generated_tokens);
    for (int m = 0; m < METRICS; m++)
        put_number(o, metric_name((enum metric)m), sample->value[m],
                   sample->outcome == OUTCOME_OK ? report_metric_reason(test, (enum metric)m)
                                                 : "the run did not end well");
    json_t *gaps = json_array();
    for (uint32_t i = 0; i < sample->n_itl; i++)
        json_array_append_new(gaps, json_real((double)sample->itl_ms[i]));
    json_object_set_new(o, "itl_ms", gaps);
    if (probe) {
        put_number(o, "read_gbps", probe->gbps, "the threads of the probe could not be started");
        put_string(o, "read_from", probe_level_name(probe->level), "");
    }
    return o;
}

static json_t *roofline_json(const struct report_test *test)
{
    const struct plan_cost *decode = &test->decode_cost, *prefill = &test->prefill_cost;
    const char *none = report_metric_reason(test, METRIC_TPOT_MS);
    json_t *o = json_object();
    put_number(o, "weight_bytes_per_token", decode->weight_bytes > 0 ? decode->weight_bytes : NAN, none);
    put_number(o, "kv_bytes_per_token", decode->weight_bytes > 0 ? decode->kv_read_bytes : NAN, none);
    put_number(o, "flops_per_token", decode->flops > 0 ? decode->flops : NAN, none);
    put_number(o, "prefill_flops", prefill->flops > 0 ? prefill->flops : NAN, none);
    put_stats(o, "achieved_gbps", &test->achieved_gbps, none);
    put_stats(o, "read_gbps", &test->read_gbps, "the read bandwidth could not be probed");
    put_stats(o, "mbu", &test->mbu, test->mbu_reason);
    put_stats(o, "prefill_gflops", &test->prefill_gflops, report_metric_reason(test, METRIC_PREFILL_TPS));
    put_null(o, "mfu", "the arithmetic peak of this machine is not measured by this version");
    return o;
}

static json_t *test_json(const struct report_test *test)
{
    const struct scenario *scenario = &test->scenario;
    json_t *o = json_object(), *outcomes = json_object(), *samples = json_array(), *summary = json_object();
    put_string(o, "id", scenario->id, "");
    put_string(o, "kind", scenario_kind_name(scenario->kind), "");
    put_string(o, "label", scenario->label, "");
    put_string(o, "prompt", test->prompt, "made of tokens of a fixed passage");
    if (scenario->kind == SCENARIO_DECODE)
        put_integer(o, "depth", scenario->depth);
    put_integer(o, "max_tokens", scenario->max_tokens);
    for (int i = 0; i < OUTCOMES; i++)
        if (test->outcomes[i])
            put_integer(outcomes, target_outcome_name((enum target_outcome)i), test->outcomes[i]);
    json_object_set_new(o, "outcomes", outcomes);
    put_string(o, "headline", metric_name(report_headline(test)), "");
    put_string(o, "grade", stats_grade_name(test->grade), "");
    put_bool(o, "drifts", test->drifts);
    put_number(o, "drift", test->n_samples > 1 ? test->drift : NAN, "needs 2 samples or more");
    for (int m = 0; m < METRICS; m++)
        put_stats(summary, metric_name((enum metric)m), &test->metric[m],
                  report_metric_reason(test, (enum metric)m));
    json_object_set_new(o, "summary", summary);
    json_object_set_new(o, "roofline", roofline_json(test));
    json_object_set_new(o, "warmup", sample_json(test, &test->warmup, NULL));
    for (uint32_t i = 0; i < test->n_samples; i++)
        json_array_append_new(samples, sample_json(test, &test->samples[i], &test->probes[i]));
    json_object_set_new(o, "samples", samples);
    return o;
}

static json_t *summary_json(const struct report *report)
{
    const struct report_test *decode = report_find(report, SCENARIO_DECODE);
    const struct report_test *prefill = report_find(report, SCENARIO_PREFILL);
    const struct report_test *prompt = report_find(report, SCENARIO_PROMPT);
    const char *none = "no test of this kind ended well";
    json_t *o = json_object();
    put_number(o, "decode_tokens_per_second", decode ? decode->metric[METRIC_DECODE_TPS].median : NAN, none);
    put_number(o, "prefill_tokens_per_second", prefill ? prefill->metric[METRIC_PREFILL_TPS].median : NAN,
               none);
    put_number(o, "tokens_per_second", prompt ? prompt->metric[METRIC_TOKENS_PER_SECOND].median : NAN, none);
    put_number(o, "ttft_ms", prompt ? prompt->metric[METRIC_TTFT_MS].median : NAN, none);
    put_number(o, "response_ms", prompt ? prompt->metric[METRIC_RESPONSE_MS].median : NAN, none);
    put_number(o, "mbu", decode ? decode->mbu.median : NAN, decode ? decode->mbu_reason : none);
    put_number(o, "load_ms", report->info.load_ms, "not reported by the engine");
    put_string(o, "grade", stats_grade_name(report_grade(report)), "");
    put_bool(o, "indicative", report->quick);
    char quality[768];
    report_quality(report, quality, sizeof quality);
    put_string(o, "quality", quality, "");
    return o;
}

char *report_json(const struct report *report)
{
    json_t *o = json_object(), *tests = json_array();
    put_string(o, "schema", "llmind.report/1", "");
    put_string(o, "created", report->created, "");
    put_string(o, "status",
               report->cancelled        ? "cancelled"
               : report_failure(report) ? "failed"
                                        : "success",
               "");
    put_string(o, "mode", report->quick ? "quick" : "full", "");
    put_number(o, "duration_s", report->duration_s, "");
    json_object_set_new(o, "tool", tool_json());
    json_object_set_new(o, "model", model_json(&report->info));
    json_object_set_new(o, "machine", machine_json(report));
    json_object_set_new(o, "flags", flags_json(&report->info));
    json_object_set_new(o, "protocol", protocol_json(report));
    json_object_set_new(o, "host", host_json(report));
    json_object_set_new(o, "memory", memory_json(&report->memory));
    json_object_set_new(o, "summary", summary_json(report));
    for (size_t i = 0; i < report->n_tests; i++)
        json_array_append_new(tests, test_json(&report->tests[i]));
    json_object_set_new(o, "tests", tests);
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(o);
    return text;
}
