/* Starting runs. What a request may say is profile/request.h's to check; here are the two rules that are the
 * server's own: no other machine is contacted unless the operator allowed it, and no file is read that is not
 * in the catalogue (the resolver that jobs were opened with sees to that).
 *
 * A run belongs to the history, not to the connection that asked for it: the handlers that answer when it is
 * done only wait, and stop waiting when their client leaves. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/budget.h"
#include "http/fields.h"
#include "http/profiling.h"
#include "profile/json_get.h"
#include "service/catalog.h"

enum { LOOK_MS = 250, MAX_WAIT_S = 86400 };

/* ---- refusals ---- */

void profiling_reply_busy(struct http_exchange *exchange, const char *id, const char *message)
{
    http_reply_json(exchange, 409,
                    json_pack("{s:{s:s, s:s, s:s, s:n, s:s?}}", "error", "message", message, "type",
                              "conflict_error", "code", "run_in_progress", "param", "run_id",
                              id && *id ? id : NULL));
}

/* The member that a message of profile/request.h begins with. */
static const char *blamed(const struct error *error, char *out, size_t capacity)
{
    size_t length = strcspn(error->message, ": ");
    if (error->message[length] != ':' || !length || length >= capacity)
        return NULL;
    while (length > 1 && error->message[length - 1] == '.') /* of "knobs." */
        length--;
    memcpy(out, error->message, length);
    out[length] = '\0';
    return out;
}

static void reply_not_started(struct http_exchange *exchange, const struct error *error, const char *busy_id)
{
    char name[64];
    if (error->code == ERROR_BUSY)
        profiling_reply_busy(exchange, busy_id, error->message);
    else if (error->code == ERROR_NOT_FOUND)
        http_reply_problem(exchange, 404, "model_not_found", "model_name", "%s", error->message);
    else
        http_reply_error(exchange, error,
                         error->code == ERROR_INVALID ? blamed(error, name, sizeof name) : NULL);
}

/* Other servers are the operator's to allow, and those that only this machine can reach once more. false:
 * answered. */
static bool check_target(struct http_exchange *exchange, const json_t *body)
{
    const struct services *services = http_services(exchange);
    if (!http_field_given(body, "target"))
        return true;
    if (!services->allow_remote_targets) {
        http_reply_problem(
            exchange, 403, "remote_targets_off", "target",
            "'target' names another server, and this one was not allowed to contact any: start "
            "it with --allow-remote-targets, or run llmind profile --target there");
        return false;
    }
    if (json_is_true(json_get(body, "target.allow_local")) && !services->allow_local_targets) {
        http_reply_problem(
            exchange, 403, "local_targets_off", "target.allow_local",
            "targets on this machine and in private networks are not allowed: start the server "
            "with --allow-local-targets, or run llmind profile --target --allow-local there");
        return false;
    }
    if (json_get(body, "target.key_env")) { /* or whoever asks could have a key of ours sent anywhere */
        http_reply_problem(exchange, 403, "target_key_off", "target.key_env",
                           "the keys of other servers are not used for requests over HTTP: run "
                           "llmind profile --target on the server's machine");
        return false;
    }
    return true;
}

/* ---- starting and waiting ---- */

static void note_gone(void *context)
{
    atomic_store((atomic_int *)context, 1);
}

bool profiling_start(struct http_exchange *exchange, const json_t *request, char id[JOBS_ID])
{
    int64_t wait_s = 0;
    struct error error = {0};
    atomic_int gone = 0;
    if (!http_query_integer(exchange, "wait_s", 0, MAX_WAIT_S, &wait_s) || !check_target(exchange, request))
        return false;
    int64_t looks = wait_s * 1000 / LOOK_MS;
    int status;
    http_watch(exchange, note_gone, &gone);
    struct jobs *jobs = http_services(exchange)->jobs;
    do {
        /* only asked again once nothing of ours runs: reading a request costs the run that goes on */
        while (looks > 0 && !atomic_load(&gone) && !jobs_idle(jobs, LOOK_MS))
            looks--;
        status = jobs_start(jobs, request, looks > 0 ? LOOK_MS : 0, id, &error);
    } while (status == ERROR_BUSY && looks-- > 0 && !atomic_load(&gone));
    http_unwatch(exchange);
    if (status)
        reply_not_started(exchange, &error, id);
    return status == 0;
}

/* Answers with what make() shows of the run when it is over. */
static void reply_when_over(struct http_exchange *exchange, const char *id, json_t *(*make)(const json_t *))
{
    struct jobs *jobs = http_services(exchange)->jobs;
    struct error error = {0};
    atomic_int gone = 0;
    json_t *row = NULL;
    int over = 0;
    http_watch(exchange, note_gone, &gone);
    while (over == 0 && !atomic_load(&gone))
        over = jobs_wait(jobs, id, LOOK_MS, &error);
    http_unwatch(exchange);
    if (over == 0) {
        http_reply_problem(exchange, 503, "cancelled", NULL,
                           "the client is gone, or the server is stopping; run %s is in the history", id);
        return;
    }
    if (over < 0 || jobs_get(jobs, id, &row, &error))
        http_reply_error(exchange, &error, NULL);
    else
        http_reply_json(exchange, 200, make(row));
    json_decref(row);
}

