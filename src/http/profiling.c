/* The routes of the profiler, and the two answers that are about no run: what goes on right now, and the
 * guide. Both are cheap: status takes its figures from the sample that everybody shares, and the guide takes
 * the machine's ceilings from the last run instead of measuring beside whatever is served. */
#include "http/profiling.h"

#include <stdio.h>
#include <string.h>

#include "http/router.h"
#include "profile/guide.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "service/performance.h"

enum { LINE_BYTES = 256, IMPORT_BODY = HTTP_MAX_BODY, RUN_BODY = 4 << 20 };

/* ---- status ---- */

/* A member of the sample under another name. Why it is not known may be said of the object it is in. */
static void put_figure(json_t *out, const char *name, const json_t *sample, const char *path, double factor)
{
    char parent[64] = "";
    const char *dot = strrchr(path, '.');
    snprintf(parent, sizeof parent, "%.*s", dot ? (int)(dot - path) : 0, path);
    const char *why = *parent ? json_get_reason(sample, parent, "the system does not tell") : "not measured";
    json_put_number(out, name, factor * json_get_number(sample, path), json_get_reason(sample, path, why));
}

static void put_gpu(json_t *out, const json_t *sample)
{
    if (json_get_array(sample, "gpus"))
        put_figure(out, "gpu_utilization", sample, "gpus.0.busy", 100);
    else
        json_put_null(out, "gpu_utilization", json_get_reason(sample, "gpus", "no GPU on this machine"));
}

static json_t *current_metrics(const json_t *sample)
{
    json_t *out = json_object();
    put_figure(out, "tokens_per_second", sample, "tokens_per_second", 1);
    json_t *memory = json_put_object(out, "memory_usage");
    double total = json_get_positive(sample, "memory.total_bytes");
    double available = json_get_positive(sample, "memory.available_bytes");
    json_put_number(memory, "used_gb", (total - available) / 1e9, "the system does not tell");
    json_put_number(memory, "total_gb", total / 1e9, "the system does not tell");
    put_figure(memory, "worker_gb", sample, "memory.worker.resident_bytes", 1e-9);
    put_gpu(out, sample);
    put_figure(out, "avg_response_time", sample, "response_s", 1);
    put_figure(out, "cpu_usage", sample, "cpu.busy", 100);
    put_figure(out, "temperature_c", sample, "cpu.temperature_c", 1);
    put_figure(out, "power_w", sample, "cpu.power_w", 1);
    return out;
}

static json_t *model_info(const json_t *sample)
{
    json_t *model = (json_t *)(uintptr_t)json_get_object(sample, "model");
    return model ? json_incref(model) : json_null();
}

static json_t *describe_system(struct services *services)
{
    char profile[LINE_BYTES];
    json_t *system = performance_system(services->performance);
    json_t *out = json_object();
    bool known = guide_hardware_profile(profile, sizeof profile) == 0;
    json_put_string(out, "hardware_profile", known ? profile : NULL, "the system does not tell");
    json_put_string(out, "cpu", json_get_string(system, "cpu.name"), "the system does not tell");
    json_put_number(out, "memory_gb", json_get_positive(system, "memory.total_bytes") / 1e9,
                    "the system does not tell");
    json_put_string(out, "os", json_get_string(system, "os.name"), "the system does not tell");
    json_put_string(out, "gpu", json_get_string(system, "gpus.0.name"),
                    json_get_reason(system, "gpus", "no GPU on this machine"));
    json_decref(system);
    return out;
}

static void get_status(struct http_exchange *exchange)
{
    struct services *services = http_services(exchange);
    struct buffer text = {0};
    struct error error = {0};
    if (performance_read(services->performance, &text, &error)) {
        http_reply_error(exchange, &error, NULL);
        buffer_free(&text);
        return;
    }
    json_t *sample = json_loadb(text.data, text.length, 0, NULL), *running = jobs_running(services->jobs);
    buffer_free(&text);
    json_t *body = NULL;
    if (sample && running) {
        body = json_pack("{s:s, s:b, s:b, s:O, s:o, s:o, s:o}", "status",
                         json_is_null(running) ? "idle" : "running", "profiling_available", 1,
                         "remote_targets", services->allow_remote_targets, "running", running,
                         "current_metrics", current_metrics(sample), "model_info", model_info(sample),
                         "system", describe_system(services));
        if (body && json_is_null(json_object_get(body, "model_info")))
            json_put_null(body, "model_info", json_get_reason(sample, "model", "no model is loaded"));
    }
    json_decref(sample);
    json_decref(running);
    http_reply_json(exchange, 200, body);
}

/* ---- guide ---- */

json_t *profiling_known_ceilings(struct jobs *jobs)
{
    const struct jobs_filter newest = {.status = "success", .imported = &(bool){false}, .limit = 20};
    json_t *list = NULL, *row = NULL, *found = NULL;
    if (jobs_list(jobs, &newest, &list, NULL))
        return NULL;
    const json_t *runs = json_get_array(list, "runs");
    for (size_t i = 0; !found && i < json_get_count(runs, ""); i++) {
        const json_t *run = json_get_item(runs, i);
        const char *id = json_get_string(run, "id");
        if (!id || jobs_get(jobs, id, &row, NULL))
            continue;
        found = json_incref((json_t *)(uintptr_t)json_get_object(row, "report.ceilings"));
        json_decref(row);
    }
    json_decref(list);
    return found;
}

