/* An estimate as JSON, the whole answer for a path, and the few figures of a list. */
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/shape.h"
#include "platform/file.h"
#include "profile/estimate.h"
#include "profile/json_put.h"
#include "profile/what_if.h"

static void put_interval(json_t *o, const char *name, struct estimate_interval interval, const char *reason)
{
    if (!isfinite(interval.mid)) {
        json_put_null(o, name, reason);
        return;
    }
    json_t *to = json_put_object(o, name);
    json_put_number(to, "low", interval.low, reason);
    json_put_number(to, "mid", interval.mid, reason);
    json_put_number(to, "high", interval.high, reason);
}

static void put_part(json_t *parts, const char *name, uint64_t bytes, const char *what)
{
    json_t *o = json_object();
    json_put_string(o, "name", name, "");
    json_put_integer(o, "bytes", bytes);
    json_put_string(o, "what", what, "");
    json_array_append_new(parts, o);
}

static json_t *memory_json(const struct estimate *estimate, const struct estimate_machine *machine)
{
    char kv[120];
    json_t *o = json_object(), *parts = json_put_array(o, "parts");
    snprintf(kv, sizeof kv, "%u-bit keys and values of %u sequence%s of %u tokens", estimate->kv_bits,
             estimate->concurrency, estimate->concurrency == 1 ? "" : "s", estimate->context);
    put_part(parts, "weights", estimate->weight_bytes, "the files, mapped and used where they lie");
    put_part(parts, "kv_cache", estimate->kv_bytes, kv);
    put_part(parts, "scratch", estimate->scratch_bytes, "activations: the intermediate results of one step");
    put_part(parts, "program", estimate->program_bytes, "the program, its libraries and the tokenizer");
    json_put_integer(o, "weights_bytes", estimate->weight_bytes);
    json_put_integer(o, "kv_bytes", estimate->kv_bytes);
    json_put_integer(o, "scratch_bytes", estimate->scratch_bytes);
    json_put_integer(o, "program_bytes", estimate->program_bytes);
    json_put_integer(o, "total_bytes", estimate->total_bytes);
    json_put_integer(o, "kv_bytes_per_token", estimate->kv_bytes_per_token);
    json_put_integer(o, "first_prompt_bytes",
                     (uint64_t)estimate_resident_bytes(estimate, estimate->prompt + 1.0, estimate->prompt));
    if (machine->available_bytes < UINT64_MAX)
        json_put_integer(o, "available_bytes", machine->available_bytes);
    else
        json_put_null(o, "available_bytes", "this system does not tell");
    json_put_string(o, "fit", estimate_fit_name(estimate->fit), "");
    return o;
}

static void put_limit(json_t *o, const char *name, uint32_t value, const char *reason)
{
    if (value)
        json_put_integer(o, name, value);
    else
        json_put_null(o, name, reason);
}

static json_t *limits_json(const struct estimate *estimate)
{
    const char *reason = estimate->fit == ESTIMATE_FIT_UNKNOWN ? "the memory of this machine is not known"
                                                               : "the weights leave no room for a context";
    json_t *o = json_object();
    bool known = estimate->max_context > 0;
    put_limit(o, "max_context", estimate->max_context, reason);
    put_limit(o, "max_concurrency", estimate->max_concurrency,
              known ? "not even one sequence of this context fits" : reason);
    put_limit(o, "model_context", estimate->model_context, "the model does not say");
    return o;
}

static json_t *parts_json(const struct forecast *forecast)
{
    json_t *o = json_object();
    json_put_number(o, "weights_ms", forecast->products_ms, "");
    json_put_number(o, "attention_ms", forecast->attention_ms, "");
    json_put_number(o, "rows_ms", forecast->rows_ms, "");
    json_put_number(o, "stages_ms", forecast->stages_ms, "");
    json_put_number(o, "sampling_ms", forecast->sampling_ms, "");
    json_put_number(o, "total_ms", forecast->total_ms, "");
    return o;
}

