/* Reading is strict: an unknown member is an error that names it (and usually a misspelt one), a wrong type
 * or a number out of range too. Nothing is repaired, because a run that measures something other than what
 * was asked for is worse than none.
 */
#include "profile/request.h"

#include <stdio.h>
#include <string.h>

#include "profile/configuration.h"
#include "profile/json_put.h"

enum { MAX_THREADS = 1024, MAX_CONTEXT = 1 << 24, MAX_CHUNK = 65536, MAX_BACKEND_BYTES = 32 };

static const char key_prefix[] = "LLMIND_TARGET_";

/* ---- values ---- */

struct reader {
    struct arena *arena;
    struct error *error;
    const char *where; /* "knobs.", or "" */
};

static int wrong(const struct reader *reader, const char *name, const char *wanted)
{
    return error_set(reader->error, ERROR_INVALID, "%s%s: %s is wanted", reader->where, name, wanted);
}

static int copy(const struct reader *reader, const char *text, const char **out)
{
    *out = arena_strdup(reader->arena, text);
    return *out ? 0 : error_memory(reader->error, "a profiling request", strlen(text));
}

static int read_text(const struct reader *reader, const json_t *value, const char *name, size_t max_bytes,
                     const char **out)
{
    const char *text = json_string_value(value);
    if (!text || !*text)
        return wrong(reader, name, "a text that is not empty");
    if (strlen(text) > max_bytes)
        return error_set(reader->error, ERROR_INVALID, "%s%s: %zu bytes are too long (at most %zu)",
                         reader->where, name, strlen(text), max_bytes);
    return copy(reader, text, out);
}

static int read_bool(const struct reader *reader, const json_t *value, const char *name, bool *out)
{
    if (!json_is_boolean(value))
        return wrong(reader, name, "true or false");
    *out = json_is_true(value);
    return 0;
}

static int read_u32(const struct reader *reader, const json_t *value, const char *name, uint32_t min,
                    uint32_t max, uint32_t *out)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < (json_int_t)min || number > (json_int_t)max)
        return error_set(reader->error, ERROR_INVALID, "%s%s: a whole number from %u to %u is wanted",
                         reader->where, name, min, max);
    *out = (uint32_t)number;
    return 0;
}

/* An array of texts, at most `capacity`; *n of them are in out already. */
static int read_texts(const struct reader *reader, const json_t *value, const char *name, size_t max_bytes,
                      const char **out, size_t capacity, size_t *n)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value))
        return wrong(reader, name, "an array of texts");
    if (count > capacity)
        return error_set(reader->error, ERROR_INVALID, "%s%s: %zu are too many (at most %zu)", reader->where,
                         name, count, capacity);
    for (size_t i = 0; i < count; i++) {
        int status = read_text(reader, json_array_get(value, i), name, max_bytes, &out[i]);
        if (status)
            return status;
    }
    *n = count;
    return 0;
}

/* ---- members ---- */

/* Calls visit for each member that is not null. */
static int read_members(const struct reader *reader, const json_t *object, const char *name,
                        int (*visit)(const struct reader *reader, const char *key, const json_t *value,
                                     struct profile_request *out),
                        struct profile_request *out)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return wrong(reader, name, "an object");
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        int status = json_is_null(value) ? 0 : visit(reader, key, value, out);
        if (status)
            return status;
    }
    return 0;
}

static int unknown(const struct reader *reader, const char *key, const char *known)
{
    return error_set(reader->error, ERROR_INVALID, "%s%.60s: there is no such member (there are %s)",
                     reader->where, key, known);
}

static int read_kv_bits(const struct reader *reader, const json_t *value, uint32_t *out)
{
    int status = read_u32(reader, value, "kv_bits", 8, 32, out);
    if (!status && *out != 8 && *out != 16 && *out != 32)
        return wrong(reader, "kv_bits", "8, 16 or 32");
    return status;
}

