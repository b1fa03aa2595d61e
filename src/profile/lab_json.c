#include "profile/lab_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile/json_get.h"
#include "profile/json_put.h"

enum { MAX_PROMPT_TOKENS = 1 << 24, MAX_ANSWER_TOKENS = 1 << 20, MAX_SEQUENCES = 256 };

/* ---- small values ---- */

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_string(text));
}

static void put_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, json_put_real(value));
}

static uint32_t get_u32(const json_t *json, const char *path)
{
    double value = json_get_positive(json, path);
    return value <= UINT32_MAX ? (uint32_t)value : 0;
}

/* All 64 bits, where a double would keep 53. */
static uint64_t get_u64(const json_t *json, const char *path)
{
    return (uint64_t)json_integer_value(json_get(json, path));
}

/* ---- options ---- */

json_t *lab_options_json(const struct engine_options *options)
{
    json_t *o = json_object();
    put_text(o, "model", options->model);
    put_text(o, "adapter", options->adapter);
    put_text(o, "backend", options->backend);
    put_text(o, "isa", options->isa);
    json_put_integer(o, "threads", options->n_threads);
    json_put_integer(o, "context", options->context);
    json_put_integer(o, "max_sequences", options->max_sequences);
    json_put_integer(o, "prefill_chunk", options->prefill_chunk);
    json_put_integer(o, "kv_bits", options->kv_bits);
    json_put_integer(o, "prompt_lookup", options->prompt_lookup);
    json_put_bool(o, "precise", options->precise);
    json_put_integer(o, "queue_limit", options->queue_limit);
    json_put_bool(o, "no_prefix_sharing", options->no_prefix_sharing);
    json_put_integer(o, "reclaimable_bytes", options->reclaimable_bytes);
    return o;
}

void lab_options_read(const json_t *json, struct engine_options *out)
{
    *out = (struct engine_options){.model = json_get_string(json, "model"),
                                   .adapter = json_get_string(json, "adapter"),
                                   .backend = json_get_string(json, "backend"),
                                   .isa = json_get_string(json, "isa"),
                                   .n_threads = get_u32(json, "threads"),
                                   .context = get_u32(json, "context"),
                                   .max_sequences = get_u32(json, "max_sequences"),
                                   .prefill_chunk = get_u32(json, "prefill_chunk"),
                                   .kv_bits = get_u32(json, "kv_bits"),
                                   .prompt_lookup = get_u32(json, "prompt_lookup"),
                                   .precise = json_get_bool(json, "precise", false),
                                   .queue_limit = get_u32(json, "queue_limit"),
                                   .no_prefix_sharing = json_get_bool(json, "no_prefix_sharing", false),
                                   .reclaimable_bytes = get_u64(json, "reclaimable_bytes")};
}

/* ---- a run ---- */

json_t *lab_run_json(const struct lab_run *run)
{
    const struct scenario *scenario = &run->scenario;
    json_t *o = json_object();
    put_text(o, "kind", scenario_kind_name(scenario->kind));
    put_text(o, "prompt", scenario->prompt);
    json_put_integer(o, "prompt_tokens", scenario->prompt_tokens);
    json_put_integer(o, "depth", scenario->depth);
    json_put_integer(o, "max_tokens", scenario->max_tokens);
    json_put_integer(o, "n_sequences", run->n_sequences);
    put_real(o, "temperature", run->temperature);
    json_object_set_new(o, "seed", json_integer((json_int_t)run->seed)); /* all 64 bits, as they are */
    json_put_bool(o, "warm", run->warm);
    json_put_bool(o, "probe", run->probe);
    json_put_integer(o, "timeout_ms", run->timeout_ms);
    return o;
}

int lab_run_read(const json_t *json, struct lab_run *out, struct error *error)
{
    struct scenario *scenario = &out->scenario;
    memset(out, 0, sizeof *out);
    scenario->kind = json_get_is(json, "kind", "prefill")  ? SCENARIO_PREFILL
                     : json_get_is(json, "kind", "decode") ? SCENARIO_DECODE
                                                           : SCENARIO_PROMPT;
    scenario->prompt = json_get_string(json, "prompt");
    scenario->prompt_tokens = get_u32(json, "prompt_tokens");
    scenario->depth = get_u32(json, "depth");
    scenario->max_tokens = get_u32(json, "max_tokens");
    out->n_sequences = get_u32(json, "n_sequences");
    out->temperature = json_get_positive(json, "temperature");
    out->seed = get_u64(json, "seed");
    out->warm = json_get_bool(json, "warm", false);
    out->probe = json_get_bool(json, "probe", false);
    out->timeout_ms = get_u32(json, "timeout_ms");
    if (scenario->kind == SCENARIO_PROMPT
            ? !scenario->prompt
            : !scenario->prompt_tokens || scenario->prompt_tokens > MAX_PROMPT_TOKENS)
        return error_set(error, ERROR_INVALID, "a run of the lab without a prompt");
    if (out->n_sequences > MAX_SEQUENCES)
        return error_set(error, ERROR_INVALID, "%u sequences at once are more than %d", out->n_sequences,
                         MAX_SEQUENCES);
    if (!scenario->max_tokens || scenario->max_tokens > MAX_ANSWER_TOKENS)
        return error_set(error, ERROR_INVALID, "a run of the lab with an answer of %u tokens",
                         scenario->max_tokens);
    return 0;
}

