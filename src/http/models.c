/* Models: what there is, what is loaded, loading and unloading. Names are those of the catalogue, never
 * paths: what is not in the list does not exist here, whatever lies on the disk. Adapters are named alike.
 */
#include <limits.h>
#include <string.h>

#include "http/exchange.h"
#include "http/fields.h"
#include "http/models_estimate.h"
#include "http/profiling.h"
#include "http/router.h"
#include "platform/clock.h"
#include "profile/json_get.h"
#include "service/catalog.h"
#include "service/figures.h"
#include "service/host.h"
#include "service/performance.h"
#include "service/removal.h"

enum {
    NAME_BYTES = 512,
    LOAD_WAIT_MS = 60000, /* for running answers to end, and for another change of models */
    UNLOAD_WAIT_MS = 30000
};

/* ---- the list ---- */

static void put_count(struct figures *figures, json_t *object, const char *name, uint64_t value,
                      const char *reason)
{
    if (value)
        figures_count(figures, object, name, value);
    else
        figures_null(figures, object, name, reason);
}

static void put_entry(struct figures *figures, json_t *list, const struct catalog_entry *entry, bool loaded,
                      const struct estimate_machine *machine)
{
    json_t *item = figures_item(figures, list);
    const struct model_summary *summary = &entry->summary;
    const char *reason = entry->problem ? entry->problem : "the model's files do not say";
    figures_text(figures, item, "name", entry->name, "");
    figures_text(figures, item, "source", entry->source, "");
    figures_text(figures, item, "architecture", summary->architecture, reason);
    figures_text(figures, item, "quantization", summary->quantization, reason);
    put_count(figures, item, "parameters", summary->parameters, reason);
    put_count(figures, item, "size_bytes", summary->file_bytes, reason);
    put_count(figures, item, "context", summary->context, reason);
    figures_flag(figures, item, "supported", summary->supported && !entry->problem);
    figures_flag(figures, item, "loaded", loaded);
    if (json_object_set_new(item, "problem", entry->problem ? json_string(entry->problem) : json_null()))
        figures->failed = true;
    models_put_badge(figures, item, entry->path, machine);
}

static void get_models(struct http_exchange *exchange)
{
    struct catalog catalog = {0};
    struct host_state state;
    struct estimate_machine machine;
    struct error error = {0};
    struct figures figures = {0};
    host_state(http_services(exchange)->host, &state);
    if (catalog_scan(&catalog, &error) ||
        (state.has_info && catalog_add_served(&catalog, state.model, state.info.model_path, &error))) {
        catalog_free(&catalog);
        http_reply_error(exchange, &error, NULL);
        return;
    }
    models_read_machine(&state, &machine);
    json_t *body = json_object();
    json_t *list = figures_array(&figures, body, "models");
    for (size_t i = 0; i < catalog.count; i++) {
        bool loaded = state.has_info && strcmp(catalog.entries[i].name, state.model) == 0;
        put_entry(&figures, list, &catalog.entries[i], loaded, &machine);
    }
    figures_text(&figures, body, "loaded", state.has_info ? state.model : NULL,
                 state.phase == HOST_EMPTY ? "no model is loaded; the next request loads one"
                                           : "a model is being loaded");
    catalog_free(&catalog);
    if (figures.failed) {
        json_decref(body);
        body = NULL;
    }
    http_reply_json(exchange, 200, body);
}

/* ---- loading ---- */