static json_t *speed_json(const struct estimate *estimate)
{
    const char *reason = estimate->reason[0] ? estimate->reason : "not known";
    json_t *o = json_object();
    json_put_bool(o, "calibrated", estimate->calibrated);
    json_put_string(o, "note", estimate->reason[0] ? estimate->reason : NULL, "nothing to add");
    json_put_integer(o, "prompt_tokens", estimate->prompt);
    put_interval(o, "decode_tokens_per_second", estimate->decode, reason);
    put_interval(o, "decode_tokens_per_second_all", estimate->decode_all, reason);
    put_interval(o, "decode_tokens_per_second_full_context", estimate->decode_deepest, reason);
    put_interval(o, "prefill_tokens_per_second", estimate->prefill, reason);
    put_interval(o, "ttft_ms", estimate->ttft_ms, reason);
    json_put_number(o, "weight_bytes_per_step", estimate->streamed_bytes, "");
    json_put_number(o, "kv_bytes_per_step", estimate->kv_read_bytes, "");
    json_put_number(o, "read_gbps", estimate->read_gbps > 0 ? estimate->read_gbps : NAN, reason);
    if (estimate->calibrated) {
        json_object_set_new(o, "decode_parts", parts_json(&estimate->step));
        json_object_set_new(o, "prefill_parts", parts_json(&estimate->prompt_step));
    } else {
        json_put_null(o, "decode_parts", reason);
        json_put_null(o, "prefill_parts", reason);
    }
    return o;
}

static void put_model(json_t *o, const struct model *model, const char *name)
{
    const struct model_info *info = model_info(model);
    json_put_string(o, "model", name, "not known");
    json_put_bool(o, "supported", true);
    json_put_string(o, "architecture", info->architecture, "not known");
    json_put_string(o, "needs", NULL, "it is supported");
    json_put_string(o, "quantization", info->quantization, "not known");
    json_put_integer(o, "parameters", info->parameters);
    json_put_string(o, "from", model_plan(model)->shapes_only ? "configuration" : "weights", "");
}

json_t *estimate_json(const struct estimate *estimate, const struct model *model, const char *name,
                      const struct estimate_machine *machine)
{
    json_t *o = json_object();
    put_model(o, model, name);
    json_put_integer(o, "context", estimate->context);
    json_put_integer(o, "concurrency", estimate->concurrency);
    json_put_integer(o, "kv_bits", estimate->kv_bits);
    json_put_integer(o, "prefill_chunk", estimate->prefill_chunk);
    json_object_set_new(o, "memory", memory_json(estimate, machine));
    json_object_set_new(o, "limits", limits_json(estimate));
    json_object_set_new(o, "speed", speed_json(estimate));
    json_object_set_new(o, "machine", estimate_machine_json(machine));
    return o;
}

/* ---- a path ---- */

/* With its weights where they are, which is exact; of its configuration where there are none. */
static int open_model(const char *path, const json_t *config, const char *name, struct model **out,
                      struct error *error)
{
    struct error problem = {0};
    *out = NULL;
    if (file_is_folder(path)) {
        int status = model_open(path, out, &problem);
        if (status != ERROR_NOT_FOUND)
            return status ? error_set(error, status, "%s", problem.message) : 0;
    }
    return model_shape_compile(config, name, out, error);
}