static int read_knob(const struct reader *reader, const char *key, const json_t *value,
                     struct profile_request *out)
{
    bool on = false;
    if (strcmp(key, "threads") == 0)
        return read_u32(reader, value, key, 1, MAX_THREADS, &out->knobs.threads);
    if (strcmp(key, "context") == 0)
        return read_u32(reader, value, key, 1, MAX_CONTEXT, &out->knobs.context);
    if (strcmp(key, "prefill_chunk") == 0)
        return read_u32(reader, value, key, 1, MAX_CHUNK, &out->knobs.prefill_chunk);
    if (strcmp(key, "prompt_lookup") == 0)
        return read_u32(reader, value, key, 0, ENGINE_MAX_PROMPT_LOOKUP, &out->knobs.prompt_lookup);
    if (strcmp(key, "kv_bits") == 0)
        return read_kv_bits(reader, value, &out->knobs.kv_bits);
    if (strcmp(key, "isa") == 0)
        return read_text(reader, value, key, REQUEST_MAX_NAME_BYTES, &out->knobs.isa);
    if (strcmp(key, "backend") == 0)
        return read_text(reader, value, key, REQUEST_MAX_NAME_BYTES, &out->knobs.backend);
    if (strcmp(key, "precise") == 0) {
        int status = read_bool(reader, value, key, &on);
        out->knobs.precise = on;
        return status;
    }
    return unknown(reader, key,
                   "threads, context, prefill_chunk, prompt_lookup, kv_bits, isa, backend, precise");
}

static int read_key_name(const struct reader *reader, const json_t *value, const char **out)
{
    int status = read_text(reader, value, "key_env", REQUEST_MAX_NAME_BYTES, out);
    if (!status && (!*out || strncmp(*out, key_prefix, sizeof key_prefix - 1) != 0))
        return wrong(reader, "key_env",
                     "the name of an environment variable that begins with LLMIND_TARGET_");
    return status;
}

static int read_target_member(const struct reader *reader, const char *key, const json_t *value,
                              struct profile_request *out)
{
    if (strcmp(key, "url") == 0)
        return read_text(reader, value, key, REQUEST_MAX_NAME_BYTES, &out->target_url);
    if (strcmp(key, "model") == 0)
        return read_text(reader, value, key, REQUEST_MAX_NAME_BYTES, &out->target_model);
    if (strcmp(key, "key_env") == 0)
        return read_key_name(reader, value, &out->target_key_env);
    if (strcmp(key, "allow_local") == 0)
        return read_bool(reader, value, key, &out->target_allow_local);
    return unknown(reader, key, "url, model, key_env, allow_local");
}

static int read_target(const struct reader *reader, const json_t *value, struct profile_request *out)
{
    if (json_is_string(value))
        return read_text(reader, value, "target", REQUEST_MAX_NAME_BYTES, &out->target_url);
    struct reader inner = {reader->arena, reader->error, "target."};
    int status = read_members(&inner, value, "", read_target_member, out);
    return status || out->target_url ? status : wrong(&inner, "url", "the address of a server");
}

/* {"model": "a", "backend": "mlx"} */
static int read_model_object(const struct reader *reader, const json_t *value, struct profile_model *out)
{
    struct reader inner = {reader->arena, reader->error, "models."};
    const char *key;
    json_t *member;
    int status = 0;
    json_object_foreach((json_t *)(uintptr_t)value, key, member) {
        if (strcmp(key, "model") == 0)
            status = read_text(&inner, member, key, REQUEST_MAX_NAME_BYTES, &out->name);
        else if (strcmp(key, "backend") != 0)
            status = unknown(&inner, key, "model, backend");
        else if (!json_is_null(member))
            status = read_text(&inner, member, key, MAX_BACKEND_BYTES, &out->backend);
        if (status)
            return status;
    }
    if (!out->name)
        return wrong(&inner, "model", "a text that is not empty");
    if (!out->backend)
        return 0;
    size_t bytes = strlen(out->name) + strlen(out->backend) + sizeof " ()";
    char *label = arena_alloc(reader->arena, bytes, 1);
    if (!label)
        return error_memory(reader->error, "a profiling request", bytes);
    snprintf(label, bytes, "%s (%s)", out->name, out->backend);
    out->label = label;
    return 0;
}