/* false: answered. */
static bool read_options(struct http_exchange *exchange, const json_t *options, struct host_load_options *out)
{
    static const char *const known[] = {"threads", "context",       "max_sequences", "prefill_chunk",
                                        "kv_bits", "prompt_lookup", "backend",       "isa",
                                        "precise", "adapter"};
    int64_t threads = 0, context = 0, sequences = 0, chunk = 0, bits = 0, lookup = 0;
    bool precise = false;
    *out = (struct host_load_options){.precise = -1, .prompt_lookup = -1};
    if (!options)
        return true;
    if (!http_fields_known(exchange, options, known, sizeof known / sizeof *known) ||
        !http_field_integer(exchange, options, "threads", 1, 1024, &threads) ||
        !http_field_integer(exchange, options, "context", 1, 1 << 24, &context) ||
        !http_field_integer(exchange, options, "max_sequences", 1, 1024, &sequences) ||
        !http_field_integer(exchange, options, "prefill_chunk", 1, 65536, &chunk) ||
        !http_field_integer(exchange, options, "kv_bits", 8, 32, &bits) ||
        !http_field_integer(exchange, options, "prompt_lookup", 0, ENGINE_MAX_PROMPT_LOOKUP, &lookup) ||
        !http_field_string(exchange, options, "backend", 32, &out->backend) ||
        !http_field_string(exchange, options, "isa", 32, &out->isa) ||
        !http_field_string(exchange, options, "adapter", NAME_BYTES, &out->adapter) ||
        !http_field_boolean(exchange, options, "precise", &precise))
        return false;
    if (bits != 0 && bits != 8 && bits != 16 && bits != 32) {
        http_reply_problem(exchange, 400, "invalid_value", "kv_bits", "'kv_bits' is 8, 16 or 32, not %d",
                           (int)bits);
        return false;
    }
    out->n_threads = (uint32_t)threads;
    out->context = (uint32_t)context;
    out->max_sequences = (uint32_t)sequences;
    out->prefill_chunk = (uint32_t)chunk;
    out->kv_bits = (uint32_t)bits;
    if (http_field_given(options, "prompt_lookup"))
        out->prompt_lookup = (int)lookup;
    if (http_field_given(options, "precise"))
        out->precise = precise;
    return true;
}

/* A path is told apart from a name that is merely unknown, which host_load refuses with the nearest one. */
static bool check_name(struct http_exchange *exchange, const char *name)
{
    if (catalog_name_is_safe(name))
        return true;
    http_reply_problem(exchange, 400, "invalid_model_name", "model",
                       "'model' is a name from GET /api/models, not a path");
    return false;
}

/* The adapter's name, as it was asked for, becomes its folder, written to path. false: answered. */
static bool find_adapter(struct http_exchange *exchange, struct host_load_options *options, char *path,
                         size_t path_bytes)
{
    const char *name = options->adapter;
    struct error error = {0};
    if (!name || !*name)
        return true;
    if (!catalog_adapter_name_is_safe(name)) {
        http_reply_problem(exchange, 400, "invalid_adapter_name", "adapter",
                           "'adapter' is the name of an adapter's folder among the models, not a path");
        return false;
    }
    if (host_find_adapter(http_services(exchange)->host, name, path, path_bytes, &error)) {
        http_reply_error(exchange, &error, "adapter");
        return false;
    }
    options->adapter = path;
    return true;
}

/* The field to blame: the worker names the adapter's files wherever something is wrong with them. */
static const char *refused_field(const struct host_load_options *options, const struct error *error)
{
    bool in_adapter =
        strstr(error->message, "adapter_config.json") || strstr(error->message, "adapters.safetensors");
    return options->adapter && *options->adapter && in_adapter ? "adapter" : "model";
}

static void reply_change_error(struct http_exchange *exchange, const struct error *error, const char *param)
{
    if (error->code == ERROR_BUSY)
        http_reply_problem(exchange, 409, "model_busy", "model", "%s", error->message);
    else
        http_reply_error(exchange, error, param);
}

/* A run measures a machine on which nobody loads anything. false: answered. */
static bool check_no_run(struct http_exchange *exchange)
{
    json_t *running = jobs_running(http_services(exchange)->jobs);
    const char *id = json_get_string(running, "run_id");
    if (id)
        profiling_reply_busy(
            exchange, id,
            "a profiling run is going on; models are loaded and unloaded when it is over, or "
            "after DELETE /api/profiling/runs/{its id}");
    json_decref(running);
    return !id;
}

static void reply_loaded(struct http_exchange *exchange, struct model_host *host, double waited_ms)
{
    struct host_state state;
    struct figures figures = {0};
    host_state(host, &state);
    json_t *body = json_object();
    performance_put_model(&figures, body, &state);
    figures_number(&figures, body, "load_ms", state.has_info ? state.info.load_ms : waited_ms, "");
    figures_number(&figures, body, "waited_ms", waited_ms, "");
    if (figures.failed) {
        json_decref(body);
        body = NULL;
    }
    http_reply_json(exchange, 200, body);
}

