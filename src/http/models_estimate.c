#include "http/models_estimate.h"

#include <limits.h>
#include <string.h>

#include "http/fields.h"
#include "profile/jobs.h"
#include "profile/json_get.h"
#include "service/catalog.h"
#include "service/host.h"

enum { MAX_CONTEXT = 1 << 27, MAX_CONCURRENCY = 1024 };

/* ---- the list ---- */

static uint64_t available_with(const struct host_state *state, uint64_t available)
{
    uint64_t sum, back = state->has_info && state->memory.known ? state->memory.anonymous_bytes : 0;
    return __builtin_add_overflow(available, back, &sum) ? UINT64_MAX : sum;
}

void models_read_machine(const struct host_state *state, struct estimate_machine *out)
{
    estimate_machine_read(NULL, 0, ESTIMATE_PACE_KEPT, 0, out);
    out->available_bytes = available_with(state, out->available_bytes);
}

void models_put_badge(struct figures *figures, json_t *item, const char *path,
                      const struct estimate_machine *machine)
{
    json_t *badge = path ? estimate_badge(path, machine) : NULL;
    json_t *speed = json_object_get(badge, "decode_tokens_per_second");
    json_t *reason = json_object_get(badge, "decode_tokens_per_second_reason");
    if (!badge) {
        figures_null(figures, item, "fit", "the model's folder is not known");
        figures_null(figures, item, "predicted_decode_tokens_per_second", "the model's folder is not known");
        figures_flag(figures, item, "calibrated", machine->calibrated);
        return;
    }
    bool failed = json_object_set(item, "predicted_decode_tokens_per_second", speed) ||
                  (reason && json_object_set(item, "predicted_decode_tokens_per_second_reason", reason)) ||
                  json_object_del(badge, "decode_tokens_per_second");
    if (reason)
        json_object_del(badge, "decode_tokens_per_second_reason");
    if (failed || json_object_update(item, badge))
        figures->failed = true;
    json_decref(badge);
}

/* ---- one model ---- */

/* false: answered. */
static bool read_query(struct http_exchange *exchange, struct estimate_options *out)
{
    int64_t context = 0, concurrency = 1, kv_bits = 16;
    if (!http_query_integer(exchange, "ctx", 1, MAX_CONTEXT, &context) ||
        !http_query_integer(exchange, "concurrency", 1, MAX_CONCURRENCY, &concurrency) ||
        !http_query_integer(exchange, "kv_bits", 8, 32, &kv_bits))
        return false;
    if (kv_bits != 8 && kv_bits != 16 && kv_bits != 32) {
        http_reply_problem(exchange, 400, "invalid_value", "kv_bits", "'kv_bits' is 8, 16 or 32, not %d",
                           (int)kv_bits);
        return false;
    }
    *out = (struct estimate_options){
        .context = (uint32_t)context, .concurrency = (uint32_t)concurrency, .kv_bits = (uint32_t)kv_bits};
    return true;
}

/* Measuring the pace takes every core for a second: not beside a timed run, nor beside an answer. */
static enum estimate_pace choose_pace(struct http_exchange *exchange, const struct host_state *state)
{
    json_t *running = jobs_running(http_services(exchange)->jobs);
    bool busy = json_get_string(running, "run_id") || (state->has_info && state->stats.active_sequences) ||
                state->phase == HOST_LOADING || state->phase == HOST_CHANGING;
    json_decref(running);
    return busy ? ESTIMATE_PACE_KEPT : ESTIMATE_PACE_RECENT;
}

/* The folder of a name in the list, or of the model that the command line named by its folder. */
static int find_model(const struct host_state *state, const char *name, char *path, struct error *error)
{
    if (state->has_info && strcmp(state->model, name) == 0 && strlen(state->info.model_path) < PATH_MAX) {
        memcpy(path, state->info.model_path, strlen(state->info.model_path) + 1);
        return 0;
    }
    return catalog_find(name, path, PATH_MAX, error);
}

bool models_check_name(struct http_exchange *exchange, const char *name)
{
    if (name && catalog_name_is_safe(name))
        return true;
    http_reply_problem(exchange, 400, "invalid_model_name", "id",
                       "the model is a name from GET /api/models, with %%2F for a slash, not a path");
    return false;
}

void models_get_estimate(struct http_exchange *exchange)
{
    const char *name = http_parameter(exchange, "id");
    struct estimate_options options;
    struct host_state state;
    struct error error = {0};
    char path[PATH_MAX];
    json_t *body;
    if (!read_query(exchange, &options))
        return;
    if (!models_check_name(exchange, name))
        return;
    host_state(http_services(exchange)->host, &state);
    int status = find_model(&state, name, path, &error);
    if (!status)
        status = estimate_path(path, name, &options, 0, choose_pace(exchange, &state), &body, &error);
    if (status)
        http_reply_error(exchange, &error, status == ERROR_NOT_FOUND ? "id" : "ctx");
    else
        http_reply_json(exchange, 200, body);
}
