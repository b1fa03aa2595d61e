/* What runs right now: for load balancers (/health), Prometheus (/metrics), the page (/api/performance and
 * its stream) and people (/api/system). Nothing here waits for a model; /health does not even look at a
 * sensor.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"
#include "http/exchange.h"
#include "http/metrics.h"
#include "http/router.h"
#include "http/sse.h"
#include "platform/clock.h"
#include "profile/estimate_machine.h"
#include "profile/json_put.h"
#include "service/figures.h"
#include "service/performance.h"

/* ---- /health ---- */

static const char *health_status(const struct host_state *state)
{
    if (state->phase == HOST_LOADING || state->phase == HOST_CHANGING)
        return "loading";
    return state->phase == HOST_EMPTY && state->last_failure[0] ? "degraded" : "ok";
}

static void get_health(struct http_exchange *exchange)
{
    struct services *services = http_services(exchange);
    struct host_state state;
    struct figures figures = {0};
    host_state(services->host, &state);
    json_t *body = json_object();
    figures_text(&figures, body, "status", health_status(&state), "");
    figures_text(&figures, body, "version", version_number(), "");
    if (state.phase == HOST_EMPTY)
        figures_null(&figures, body, "model",
                     state.last_failure[0] ? state.last_failure
                                           : "no model is loaded; the next request loads one");
    else
        figures_text(&figures, body, "model", state.model, "it is being loaded");
    figures_number(&figures, body, "uptime_s", performance_uptime_s(services->performance), "");
    http_reply_json(exchange, 200, body);
}

/* ---- /metrics ---- */

static void get_metrics(struct http_exchange *exchange)
{
    struct services *services = http_services(exchange);
    struct live_snapshot live;
    struct host_state state;
    struct process_usage server, worker;
    struct error error = {0};
    if (live_read(services->live, &live, &error)) {
        http_reply_error(exchange, &error, NULL);
        return;
    }
    host_state(services->host, &state);
    process_usage_read(getpid(), &server);
    process_usage_read(state.worker_pid, &worker);
    struct buffer out = {0};
    metrics_write(&out, &(struct metrics){.uptime_s = performance_uptime_s(services->performance),
                                          .host = &state,
                                          .live = &live,
                                          .server = &server,
                                          .worker = &worker});
    live_snapshot_free(&live);
    if (out.failed)
        http_reply_problem(exchange, 500, "memory", NULL, "not enough memory for the metrics");
    else
        http_reply_bytes(exchange, 200, METRICS_CONTENT_TYPE, out.data, out.length);
    buffer_free(&out);
}

/* ---- /api/performance ---- */

static void get_performance(struct http_exchange *exchange)
{
    struct buffer out = {0};
    struct error error = {0};
    if (performance_read(http_services(exchange)->performance, &out, &error))
        http_reply_error(exchange, &error, NULL);
    else
        http_reply_bytes(exchange, 200, "application/json", out.data, out.length);
    buffer_free(&out);
}

struct performance_stream {
    struct performance *performance;
    uint64_t due_ns; /* when the next sample is sent; 0: at once */
    atomic_bool gone;
};

static void stream_wait(const struct performance_stream *stream, int wait_ms)
{
    uint64_t now = clock_now_ns();
    uint64_t wait = stream->due_ns > now ? stream->due_ns - now : 0;
    uint64_t most = wait_ms > 0 ? (uint64_t)wait_ms * 1000000 : 0;
    wait = wait < most ? wait : most;
    if (wait > 0)
        nanosleep(
            &(struct timespec){.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)},
            NULL);
}

/* Cut short by nothing: the server asks in waits so small that `gone` is seen soon. */
static int stream_next(void *context, struct buffer *out, int wait_ms)
{
    struct performance_stream *stream = context;
    stream_wait(stream, wait_ms);
    if (atomic_load(&stream->gone))
        return 0;
    if (clock_now_ns() < stream->due_ns)
        return 1;
    struct buffer sample = {0};
    int status = performance_read(stream->performance, &sample, NULL);
    if (!status)
        sse_text(out, NULL, -1, sample.data, sample.length);
    buffer_free(&sample);
    stream->due_ns = clock_now_ns() + performance_until_tick_ns(stream->performance);
    return status || out->failed ? 0 : 1;
}

static void stream_gone(void *context)
{
    atomic_store(&((struct performance_stream *)context)->gone, true);
}

static void get_performance_stream(struct http_exchange *exchange)
{
    struct performance_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        http_reply_problem(exchange, 503, "memory", NULL, "not enough memory for another stream");
        return;
    }
    stream->performance = http_services(exchange)->performance;
    http_reply_stream(
        exchange,
        &(struct http_source){
            .next = stream_next, .close = free, .gone = stream_gone, .context = stream, .endless = true});
}

/* ---- /api/system ---- */

/* Only what is known already: nothing is measured for this. */
static void get_system(struct http_exchange *exchange)
{
    struct calibration calibration;
    char reason[ESTIMATE_REASON];
    const struct services *services = http_services(exchange);
    json_t *body = performance_system(services->performance);
    bool known = calibration_load(NULL, 0, &calibration, reason, sizeof reason);
    if (body && known)
        json_object_set_new(body, "calibration", calibration_json(&calibration));
    else if (body)
        json_put_null(body, "calibration", reason);
    if (body)
        json_put_string(body, "data_folder", services->data_folder, services->data_folder_reason);
    http_reply_json(exchange, 200, body);
}

static const struct http_route routes[] = {
    {"GET", "/health", get_health,
     "Whether the server is up, and what it has loaded; answers at once, also while a model is loading", NULL,
     "Health", 0, false},
    {"GET", "/metrics", get_metrics, "Counters and histograms as Prometheus reads them (text/plain)", NULL,
     NULL, 0, false},
    {"GET", "/api/performance", get_performance, "One sample of the server and the machine", NULL,
     "Performance", 0, false},
    {"GET", "/api/performance/stream", get_performance_stream,
     "The same twice a second as server-sent events, each one a Performance", NULL, NULL, 0, false},
    {"GET", "/api/system", get_system, "What this machine and this program are", NULL, "System", 0, false},
};

const struct http_route_table live_routes = {routes, sizeof routes / sizeof *routes};