static json_t *unsupported_json(const json_t *config, const char *name, const struct error *problem,
                                const struct estimate_machine *machine)
{
    const char *architecture = model_shape_architecture(config), *needs = model_shape_needs(architecture);
    const char *reason = "the model cannot be run, so there is nothing to estimate";
    json_t *o = json_object();
    json_put_string(o, "model", name, "not known");
    json_put_bool(o, "supported", false);
    json_put_string(o, "supported_reason", problem->message, "");
    json_put_string(o, "architecture", architecture, "not known");
    json_put_string(o, "needs", needs, "this architecture is not known here yet");
    static const char *const nulls[] = {"quantization", "parameters", "from",          "context",
                                        "concurrency",  "kv_bits",    "prefill_chunk", "memory",
                                        "limits",       "speed",      "what_if"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        json_put_null(o, nulls[i], reason);
    json_object_set_new(o, "machine", estimate_machine_json(machine));
    return o;
}

static int answer(const struct model *model, const json_t *config, const char *name,
                  const struct estimate_options *options, const struct estimate_machine *machine,
                  json_t **out, struct error *error)
{
    struct estimate estimate;
    struct what_if what_if;
    int status = estimate_model(model, options, machine, &estimate, error);
    if (!status)
        status = what_if_forecast(model, config, machine, options->isa, &what_if, error);
    if (status)
        return status;
    json_t *o = estimate_json(&estimate, model, name, machine);
    json_t *table = what_if_json(&what_if, estimate.prompt, estimate.kv_bits);
    if (!o || !table || json_object_set_new(o, "what_if", table)) {
        json_decref(o);
        return error_memory(error, "an estimate", 0);
    }
    *out = o;
    return 0;
}

/* The bytes of a step decide how much has to be read to know how fast that goes. */
static uint64_t step_bytes(const struct model *model)
{
    struct plan_step step = {
        .n_tokens = 1, .n_outputs = 1, .n_sequences = 1, .context = ESTIMATE_PROMPT, .kv_bits = 16};
    struct plan_cost cost = plan_step_cost(model_plan(model), &step);
    return (uint64_t)(cost.weight_bytes + cost.kv_read_bytes);
}

int estimate_path(const char *path, const char *name, const struct estimate_options *options,
                  uint32_t n_threads, enum estimate_pace how, json_t **out, struct error *error)
{
    json_t *config;
    struct model *model = NULL;
    struct estimate_machine machine;
    struct error problem = {0};
    *out = NULL;
    int status = model_shape_read(path, &config, error);
    if (status)
        return status;
    status = open_model(path, config, name, &model, &problem);
    bool unsupported = status == ERROR_UNSUPPORTED;
    if (unsupported || !status)
        estimate_machine_read(options->isa, n_threads, unsupported ? ESTIMATE_PACE_KEPT : how,
                              unsupported ? 0 : step_bytes(model), &machine);
    if (unsupported) {
        *out = unsupported_json(config, name, &problem, &machine);
        status = *out ? 0 : error_memory(error, "an estimate", 0);
    } else if (status) {
        status = error_set(error, status, "%s", problem.message);
    } else {
        status = answer(model, config, name, options, &machine, out, error);
    }
    model_close(model);
    json_decref(config);
    return status;
}

/* ---- for a list ---- */

enum { KEPT = 64 };

/* What a model's files came to: plans cost milliseconds, lists are asked for every few seconds. */
struct kept {
    char path[PATH_MAX];
    struct timespec changed;
    struct model *model; /* NULL: it cannot be used, and reason says why */
    char reason[ESTIMATE_REASON];
};
static struct {
    pthread_mutex_t lock;
    struct kept *models[KEPT];
    uint32_t next;
} list = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void kept_free(struct kept *kept)
{
    if (!kept)
        return;
    model_close(kept->model);
    free(kept);
}

/* Under list.lock. Of the configuration alone: a list must not keep weights mapped. */
static struct kept *open_kept(const char *path)
{
    char file[PATH_MAX];
    struct stat status;
    json_t *config = NULL;
    struct error error = {0};
    if (file_join(file, sizeof file, path, "config.json", NULL) || stat(file, &status))
        return NULL;
    uint32_t slot = list.next;
    for (uint32_t i = 0; i < KEPT && list.models[i]; i++)
        if (strcmp(list.models[i]->path, path) == 0) {
            if (memcmp(&list.models[i]->changed, &status.st_mtim, sizeof status.st_mtim) == 0)
                return list.models[i];
            slot = i;
        }
    struct kept *kept = calloc(1, sizeof *kept);
    if (!kept)
        return NULL;
    snprintf(kept->path, sizeof kept->path, "%s", path);
    kept->changed = status.st_mtim;
    if (model_shape_read(path, &config, &error) ||
        model_shape_compile(config, "listed", &kept->model, &error))
        snprintf(kept->reason, sizeof kept->reason, "%.200s", error.message);
    json_decref(config);
    kept_free(list.models[slot]);
    list.models[slot] = kept;
    if (slot == list.next)
        list.next = (list.next + 1) % KEPT;
    return kept;
}

static void put_badge(json_t *o, const struct estimate *estimate, const struct estimate_machine *machine)
{
    json_t *fit = json_put_object(o, "fit");
    json_put_string(fit, "verdict", estimate_fit_name(estimate->fit), "");
    json_put_integer(fit, "total_bytes", estimate->total_bytes);
    if (machine->available_bytes < UINT64_MAX)
        json_put_integer(fit, "available_bytes", machine->available_bytes);
    else
        json_put_null(fit, "available_bytes", "this system does not tell");
    json_put_integer(fit, "context", estimate->context);
    put_interval(o, "decode_tokens_per_second", estimate->decode,
                 estimate->reason[0] ? estimate->reason : "not known");
    json_put_bool(o, "calibrated", estimate->calibrated);
}

json_t *estimate_badge(const char *path, const struct estimate_machine *machine)
{
    struct estimate estimate;
    struct error error = {0};
    const char *reason = "the model cannot be read";
    json_t *o = json_object();
    pthread_mutex_lock(&list.lock);
    const struct kept *kept = open_kept(path);
    bool known = kept && kept->model &&
                 estimate_model(kept->model, &(struct estimate_options){0}, machine, &estimate, &error) == 0;
    if (known) {
        put_badge(o, &estimate, machine);
    } else {
        if (kept)
            reason = kept->model ? error.message : kept->reason;
        json_put_null(o, "fit", reason);
        json_put_null(o, "decode_tokens_per_second", reason);
        json_put_bool(o, "calibrated", machine->calibrated);
    }
    pthread_mutex_unlock(&list.lock);
    return o;
}