/* ---- a result ---- */

static json_t *sample_json(const struct sample *sample)
{
    json_t *o = json_object(), *gaps = json_array();
    put_text(o, "outcome", target_outcome_name(sample->outcome));
    put_text(o, "message", sample->message);
    json_put_integer(o, "prompt_tokens", sample->prompt_tokens);
    json_put_integer(o, "cached_tokens", sample->cached_tokens);
    json_put_integer(o, "generated_tokens", sample->generated_tokens);
    for (int m = 0; m < METRICS; m++)
        put_real(o, metric_name((enum metric)m), sample->value[m]);
    for (uint32_t i = 0; i < sample->n_itl; i++)
        json_array_append_new(gaps, json_put_real((double)sample->itl_ms[i]));
    json_object_set_new(o, "itl_ms", gaps);
    return o;
}

static int sample_read(const json_t *json, struct sample *out, struct error *error)
{
    out->outcome = OUTCOME_ERROR;
    for (int i = 0; i < OUTCOMES; i++)
        if (json_get_is(json, "outcome", target_outcome_name((enum target_outcome)i)))
            out->outcome = (enum target_outcome)i;
    snprintf(out->message, sizeof out->message, "%s", json_get_text(json, "message", ""));
    out->prompt_tokens = get_u32(json, "prompt_tokens");
    out->cached_tokens = get_u32(json, "cached_tokens");
    out->generated_tokens = get_u32(json, "generated_tokens");
    for (int m = 0; m < METRICS; m++)
        out->value[m] = json_get_number(json, metric_name((enum metric)m));
    size_t n = json_get_count(json, "itl_ms");
    if (n == 0)
        return 0;
    double *gaps = malloc(n * sizeof *gaps);
    out->itl_ms = malloc(n * sizeof *out->itl_ms);
    if (gaps && out->itl_ms) {
        out->n_itl = (uint32_t)json_get_numbers(json, "itl_ms", "", gaps, n);
        for (uint32_t i = 0; i < out->n_itl; i++)
            out->itl_ms[i] = (float)gaps[i];
    }
    bool failed = !gaps || !out->itl_ms;
    free(gaps);
    return failed ? error_memory(error, "the gaps between tokens", n * sizeof *gaps) : 0;
}

json_t *lab_result_json(const struct lab_result *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "sample", sample_json(&r->sample));
    put_real(o, "aggregate_decode_tps", r->aggregate_decode_tps);
    json_object_set_new(o, "probe",
                        json_pack("{s:o, s:I, s:i, s:s}", "gbps", json_put_real(r->probe.gbps), "pass_bytes",
                                  (json_int_t)r->probe.pass_bytes, "passes", (int)r->probe.passes, "level",
                                  probe_level_name(r->probe.level)));
    put_real(o, "start_s", r->start_s);
    put_real(o, "first_token_s", r->first_token_s);
    put_real(o, "end_s", r->end_s);
    put_real(o, "weight_bytes_per_token", r->weight_bytes_per_token);
    put_real(o, "kv_bytes_per_token", r->kv_bytes_per_token);
    put_real(o, "flops_per_token", r->flops_per_token);
    put_real(o, "prefill_flops", r->prefill_flops);
    json_put_bool(o, "guesses", r->guesses);
    if (r->memory.known) {
        json_t *memory = json_object();
        json_put_integer(memory, "minor_faults", r->memory.minor_faults);
        json_put_integer(memory, "major_faults", r->memory.major_faults);
        json_put_integer(memory, "footprint_bytes", r->memory.footprint_bytes);
        json_put_integer(memory, "footprint_peak_bytes", r->memory.footprint_peak_bytes);
        json_put_integer(memory, "anonymous_bytes", r->memory.anonymous_bytes);
        json_put_integer(memory, "file_resident_bytes", r->memory.file_resident_bytes);
        json_put_integer(memory, "swap_bytes", r->memory.swap_bytes);
        json_put_integer(memory, "allocator_active_bytes", r->memory.allocator_active_bytes);
        json_put_integer(memory, "allocator_peak_bytes", r->memory.allocator_peak_bytes);
        json_put_integer(memory, "allocator_cache_bytes", r->memory.allocator_cache_bytes);
        json_object_set_new(o, "memory", memory);
    }
    return o;
}

