/* The history over HTTP, and what happens in a run while it happens. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/profiling.h"
#include "http/sse.h"
#include "profile/json_get.h"

enum { DEFAULT_PAGE = 50, MAX_PAGE = 500 };

static struct jobs *jobs_of(const struct http_exchange *exchange)
{
    return http_services(exchange)->jobs;
}

/* Answers with the object (taken over, also when it is not used) or, when status is not 0, with the error. */
static void reply(struct http_exchange *exchange, int status, int code, json_t *object,
                  const struct error *error, const char *param)
{
    if (!status) {
        http_reply_json(exchange, code, object);
        return;
    }
    json_decref(object);
    http_reply_error(exchange, error, param);
}

/* ---- rows ---- */

void profiling_get_runs(struct http_exchange *exchange)
{
    int64_t limit = DEFAULT_PAGE;
    json_t *list = NULL;
    struct error error = {0};
    bool imported, by_origin;
    if (!http_query_integer(exchange, "limit", 1, MAX_PAGE, &limit) ||
        !http_query_boolean(exchange, "imported", &imported, &by_origin))
        return;
    const struct jobs_filter filter = {.model = http_query(exchange, "model"),
                                       .kind = http_query(exchange, "kind"),
                                       .status = http_query(exchange, "status"),
                                       .before = http_query(exchange, "before"),
                                       .imported = by_origin ? &imported : NULL,
                                       .limit = (uint32_t)limit};
    int status = jobs_list(jobs_of(exchange), &filter, &list, &error);
    reply(exchange, status, 200, list, &error, filter.before ? "before" : NULL);
}

json_t *profiling_find_run(struct http_exchange *exchange)
{
    json_t *row = NULL;
    struct error error = {0};
    if (jobs_get(jobs_of(exchange), http_parameter(exchange, "id"), &row, &error) == 0)
        return row;
    http_reply_error(exchange, &error, NULL);
    return NULL;
}

void profiling_with_run(struct http_exchange *exchange,
                        void (*what)(struct http_exchange *exchange, const json_t *body, const json_t *row))
{
    json_t *row = profiling_find_run(exchange);
    json_t *body = row ? http_json_object(exchange, 0) : NULL;
    if (body)
        what(exchange, body, row);
    json_decref(body);
    json_decref(row);
}

void profiling_get_run(struct http_exchange *exchange)
{
    json_t *row = profiling_find_run(exchange);
    if (row)
        http_reply_json(exchange, 200, row);
}

/* A run that goes on is cancelled; what was measured so far stays in the history, to be deleted next. */
void profiling_delete_run(struct http_exchange *exchange)
{
    struct jobs *jobs = jobs_of(exchange);
    const char *id = http_parameter(exchange, "id");
    struct error error = {0};
    int status = jobs_delete(jobs, id, &error);
    bool runs = status == ERROR_BUSY;
    if (runs)
        status = jobs_cancel(jobs, id, &error);
    if (status == ERROR_UNSUPPORTED)
        profiling_reply_busy(exchange, id, error.message);
    else
        reply(exchange, status, 200,
              json_pack("{s:s, s:s}", "run_id", id, "status", runs ? "cancelling" : "deleted"), &error, NULL);
}

/* ---- events ---- */

struct event_stream {
    struct jobs *jobs;
    char id[JOBS_ID];
    uint64_t after;
    atomic_bool gone;
};

static void write_event(const json_t *event, struct event_stream *stream, struct buffer *out)
{
    double number = json_get_positive(event, "number");
    if (number >= 1)
        stream->after = (uint64_t)number;
    sse_json(out, json_get_text(event, "type", "message"), (int64_t)stream->after,
             json_incref((json_t *)(uintptr_t)event));
}

static int events_next(void *context, struct buffer *out, int wait_ms)
{
    struct event_stream *stream = context;
    json_t *events = NULL;
    bool over = false;
    if (atomic_load(&stream->gone) || jobs_events(stream->jobs, stream->id, stream->after,
                                                  wait_ms > 0 ? (uint32_t)wait_ms : 0, &events, &over, NULL))
        return 0; /* or it was deleted meanwhile */
    size_t i;
    const json_t *event;
    json_array_foreach(events, i, event) {
        write_event(event, stream, out);
    }
    json_decref(events);
    return over ? 0 : 1;
}

static void events_gone(void *context)
{
    atomic_store(&((struct event_stream *)context)->gone, true);
}

/* The header that a browser sends when it connects again; ?after= for others. false: answered. */
static bool read_position(struct http_exchange *exchange, uint64_t *after)
{
    const char *header = http_header(exchange, "Last-Event-ID");
    int64_t query = 0;
    if (!http_query_integer(exchange, "after", 0, INT64_MAX, &query))
        return false;
    *after = (uint64_t)query;
    if (!header || !*header)
        return true;
    size_t digits = strspn(header, "0123456789");
    if (header[digits] || digits > 18) {
        http_reply_problem(exchange, 400, "invalid_value", "Last-Event-ID",
                           "Last-Event-ID is the number of the last event that was read");
        return false;
    }
    *after = strtoull(header, NULL, 10);
    return true;
}

void profiling_get_events(struct http_exchange *exchange)
{
    const char *id = http_parameter(exchange, "id");
    uint64_t after;
    json_t *events = NULL;
    bool over;
    struct error error = {0};
    if (!read_position(exchange, &after))
        return;
    if (jobs_events(jobs_of(exchange), id, after, 0, &events, &over, &error)) {
        http_reply_error(exchange, &error, NULL);
        return;
    }
    json_decref(events);
    struct event_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        http_reply_problem(exchange, 503, "memory", NULL, "not enough memory for another stream");
        return;
    }
    stream->jobs = jobs_of(exchange);
    stream->after = after;
    snprintf(stream->id, sizeof stream->id, "%s", id);
    http_reply_stream(
        exchange,
        &(struct http_source){.next = events_next, .close = free, .gone = events_gone, .context = stream});
}

/* ---- other machines' reports, and two runs ---- */

void profiling_post_import(struct http_exchange *exchange)
{
    char id[JOBS_ID], url[96];
    struct error error = {0};
    json_t *report = http_json_object(exchange, 0);
    if (!report)
        return;
    int status = jobs_import(jobs_of(exchange), report, id, &error);
    json_decref(report);
    if (status) {
        http_reply_error(exchange, &error, NULL);
        return;
    }
    snprintf(url, sizeof url, "/api/profiling/runs/%s", id);
    http_set_header(exchange, "Location", url);
    http_reply_json(exchange, 201, json_pack("{s:s, s:s}", "run_id", id, "url", url));
}

void profiling_get_diff(struct http_exchange *exchange)
{
    json_t *diff = NULL;
    struct error error = {0};
    const char *ids[2] = {http_query(exchange, "a"), http_query(exchange, "b")};
    for (int i = 0; i < 2; i++)
        if (!ids[i] || !*ids[i]) {
            http_reply_problem(exchange, 400, "missing_field", i ? "b" : "a",
                               "a diff is of two runs: ?a=ID&b=ID");
            return;
        }
    int status = jobs_diff(jobs_of(exchange), ids[0], ids[1], &diff, &error);
    reply(exchange, status, 200, diff, &error, NULL);
}