/* ---- one model ---- */

static bool is_kind(const json_t *body, const char *kind)
{
    return !http_field_given(body, "kind") || json_get_is(body, "kind", kind);
}

/* For the two that are about one model. false: answered. */
static bool check_single(struct http_exchange *exchange, const json_t *body)
{
    if (is_kind(body, "profile") && !http_field_given(body, "models"))
        return true;
    http_reply_problem(exchange, 400, "invalid_value", http_field_given(body, "models") ? "models" : "kind",
                       "this profiles one model, 'model_name'; for several there are "
                       "POST /api/profiling/compare-models and POST /api/profiling/batch");
    return false;
}

void profiling_post_run(struct http_exchange *exchange)
{
    char id[JOBS_ID];
    json_t *body = http_json_object(exchange, 1);
    if (body && check_single(exchange, body) && profiling_start(exchange, body, id))
        reply_when_over(exchange, id, profiling_seed_run);
    json_decref(body);
}

/* ---- in the background ---- */

void profiling_reply_started(struct http_exchange *exchange, const char *id)
{
    char url[128], events[160];
    json_t *ids = NULL;
    struct error error = {0};
    if (jobs_batch(http_services(exchange)->jobs, id, &ids, &error)) {
        http_reply_error(exchange, &error, NULL);
        return;
    }
    snprintf(url, sizeof url, "/api/profiling/runs/%s", id);
    snprintf(events, sizeof events, "%s/events", url);
    http_set_header(exchange, "Location", url);
    http_reply_json(exchange, 202,
                    json_pack("{s:s, s:s, s:o, s:s, s:s}", "status", "running", "run_id", id, "run_ids", ids,
                              "url", url, "events_url", events));
}

/* ---- several models ---- */

/* Every installed model that could be loaded here, with at least a tenth of the memory left for everything
 * else. */
static json_t *installed_models(struct error *error)
{
    struct catalog catalog = {0};
    json_t *names = json_array();
    uint64_t available = budget_available_bytes();
    int status = names ? catalog_scan(&catalog, error) : error_memory(error, "the list of models", 0);
    for (size_t i = 0; !status && i < catalog.count; i++) {
        const struct catalog_entry *entry = &catalog.entries[i];
        bool usable = !entry->problem && entry->summary.supported;
        bool fits = entry->summary.file_bytes <= available - available / 10;
        if (usable && fits && json_array_size(names) < REQUEST_MAX_MODELS)
            json_array_append_new(names, json_string(entry->name));
    }
    catalog_free(&catalog);
    if (!status && !json_array_size(names))
        status =
            error_set(error, ERROR_NOT_FOUND, "no installed model can be run here; GET /api/models says why");
    if (status) {
        json_decref(names);
        names = NULL;
    }
    return names;
}

/* The members kind and models of a request about several. false: answered. */
static bool fill_models(struct http_exchange *exchange, json_t *body, const char *kind)
{
    struct error error = {0};
    json_t *models = NULL;
    if (!http_field_array(exchange, body, "models", REQUEST_MAX_MODELS, &models))
        return false;
    if (!is_kind(body, kind)) {
        http_reply_problem(exchange, 400, "invalid_value", "kind", "'kind' can only be \"%s\" here", kind);
        return false;
    }
    if (http_field_given(body, "target")) {
        http_reply_problem(exchange, 400, "invalid_value", "target",
                           "'target' cannot be profiled beside models: use POST /api/profiling/run");
        return false;
    }
    if (!json_array_size(models) && (models = installed_models(&error)) == NULL) {
        http_reply_error(exchange, &error, "models");
        return false;
    }
    if (json_object_get(body, "models") != models)
        json_object_set_new(body, "models", models);
    return json_object_set_new(body, "kind", json_string(kind)) == 0;
}

void profiling_post_runs(struct http_exchange *exchange)
{
    char id[JOBS_ID];
    json_t *body = http_json_object(exchange, 1);
    bool compares = json_get_is(body, "kind", "compare");
    bool good = body && (compares ? fill_models(exchange, body, "compare") : check_single(exchange, body));
    if (good && profiling_start(exchange, body, id))
        profiling_reply_started(exchange, id);
    json_decref(body);
}

void profiling_post_compare(struct http_exchange *exchange)
{
    char id[JOBS_ID];
    json_t *body = http_json_list(exchange, "models");
    if (body && fill_models(exchange, body, "compare") && profiling_start(exchange, body, id))
        reply_when_over(exchange, id, profiling_seed_compare);
    json_decref(body);
}

void profiling_post_batch(struct http_exchange *exchange)
{
    char id[JOBS_ID];
    json_t *body = http_json_list(exchange, "models");
    if (body && fill_models(exchange, body, "profile") && profiling_start(exchange, body, id))
        profiling_reply_started(exchange, id);
    json_decref(body);
}