int lab_result_read(const json_t *json, struct lab_result *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    out->aggregate_decode_tps = json_get_number(json, "aggregate_decode_tps");
    out->probe.gbps = json_get_number(json, "probe.gbps");
    out->probe.pass_bytes = get_u64(json, "probe.pass_bytes");
    out->probe.passes = get_u32(json, "probe.passes");
    for (int i = PROBE_UNKNOWN; i <= PROBE_MIXED; i++)
        if (json_get_is(json, "probe.level", probe_level_name((enum probe_level)i)))
            out->probe.level = (enum probe_level)i;
    out->start_s = json_get_number(json, "start_s");
    out->first_token_s = json_get_number(json, "first_token_s");
    out->end_s = json_get_number(json, "end_s");
    out->weight_bytes_per_token = json_get_number(json, "weight_bytes_per_token");
    out->kv_bytes_per_token = json_get_number(json, "kv_bytes_per_token");
    out->flops_per_token = json_get_number(json, "flops_per_token");
    out->prefill_flops = json_get_number(json, "prefill_flops");
    out->guesses = json_get_bool(json, "guesses", false);
    out->memory.known = json_get_object(json, "memory") != NULL;
    out->memory.minor_faults = get_u64(json, "memory.minor_faults");
    out->memory.major_faults = get_u64(json, "memory.major_faults");
    out->memory.footprint_bytes = get_u64(json, "memory.footprint_bytes");
    out->memory.footprint_peak_bytes = get_u64(json, "memory.footprint_peak_bytes");
    out->memory.anonymous_bytes = get_u64(json, "memory.anonymous_bytes");
    out->memory.file_resident_bytes = get_u64(json, "memory.file_resident_bytes");
    out->memory.swap_bytes = get_u64(json, "memory.swap_bytes");
    out->memory.allocator_active_bytes = get_u64(json, "memory.allocator_active_bytes");
    out->memory.allocator_peak_bytes = get_u64(json, "memory.allocator_peak_bytes");
    out->memory.allocator_cache_bytes = get_u64(json, "memory.allocator_cache_bytes");
    return sample_read(json_get_object(json, "sample"), &out->sample, error);
}

/* ---- what the engine says of itself ---- */

/* Snapshots of the Hugging Face cache lie in .../snapshots/REVISION. */
static const char *revision_of(const char *path)
{
    const char *at = path ? strstr(path, "/snapshots/") : NULL;
    return at && at[11] && !strchr(at + 11, '/') ? at + 11 : NULL;
}

json_t *lab_model_json(const struct engine_info *info)
{
    json_t *o = json_object();
    json_put_string(o, "name", info->model_name, "not known");
    json_put_string(o, "path", info->model_path, "not known");
    json_put_string(o, "architecture", info->architecture, "not known");
    json_put_string(o, "quantization", info->quantization, "not known");
    json_put_string(o, "revision", revision_of(info->model_path), "not a snapshot of the Hugging Face cache");
    json_put_null(o, "sha256", "hashing the weights would take longer than the run");
    json_put_integer(o, "parameters", info->parameters);
    json_put_integer(o, "weight_bytes", info->weight_bytes);
    json_put_integer(o, "file_bytes", info->file_bytes);
    json_put_integer(o, "vocab", info->vocab);
    return o;
}

json_t *lab_flags_json(const struct engine_info *info)
{
    json_t *o = json_object();
    json_put_string(o, "backend", info->backend, "not known");
    json_put_string(o, "isa", info->isa, "not known");
    json_put_string(o, "adapter", info->adapter, "the model was run without one");
    json_put_integer(o, "threads", info->n_threads);
    json_put_integer(o, "context", info->context);
    json_put_integer(o, "prefill_chunk", info->prefill_chunk);
    json_put_integer(o, "kv_bits", info->kv_bits);
    if (info->prompt_lookup) /* runs from before it was there are the same series as those without it */
        json_put_integer(o, "prompt_lookup", info->prompt_lookup);
    json_put_integer(o, "max_sequences", info->max_sequences);
    json_put_bool(o, "precise", info->precise);
    return o;
}

void lab_info_read(const json_t *info, struct engine_info *out)
{
    *out = (struct engine_info){.model_name = json_get_text(info, "model.name", ""),
                                .model_path = json_get_text(info, "model.path", ""),
                                .architecture = json_get_text(info, "model.architecture", ""),
                                .quantization = json_get_text(info, "model.quantization", ""),
                                .adapter = json_get_string(info, "flags.adapter"),
                                .backend = json_get_text(info, "flags.backend", ""),
                                .isa = json_get_text(info, "flags.isa", ""),
                                .n_threads = get_u32(info, "flags.threads"),
                                .context = get_u32(info, "flags.context"),
                                .vocab = get_u32(info, "vocab"),
                                .max_sequences = get_u32(info, "flags.max_sequences"),
                                .prefill_chunk = get_u32(info, "flags.prefill_chunk"),
                                .kv_bits = get_u32(info, "flags.kv_bits"),
                                .prompt_lookup = get_u32(info, "flags.prompt_lookup"),
                                .precise = json_get_bool(info, "flags.precise", false),
                                .has_chat_template = json_get_bool(info, "has_chat_template", false),
                                .parameters = get_u64(info, "model.parameters"),
                                .weight_bytes = get_u64(info, "model.weight_bytes"),
                                .file_bytes = get_u64(info, "model.file_bytes"),
                                .load_ms = json_get_number(info, "load_ms")};
}