static int read_models(const struct reader *reader, const json_t *value, struct profile_request *out)
{
    size_t n = json_array_size(value);
    if (out->n_models)
        return error_set(reader->error, ERROR_INVALID, "models: model_name names a model already");
    if (!json_is_array(value))
        return wrong(reader, "models", "an array of texts, or of objects {model, backend}");
    if (n > REQUEST_MAX_MODELS)
        return error_set(reader->error, ERROR_INVALID, "models: %zu are too many (at most %d)", n,
                         REQUEST_MAX_MODELS);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);
        int status = json_is_object(item)
                         ? read_model_object(reader, item, &out->models[i])
                         : read_text(reader, item, "models", REQUEST_MAX_NAME_BYTES, &out->models[i].name);
        if (status)
            return status;
    }
    out->n_models = n;
    return 0;
}

static int read_model_name(const struct reader *reader, const json_t *value, struct profile_request *out)
{
    if (out->n_models)
        return error_set(reader->error, ERROR_INVALID, "model_name: models names models already");
    out->n_models = 1;
    return read_text(reader, value, "model_name", REQUEST_MAX_NAME_BYTES, &out->models[0].name);
}

static int read_configurations(const struct reader *reader, const json_t *value, struct profile_request *out)
{
    if (out->proves_run)
        return error_set(reader->error, ERROR_INVALID, "configurations: a proof has one, its recommendation");
    out->all_configurations = false;
    int status = read_texts(reader, value, "configurations", REQUEST_MAX_NAME_BYTES, out->configurations,
                            REQUEST_MAX_CONFIGURATIONS, &out->n_configurations);
    for (size_t i = 0; !status && i < out->n_configurations; i++)
        if (!configuration_known(out->configurations[i]))
            status = error_set(reader->error, ERROR_INVALID,
                               "configurations: there is none called '%.60s' (see 'llmind profile --help')",
                               out->configurations[i]);
    return status;
}

static int read_kind(const struct reader *reader, const json_t *value, struct profile_request *out)
{
    const char *kind = json_string_value(value);
    for (enum profile_kind i = PROFILE_MODEL; kind && i <= PROFILE_PROVE; i++)
        if (strcmp(kind, profile_kind_name(i)) == 0) {
            out->kind = i;
            return 0;
        }
    return wrong(reader, "kind", "\"profile\", \"compare\" or \"prove\"");
}

static int read_proves_member(const struct reader *reader, const char *key, const json_t *value,
                              struct profile_request *out)
{
    if (strcmp(key, "run_id") == 0)
        return read_text(reader, value, key, REQUEST_MAX_NAME_BYTES, &out->proves_run);
    if (strcmp(key, "recommendation") == 0) {
        out->n_configurations = 1;
        return read_text(reader, value, key, REQUEST_MAX_NAME_BYTES, &out->configurations[0]);
    }
    if (strcmp(key, "file_bytes") == 0) {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return wrong(reader, key, "a whole number");
        out->proves_file_bytes = (uint64_t)json_integer_value(value);
        return 0;
    }
    if (strcmp(key, "adapter") == 0)
        return read_text(reader, value, key, REQUEST_MAX_NAME_BYTES, &out->proves_adapter);
    return unknown(reader, key, "run_id, recommendation, file_bytes, adapter");
}

static int read_proves(const struct reader *reader, const json_t *value, struct profile_request *out)
{
    struct reader inner = {reader->arena, reader->error, "proves."};
    if (out->n_configurations)
        return error_set(reader->error, ERROR_INVALID, "configurations: a proof has one, its recommendation");
    int status = read_members(&inner, value, "", read_proves_member, out);
    if (!status && (!out->proves_run || !out->n_configurations))
        return wrong(reader, "proves", "a run_id and a recommendation");
    if (!status && !configuration_is_one(out->configurations[0]))
        return error_set(reader->error, ERROR_INVALID,
                         "proves.recommendation: '%.60s' is no configuration that can be tried",
                         out->configurations[0]);
    return status;
}

