/* A sweep: points from little load to much, each on its own, until the target is saturated or there are no
 * more. */
#include "profile/load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "platform/clock.h"
#include "profile/json_put.h"
#include "profile/load_internal.h"

enum { DEFAULT_PROMPT = 128, DEFAULT_TOKENS = 64, MOST_TOKENS = 1 << 20 };
static const double DEFAULT_DURATION_S = 10, MOST_DURATION_S = 86400, MOST_RATE = 10000,
                    DEFAULT_TTFT_MS = 1000, DEFAULT_ITL_MS = 100;

struct load_sweep {
    struct load_request request; /* with defaults filled in */
    const struct run_hooks *hooks;
    struct load_target *target;
    json_t *points, *samples;
    size_t n_points, n_planned, n_answered;
    bool saturated;
    double best_requests, best_tokens; /* of all points */
    double closed_tokens;              /* best of the closed ones */
};

/* ---- what was asked ---- */

static int fill_in(struct load_request *request, struct error *error)
{
    bool remote = request->target_url != NULL;
    if (remote == (request->model_path != NULL))
        return error_set(error, ERROR_INVALID, "either a model or a target");
    if (request->n_rates > LOAD_MAX_POINTS || request->n_concurrency > LOAD_MAX_POINTS)
        return error_set(error, ERROR_INVALID, "at most %d points", LOAD_MAX_POINTS);
    request->duration_s = request->duration_s != 0 ? request->duration_s : DEFAULT_DURATION_S;
    request->prompt_tokens = request->prompt_tokens ? request->prompt_tokens : DEFAULT_PROMPT;
    request->max_tokens = request->max_tokens ? request->max_tokens : DEFAULT_TOKENS;
    request->ttft_limit_ms = request->ttft_limit_ms != 0 ? request->ttft_limit_ms : DEFAULT_TTFT_MS;
    request->itl_limit_ms = request->itl_limit_ms != 0 ? request->itl_limit_ms : DEFAULT_ITL_MS;
    request->seed = request->seed ? request->seed : 1;
    if (!(request->duration_s > 0 && request->duration_s <= MOST_DURATION_S))
        return error_set(error, ERROR_INVALID, "duration: a point takes more than 0 and at most %.0f s",
                         MOST_DURATION_S);
    if (request->prompt_tokens > MOST_TOKENS || request->max_tokens > MOST_TOKENS)
        return error_set(error, ERROR_INVALID, "prompt tokens and max tokens: at most %d each", MOST_TOKENS);
    if (!(request->ttft_limit_ms > 0) || !(request->itl_limit_ms > 0))
        return error_set(error, ERROR_INVALID, "the limits of goodput must be more than 0 ms");
    for (size_t i = 0; i < request->n_rates; i++)
        if (!(request->rates[i] > 0 && request->rates[i] <= MOST_RATE))
            return error_set(error, ERROR_INVALID, "rate: more than 0 and at most %.0f requests/s",
                             MOST_RATE);
    for (size_t i = 0; i < request->n_concurrency; i++)
        if (request->concurrency[i] == 0 || request->concurrency[i] > LOAD_MAX_IN_FLIGHT)
            return error_set(error, ERROR_INVALID, "concurrency: 1 to %d requests at once",
                             LOAD_MAX_IN_FLIGHT);
    return 0;
}

static json_t *request_json(const struct load_request *request)
{
    json_t *o = json_object();
    json_t *rates = json_put_array(o, "rates"), *concurrency = json_put_array(o, "concurrency");
    for (size_t i = 0; i < request->n_rates; i++)
        json_array_append_new(rates, json_real(request->rates[i]));
    for (size_t i = 0; i < request->n_concurrency; i++)
        json_array_append_new(concurrency, json_integer(request->concurrency[i]));
    json_put_number(o, "duration_s", request->duration_s, "");
    json_put_integer(o, "prompt_tokens", request->prompt_tokens);
    json_put_integer(o, "max_tokens", request->max_tokens);
    json_put_number(o, "ttft_limit_ms", request->ttft_limit_ms, "");
    json_put_number(o, "itl_limit_ms", request->itl_limit_ms, "");
    json_put_integer(o, "seed", request->seed);
    return o;
}

/* ---- points ---- */

static void tell(const struct load_sweep *sweep, const char *step)
{
    size_t planned = sweep->n_planned, done = sweep->n_points;
    if (!sweep->hooks || !sweep->hooks->on_event)
        return;
    json_t *event = json_pack("{s:s, s:s, s:s}", "type", "phase", "phase", "load", "step", step);
    json_object_set_new(event, "progress", json_put_real(planned ? (double)done / (double)planned : NAN));
    json_object_set_new(event, "eta_s",
                        json_put_real(planned ? (double)(planned - done) * sweep->request.duration_s : NAN));
    if (event)
        sweep->hooks->on_event(sweep->hooks->context, event);
    json_decref(event);
}

static const atomic_int *cancel_of(const struct run_hooks *hooks)
{
    return hooks ? hooks->cancel : NULL;
}