static void load(struct http_exchange *exchange, const json_t *body)
{
    static const char *const known[] = {"model", "options", "unload_current"};
    struct model_host *host = http_services(exchange)->host;
    const char *name = NULL;
    char adapter[PATH_MAX];
    json_t *options = NULL;
    bool unload_current = true;
    struct host_load_options chosen;
    struct error error = {0};
    if (!http_fields_known(exchange, body, known, sizeof known / sizeof *known) ||
        !http_field_required(exchange, body, "model") ||
        !http_field_string(exchange, body, "model", NAME_BYTES, &name) ||
        !http_field_object(exchange, body, "options", &options) ||
        !http_field_boolean(exchange, body, "unload_current", &unload_current) ||
        !read_options(exchange, options, &chosen) || !check_name(exchange, name) ||
        !find_adapter(exchange, &chosen, adapter, sizeof adapter) || !check_no_run(exchange))
        return;
    uint64_t start = clock_now_ns();
    if (host_load(host, name, &chosen, unload_current, LOAD_WAIT_MS, &error))
        reply_change_error(exchange, &error, refused_field(&chosen, &error));
    else
        reply_loaded(exchange, host, (double)(clock_now_ns() - start) / 1e6);
}

static void post_load(struct http_exchange *exchange)
{
    json_t *body = http_json_object(exchange, 0);
    if (body)
        load(exchange, body);
    json_decref(body);
}

/* ---- unloading ---- */

static void unload(struct http_exchange *exchange, const json_t *body)
{
    struct model_host *host = http_services(exchange)->host;
    struct host_state state;
    struct error error = {0};
    struct figures figures = {0};
    if (!http_fields_known(exchange, body, NULL, 0) || !check_no_run(exchange))
        return;
    host_state(host, &state);
    if (host_unload(host, UNLOAD_WAIT_MS, &error)) {
        reply_change_error(exchange, &error, "model");
        return;
    }
    json_t *answer = json_object();
    figures_text(&figures, answer, "unloaded", state.has_info ? state.model : NULL, "no model was loaded");
    http_reply_json(exchange, 200, answer);
}

static void post_unload(struct http_exchange *exchange)
{
    json_t *body = http_json_object(exchange, 1);
    if (body)
        unload(exchange, body);
    json_decref(body);
}

/* ---- deleting ---- */

static void delete_model(struct http_exchange *exchange)
{
    const struct services *services = http_services(exchange);
    const char *name = http_parameter(exchange, "id");
    uint64_t freed_bytes = 0;
    struct error error = {0};
    if (!models_check_name(exchange, name) || !check_no_run(exchange))
        return;
    int status = removal_run(services->host, services->downloads, name, &freed_bytes, &error);
    if (status == ERROR_BUSY)
        http_reply_problem(exchange, 409, "model_busy", "id", "%s", error.message);
    else if (status)
        http_reply_error(exchange, &error, "id");
    else
        http_reply_json(exchange, 200,
                        json_pack("{s:s, s:I}", "deleted", name, "freed_bytes", (json_int_t)freed_bytes));
}

static const struct http_route routes[] = {
    {"GET", "/api/models", get_models, "Every model there is, with what its files say", NULL, "ModelList", 0,
     false},
    {"GET", "/api/models/{id}/estimate", models_get_estimate,
     "What a model would need here and how fast it would be (?ctx=, ?concurrency=, ?kv_bits=)", NULL,
     "Estimate", 0, false},
    {"POST", "/api/models/load", post_load,
     "Loads a model, replacing the loaded one, and answers when it is ready", "ModelLoad", "ModelLoaded", 0,
     false},
    {"POST", "/api/models/unload", post_unload, "Unloads the model once its answers have ended", "Empty",
     "ModelUnloaded", 0, false},
    {"DELETE", "/api/models/{id}", delete_model,
     "Deletes a model of the hub's cache (with @REVISION one of its revisions); not while it is loaded", NULL,
     "ModelDeleted", 0, false},
};

const struct http_route_table model_routes = {routes, sizeof routes / sizeof *routes};