static int read_switch(const struct reader *reader, const char *key, const json_t *value,
                       struct profile_request *out)
{
    const struct {
        const char *name;
        bool *out;
    } switches[] = {{"quick_mode", &out->quick},
                    {"unload_current", &out->unload_current},
                    {"trace", &out->trace},
                    {"raw", &out->raw}};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (strcmp(key, switches[i].name) == 0)
            return read_bool(reader, value, key, switches[i].out);
    return unknown(reader, key,
                   "kind, model_name, models, quick_mode, repeats, test_prompts, max_tokens, configurations, "
                   "target, knobs, unload_current, trace, raw, proves");
}

static int read_member(const struct reader *reader, const char *key, const json_t *value,
                       struct profile_request *out)
{
    struct reader knobs = {reader->arena, reader->error, "knobs."};
    if (strcmp(key, "kind") == 0)
        return read_kind(reader, value, out);
    if (strcmp(key, "model_name") == 0)
        return read_model_name(reader, value, out);
    if (strcmp(key, "models") == 0)
        return read_models(reader, value, out);
    if (strcmp(key, "repeats") == 0)
        return read_u32(reader, value, key, 1, REQUEST_MAX_REPEATS, &out->repeats);
    if (strcmp(key, "max_tokens") == 0)
        return read_u32(reader, value, key, 1, REQUEST_MAX_TOKENS, &out->max_tokens);
    if (strcmp(key, "test_prompts") == 0)
        return read_texts(reader, value, key, REQUEST_MAX_PROMPT_BYTES, out->prompts, SCENARIO_MAX_PROMPTS,
                          &out->n_prompts);
    if (strcmp(key, "configurations") == 0)
        return read_configurations(reader, value, out);
    if (strcmp(key, "target") == 0)
        return read_target(reader, value, out);
    if (strcmp(key, "knobs") == 0)
        return read_members(&knobs, value, "", read_knob, out);
    if (strcmp(key, "proves") == 0)
        return read_proves(reader, value, out);
    return read_switch(reader, key, value, out);
}

/* What a proof has to have, and what only a proof may have. */
static int check_proof(struct profile_request *out, struct error *error)
{
    if (out->kind != PROFILE_PROVE && out->proves_run)
        return error_set(error, ERROR_INVALID, "proves: only a run of kind \"prove\" has it");
    if (out->kind != PROFILE_PROVE)
        return 0;
    if (!out->proves_run)
        return error_set(error, ERROR_INVALID, "proves: a proof is of a recommendation of a run");
    if (out->n_models != 1 || out->quick || out->n_configurations != 1)
        return error_set(error, ERROR_INVALID,
                         "kind: a proof has one model and one configuration, and no quick mode");
    if (out->repeats && out->repeats < REQUEST_MIN_BLOCKS)
        return error_set(error, ERROR_INVALID, "repeats: a proof has %d blocks or more", REQUEST_MIN_BLOCKS);
    out->all_configurations = out->trace = false;
    return 0;
}

int profile_request_read(const json_t *json, struct arena *arena, struct profile_request *out,
                         struct error *error)
{
    struct reader reader = {arena, error, ""};
    *out = (struct profile_request){.all_configurations = true, .trace = true, .knobs = {.precise = -1}};
    int status = read_members(&reader, json, "the request", read_member, out);
    if (!status && out->target_url && (out->n_models || out->kind != PROFILE_MODEL))
        return error_set(error, ERROR_INVALID,
                         "target: a server is measured by itself, without model_name, models and compare");
    return status ? status : check_proof(out, error);
}

/* ---- writing ---- */

const char *profile_kind_name(enum profile_kind kind)
{
    static const char *const kinds[] = {"profile", "compare", "prove"};
    return kinds[kind];
}

static void put_texts(json_t *o, const char *key, const char *const *texts, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_string(texts[i]));
    json_object_set_new(o, key, array);
}

static void put_text(json_t *o, const char *key, const char *text)
{
    if (text)
        json_object_set_new(o, key, json_string(text));
}

static void put_u32(json_t *o, const char *key, uint32_t value)
{
    if (value)
        json_put_integer(o, key, value);
}