static void get_guide(struct http_exchange *exchange)
{
    json_t *guide = NULL;
    struct error error = {0};
    json_t *ceilings = profiling_known_ceilings(http_services(exchange)->jobs);
    if (guide_read(http_query(exchange, "topic"), ceilings, &guide, &error))
        http_reply_error(exchange, &error, "topic");
    else
        http_reply_json(exchange, 200, guide);
    json_decref(ceilings);
}

/* ---- routes ---- */

#define RUN "/api/profiling/runs/{id}"

static const struct http_route routes[] = {
    {"POST", "/api/profiling/run", profiling_post_run,
     "Profiles a model and answers when it is done. The run goes on when the client leaves; ?wait_s= waits "
     "for another run to end.",
     "ProfilingRequest", "ProfilingResult", RUN_BODY, false},
    {"GET", "/api/profiling/status", get_status, "What runs and what the machine does; cheap enough to poll",
     NULL, "ProfilingStatus", 0, false},
    {"POST", "/api/profiling/compare-models", profiling_post_compare,
     "Compares models: an array of names, an object, or nothing for every installed model that fits",
     "CompareRequest", "CompareResult", RUN_BODY, false},
    {"GET", "/api/profiling/optimization-guide", get_guide,
     "What makes models faster, and which ones suit this machine; ?topic= for a part of it", NULL,
     "OptimizationGuide", 0, false},
    {"POST", "/api/profiling/runs", profiling_post_runs, "Starts a run in the background", "ProfilingRequest",
     "202 RunStarted", RUN_BODY, false},
    {"GET", "/api/profiling/runs", profiling_get_runs,
     "Past runs, newest first; ?model=, ?kind=, ?status=, ?imported=true or false, ?limit=, ?before=", NULL,
     "RunList", 0, false},
    {"POST", "/api/profiling/batch", profiling_post_batch,
     "Starts runs of several models, one after another, in the background", "ProfilingRequest",
     "202 RunStarted", RUN_BODY, false},
    {"POST", "/api/profiling/import", profiling_post_import,
     "Stores a report (llmind.report/1) from another machine, marked as such", "Report", "RunImported",
     IMPORT_BODY, false},
    {"GET", "/api/profiling/diff", profiling_get_diff, "Two stored runs side by side: ?a=ID&b=ID", NULL,
     "RunDiff", 0, false},
    {"GET", RUN, profiling_get_run, "One run: its row, what was asked for, and its report", NULL, "Run", 0,
     false},
    {"DELETE", RUN, profiling_delete_run, "Deletes a run; one that is running is cancelled and kept", NULL,
     "RunDeleted", 0, false},
    {"GET", RUN "/events", profiling_get_events,
     "What happens in a run as server-sent events, from the first, or from after Last-Event-ID", NULL, NULL,
     0, false},
    {"POST", RUN "/prove", profiling_post_prove,
     "Tries a recommendation of this run in turn with its baseline, in the background; the verdict is the "
     "new "
     "run's \"proof\", and is shown with the recommendation",
     "ProveRequest", "202 RunStarted", 0, false},
    {"POST", RUN "/apply", profiling_post_apply,
     "Writes the setting that a recommendation of this run is about; answers with its undo, and whether it "
     "was proved",
     "ApplyRequest", "RecommendationApplied", 0, false},
    {"POST", RUN "/undo", profiling_post_undo, "Puts a setting back: takes the \"undo\" of apply's answer",
     "SettingUndo", "SettingUndone", 0, false},
    {"POST", RUN "/narrate", profiling_post_narrate,
     "The loaded model, or another one, puts the analysis of this run into words; sentences with a figure "
     "that the "
     "report does not have, or another bottleneck, are left out",
     "NarrateRequest", "Narration", 0, false},
    {"GET", RUN "/report.json", profiling_get_report, "The report, llmind.report/1", NULL, "Report", 0,
     false},
    {"GET", RUN "/report.csv", profiling_get_report, "The report's samples as CSV", NULL, NULL, 0, false},
    {"GET", RUN "/report.md", profiling_get_report, "The report as Markdown", NULL, NULL, 0, false},
    {"GET", RUN "/report.txt", profiling_get_report, "The report as a terminal shows it", NULL, NULL, 0,
     false},
    {"GET", RUN "/report.html", profiling_get_report, "The report as one HTML file", NULL, NULL, 0, false},
    {"GET", RUN "/report.pdf", profiling_get_report, "The report as a PDF", NULL, NULL, 0, false},
    {"GET", RUN "/report.svg", profiling_get_report, "The same as charts.svg", NULL, NULL, 0, false},
    {"GET", RUN "/report.png", profiling_get_report, "The same as charts.png", NULL, NULL, 0, false},
    {"GET", RUN "/charts.svg", profiling_get_report, "The charts as SVG", NULL, NULL, 0, false},
    {"GET", RUN "/charts.png", profiling_get_report, "The charts as PNG", NULL, NULL, 0, false},
};

const struct http_route_table profiling_routes = {routes, sizeof routes / sizeof *routes};
