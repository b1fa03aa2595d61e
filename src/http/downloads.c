/* Models from the hub: jobs that are started, watched, paused, taken up again and cancelled. What is wrong
 * with a model is known only when the hub has answered: it is the job's "error", not the answer to the
 * request. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/fields.h"
#include "http/router.h"
#include "http/sse.h"
#include "profile/json_get.h"
#include "service/downloads.h"

enum { NAME_BYTES = 512 };

static struct downloads *downloads_of(const struct http_exchange *exchange)
{
    return http_services(exchange)->downloads;
}

/* Takes over the job. */
static void reply(struct http_exchange *exchange, int status, int code, json_t *job,
                  const struct error *error, const char *param)
{
    if (!status)
        http_reply_json(exchange, code, job);
    else if (status == ERROR_UNSUPPORTED)
        http_reply_problem(exchange, 409, "download_over", NULL, "%s", error->message);
    else
        http_reply_error(exchange, error, param);
}

/* ---- starting and looking ---- */

static void start(struct http_exchange *exchange, const json_t *body)
{
    static const char *const known[] = {"model", "force"};
    const char *model = NULL;
    bool force = false;
    char url[80];
    json_t *job = NULL;
    struct error error = {0};
    if (!http_fields_known(exchange, body, known, sizeof known / sizeof *known) ||
        !http_field_required(exchange, body, "model") ||
        !http_field_string(exchange, body, "model", NAME_BYTES, &model) ||
        !http_field_boolean(exchange, body, "force", &force))
        return;
    int status = downloads_start(downloads_of(exchange), model, force, &job, &error);
    if (!status) {
        snprintf(url, sizeof url, "/api/models/downloads/%s", json_get_text(job, "id", ""));
        http_set_header(exchange, "Location", url);
    }
    reply(exchange, status, 202, job, &error, "model");
}

static void post_download(struct http_exchange *exchange)
{
    json_t *body = http_json_object(exchange, 0);
    if (body)
        start(exchange, body);
    json_decref(body);
}

static void get_downloads(struct http_exchange *exchange)
{
    json_t *list = downloads_list(downloads_of(exchange));
    http_reply_json(exchange, 200, list ? json_pack("{s:o}", "downloads", list) : NULL);
}

/* ---- one of them ---- */

static void with_job(struct http_exchange *exchange, int (*what)(struct downloads *downloads, const char *id,
                                                                 json_t **out, struct error *error))
{
    json_t *job = NULL;
    struct error error = {0};
    int status = what(downloads_of(exchange), http_parameter(exchange, "id"), &job, &error);
    reply(exchange, status, 200, job, &error, NULL);
}

static void get_download(struct http_exchange *exchange)
{
    with_job(exchange, downloads_get);
}

static void delete_download(struct http_exchange *exchange)
{
    with_job(exchange, downloads_cancel);
}

static void with_job_and_body(struct http_exchange *exchange,
                              int (*what)(struct downloads *downloads, const char *id, json_t **out,
                                          struct error *error))
{
    json_t *body = http_json_object(exchange, 1);
    if (body && http_fields_known(exchange, body, NULL, 0))
        with_job(exchange, what);
    json_decref(body);
}

static void post_pause(struct http_exchange *exchange)
{
    with_job_and_body(exchange, downloads_pause);
}

static void post_resume(struct http_exchange *exchange)
{
    with_job_and_body(exchange, downloads_resume);
}

/* ---- events ---- */

struct event_stream {
    struct downloads *downloads;
    char id[DOWNLOADS_ID];
    uint64_t version;
    atomic_bool gone;
};

static int events_next(void *context, struct buffer *out, int wait_ms)
{
    struct event_stream *stream = context;
    json_t *job = NULL;
    bool over = false;
    if (atomic_load(&stream->gone) || downloads_wait(stream->downloads, stream->id, &stream->version,
                                                     wait_ms > 0 ? (uint32_t)wait_ms : 0, &job, &over, NULL))
        return 0; /* or it was forgotten meanwhile */
    if (job)
        sse_json(out, over ? "end" : "progress", (int64_t)stream->version, job);
    return over ? 0 : 1;
}

static void events_gone(void *context)
{
    struct event_stream *stream = context;
    atomic_store(&stream->gone, true);
    downloads_wake(stream->downloads);
}

static void get_events(struct http_exchange *exchange)
{
    const char *id = http_parameter(exchange, "id");
    json_t *job = NULL;
    struct error error = {0};
    if (downloads_get(downloads_of(exchange), id, &job, &error)) {
        http_reply_error(exchange, &error, NULL);
        return;
    }
    json_decref(job);
    struct event_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        http_reply_problem(exchange, 503, "memory", NULL, "not enough memory for another stream");
        return;
    }
    stream->downloads = downloads_of(exchange);
    snprintf(stream->id, sizeof stream->id, "%s", id);
    http_reply_stream(exchange, &(struct http_source){.next = events_next,
                                                      .close = free,
                                                      .gone = events_gone,
                                                      .context = stream,
                                                      .endless = true}); /* a paused one has no end */
}

/* ---- routes ---- */

#define DOWNLOAD "/api/models/downloads/{id}"

static const struct http_route routes[] = {
    {"POST", "/api/models/download", post_download,
     "Fetches a model from the hub in the background, if it can be run and fits; what was begun goes on",
     "DownloadRequest", "202 Download", 0, false},
    {"GET", "/api/models/downloads", get_downloads, "Downloads since the server was started, oldest first",
     NULL, "DownloadList", 0, false},
    {"GET", DOWNLOAD, get_download, "One download", NULL, "Download", 0, false},
    {"DELETE", DOWNLOAD, delete_download,
     "Cancels a download (what has come stays, until the model is deleted); one that is over is forgotten",
     NULL, "Download", 0, false},
    {"GET", DOWNLOAD "/events", get_events,
     "The download as server-sent events when something has changed: \"progress\", at last \"end\"", NULL,
     NULL, 0, false},
    {"POST", DOWNLOAD "/pause", post_pause, "Pauses a download", "Empty", "Download", 0, false},
    {"POST", DOWNLOAD "/resume", post_resume,
     "Goes on with a download that was paused, cancelled or has failed; nothing is fetched twice", "Empty",
     "Download", 0, false},
};

const struct http_route_table download_routes = {routes, sizeof routes / sizeof *routes};