/* Of one model, whose own backend is then the run's. */
static bool is_single(const struct profile_request *request)
{
    return request->kind != PROFILE_COMPARE && request->n_models == 1;
}

static json_t *models_json(const struct profile_request *request)
{
    json_t *array = json_array();
    for (size_t i = 0; i < request->n_models; i++) {
        const struct profile_model *model = &request->models[i];
        json_array_append_new(
            array, model->backend ? json_pack("{s:s, s:s}", "model", model->name, "backend", model->backend)
                                  : json_string(model->name));
    }
    return array;
}

static json_t *knobs_json(const struct profile_request *request)
{
    json_t *o = json_object();
    put_u32(o, "threads", request->knobs.threads);
    put_u32(o, "context", request->knobs.context);
    put_u32(o, "kv_bits", request->knobs.kv_bits);
    put_u32(o, "prefill_chunk", request->knobs.prefill_chunk);
    put_u32(o, "prompt_lookup", request->knobs.prompt_lookup);
    put_text(o, "isa", request->knobs.isa);
    const char *own = is_single(request) ? request->models[0].backend : NULL;
    put_text(o, "backend", own ? own : request->knobs.backend);
    if (request->knobs.precise >= 0)
        json_put_bool(o, "precise", request->knobs.precise);
    return o;
}

static json_t *target_json(const struct profile_request *request)
{
    json_t *o = json_object();
    put_text(o, "url", request->target_url);
    put_text(o, "model", request->target_model);
    put_text(o, "key_env", request->target_key_env);
    if (request->target_allow_local)
        json_put_bool(o, "allow_local", true);
    return o;
}

static json_t *proves_json(const struct profile_request *request)
{
    json_t *o = json_object();
    put_text(o, "run_id", request->proves_run);
    put_text(o, "recommendation", request->configurations[0]);
    if (request->proves_file_bytes)
        json_put_integer(o, "file_bytes", request->proves_file_bytes);
    put_text(o, "adapter", request->proves_adapter);
    return o;
}

json_t *profile_request_json(const struct profile_request *request)
{
    json_t *o = json_object(), *knobs = knobs_json(request);
    put_text(o, "kind", profile_kind_name(request->kind));
    if (is_single(request))
        put_text(o, "model_name", request->models[0].name);
    else if (request->n_models)
        json_object_set_new(o, "models", models_json(request));
    json_put_bool(o, "quick_mode", request->quick);
    put_u32(o, "repeats", request->repeats);
    if (request->n_prompts)
        put_texts(o, "test_prompts", request->prompts, request->n_prompts);
    put_u32(o, "max_tokens", request->max_tokens);
    if (request->proves_run)
        json_object_set_new(o, "proves", proves_json(request));
    else if (!request->all_configurations)
        put_texts(o, "configurations", request->configurations, request->n_configurations);
    if (request->target_url)
        json_object_set_new(o, "target", target_json(request));
    if (json_object_size(knobs))
        json_object_set(o, "knobs", knobs);
    json_decref(knobs);
    json_put_bool(o, "unload_current", request->unload_current);
    json_put_bool(o, "trace", request->trace);
    json_put_bool(o, "raw", request->raw);
    return o;
}

const char *profile_model_label(const struct profile_model *model)
{
    return model->label ? model->label : model->name;
}

struct engine_options profile_request_engine(const struct profile_request *request, size_t i)
{
    static const struct profile_model none = {0};
    const struct profile_model *model = i < request->n_models ? &request->models[i] : &none;
    const char *knob = request->knobs.backend;
    return (struct engine_options){.model = model->path,
                                   .adapter = model->adapter,
                                   .backend = model->backend ? model->backend
                                              : knob         ? knob
                                                             : model->served_backend,
                                   .isa = request->knobs.isa,
                                   .n_threads = request->knobs.threads,
                                   .context = request->knobs.context,
                                   .max_sequences = 1,
                                   .prefill_chunk = request->knobs.prefill_chunk,
                                   .prompt_lookup = request->knobs.prompt_lookup,
                                   .kv_bits = request->knobs.kv_bits,
                                   .precise = request->knobs.precise > 0};
}