static int run_point(struct load_sweep *sweep, bool closed, double asked, bool *saturated,
                     struct error *error)
{
    struct load_point point = {.closed = closed,
                               .asked = asked,
                               .duration_s = sweep->request.duration_s,
                               .seed = sweep->request.seed + sweep->n_points};
    char step[64];
    if (closed)
        snprintf(step, sizeof step, "%.0f at once", asked);
    else
        snprintf(step, sizeof step, "%.4g requests/s", asked);
    tell(sweep, step);
    int status = load_point_run(sweep->target, &point, cancel_of(sweep->hooks), error);
    *saturated = false;
    if (point.n > 0) {
        double tokens = load_tokens_per_s(&point), requests = load_requests_per_s(&point);
        /* what was given up when the run was stopped says nothing about the server */
        const char *why = status ? NULL : load_saturated(&point, tokens, closed ? sweep->closed_tokens : 0);
        *saturated = why != NULL;
        json_t *object = load_point_json(&point, &sweep->request, why);
        if (!object && !status)
            status = error_memory(error, "a load report", 0);
        json_array_append_new(sweep->points, object);
        load_samples_json(&point, sweep->n_points, sweep->samples);
        sweep->saturated = sweep->saturated || why;
        for (size_t i = 0; i < point.n; i++)
            sweep->n_answered += load_answered(&point.slots[i]);
        sweep->best_requests = fmax(sweep->best_requests, requests);
        sweep->best_tokens = fmax(sweep->best_tokens, tokens);
        if (closed)
            sweep->closed_tokens = fmax(sweep->closed_tokens, tokens);
        sweep->n_points++;
    }
    load_point_free(&point);
    return status;
}

/* From what one user alone could ask for, doubled until it is too much. */
static int double_rates(struct load_sweep *sweep, struct error *error)
{
    double alone_s = sweep->target->request_s;
    double rate = alone_s > 0 ? 0.5 / alone_s : 0.5;
    bool saturated = false;
    int status = 0;
    for (int i = 0; i < LOAD_MAX_POINTS && !status && !saturated && rate <= MOST_RATE; i++) {
        double most = LOAD_MAX_REQUESTS / (1.5 * sweep->request.duration_s);
        if (rate > most)
            break;
        status = run_point(sweep, false, rate, &saturated, error);
        rate *= 2;
    }
    return status;
}

static int run_points(struct load_sweep *sweep, struct error *error)
{
    const struct load_request *request = &sweep->request;
    bool saturated;
    int status = 0;
    sweep->n_planned = request->n_rates + request->n_concurrency;
    if (sweep->n_planned == 0)
        return double_rates(sweep, error);
    for (size_t i = 0; !status && i < request->n_concurrency; i++)
        status = run_point(sweep, true, request->concurrency[i], &saturated, error);
    for (size_t i = 0; !status && i < request->n_rates; i++)
        status = run_point(sweep, false, request->rates[i], &saturated, error);
    return status;
}

/* ---- the whole ---- */

static json_t *document(struct load_sweep *sweep, const char *created, int status, const char *message)
{
    json_t *o = json_object(), *tool = json_put_object(o, "tool");
    bool any = sweep->n_answered > 0;
    json_put_string(o, "schema", "llmind.load/1", "");
    json_put_string(o, "created", created, "");
    json_put_string(tool, "name", "llmind", "");
    json_put_string(tool, "version", version_number(), "");
    json_put_string(tool, "commit", version_commit(), "built outside a git checkout");
    json_put_string(o, "status",
                    status == ERROR_CANCELLED ? "cancelled"
                    : status || !any          ? "failed"
                                              : "success",
                    "");
    if (status || !any)
        json_put_string(o, "message", status ? message : "no request was answered", "");
    json_object_set(o, "target", sweep->target->info);
    json_object_set_new(o, "request", request_json(&sweep->request));
    if (sweep->saturated && any) {
        json_t *most = json_put_object(o, "saturation");
        json_put_number(most, "requests_per_s", sweep->best_requests, "");
        json_put_number(most, "output_tokens_per_s", sweep->best_tokens, "");
    } else
        json_put_null(o, "saturation",
                      any ? "no point was more than the target could serve" : "no request was answered");
    json_object_set(o, "points", sweep->points);
    json_object_set(o, "samples", sweep->samples);
    return o;
}

int load_run(const struct load_request *request, const struct run_hooks *hooks, json_t **out,
             struct error *error)
{
    struct error problem = {0};
    char created[32];
    struct load_sweep sweep = {.request = *request, .hooks = hooks};
    *out = NULL;
    int status = fill_in(&sweep.request, error);
    if (status)
        return status;
    clock_wall_rfc3339(created, sizeof created);
    tell(&sweep, "opening");
    status = request->target_url ? load_remote_open(&sweep.request, cancel_of(hooks), &sweep.target, error)
                                 : load_engine_open(&sweep.request, cancel_of(hooks), &sweep.target, error);
    if (status || !sweep.target)
        return status;
    sweep.points = json_array();
    sweep.samples = json_array();
    status = run_points(&sweep, &problem);
    *out = document(&sweep, created, status, problem.message);
    json_decref(sweep.points);
    json_decref(sweep.samples);
    sweep.target->close(sweep.target);
    if (status && error)
        *error = problem;
    return *out || status ? status : error_memory(error, "a load report", 0);
}
