/* Rows: from a report to what lists show of it, and from there to JSON.
 *
 * A report may be anybody's (imported), so everything is read through json_get.h and what is not there is
 * unknown. The series of a run is a hash of what must be equal for its speed to be comparable with another's:
 * the model and its files' size, the flags, the machine, and the shape of the test that gives the figure. Not
 * the version of this program and not that of the operating system: that they made a difference is what a
 * trend is for.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "profile/jobs_internal.h"
#include "profile/json_get.h"
#include "profile/json_put.h"

/* ---- copies ---- */

enum { RUN_TEXTS = 15 };

static void texts_of(struct store_run *run, const char **out[RUN_TEXTS])
{
    const char **const all[RUN_TEXTS] = {&run->id,           &run->kind,   &run->status,  &run->model,
                                         &run->quantization, &run->mode,   &run->machine, &run->grade,
                                         &run->message,      &run->series, &run->request, &run->report,
                                         &run->previous_id,  &run->proves, &run->proof};
    memcpy(out, all, sizeof all);
}

int run_copy(const struct store_run *from, struct store_run *out, struct error *error)
{
    *out = *from;
    const char **texts[RUN_TEXTS];
    texts_of(out, texts);
    bool complete = true;
    for (int i = 0; i < RUN_TEXTS; i++)
        if (*texts[i]) {
            *texts[i] = strdup(*texts[i]);
            complete = complete && *texts[i];
        }
    if (complete)
        return 0;
    run_free(out);
    return error_memory(error, "a run", 0);
}

void run_free(struct store_run *run)
{
    const char **texts[RUN_TEXTS];
    texts_of(run, texts);
    for (int i = 0; i < RUN_TEXTS; i++)
        free((char *)*texts[i]);
    memset(run, 0, sizeof *run);
}

static bool has_status(const struct store_run *run, const char *status)
{
    return run->status && strcmp(run->status, status) == 0;
}

bool run_is_open(const struct store_run *run)
{
    return has_status(run, "waiting") || has_status(run, "running");
}

bool run_is_success(const struct store_run *run)
{
    return has_status(run, "success");
}

/* ---- from a report ---- */

void jobs_trim(char *text)
{
    size_t length = strlen(text), whole = 0, n;
    while ((n = utf8_character(text + whole, length - whole)) > 0)
        whole += n;
    text[whole] = '\0';
}

const json_t *report_test(const json_t *report, const char *kind)
{
    const json_t *tests = json_get_array(report, "tests"), *best = NULL;
    for (size_t i = 0; i < json_get_count(tests, ""); i++) {
        const json_t *test = json_get_item(tests, i);
        char path[JSON_GET_MAX_NAME + 32];
        snprintf(path, sizeof path, "summary.%.100s", json_get_text(test, "headline", ""));
        if (!json_get_is(test, "kind", kind) || isnan(json_get_figure(test, path)))
            continue;
        double depth = json_get_positive(test, "depth");
        if (isnan(depth) || depth == 0)
            return test;
        best = best ? best : test;
    }
    return best;
}

size_t report_samples(const json_t *test, const char *figure, double *out, size_t capacity)
{
    const json_t *samples = json_get_array(test, "samples");
    size_t n = 0;
    for (size_t i = 0; i < json_get_count(samples, "") && n < capacity; i++) {
        const json_t *sample = json_get_item(samples, i);
        double value = json_get_positive(sample, figure);
        if (json_get_is(sample, "outcome", "ok") && value > 0)
            out[n++] = value;
    }
    return n;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash(uint64_t state, const char *text)
{
    for (; *text; text++)
        state = (state ^ (unsigned char)*text) * 0x100000001B3u;
    return (state ^ 0xFF) * 0x100000001B3u; /* an end, so that "ab","c" is not "a","bc" */
}

/* Runs from before there were adapters are of the same series as those without one. */
static uint64_t hash_member(uint64_t state, const json_t *json, const char *path)
{
    json_t *value = json_copy((json_t *)(uintptr_t)json_get(json, path));
    if (json_is_null(json_object_get(value, "adapter"))) {
        json_object_del(value, "adapter");
        json_object_del(value, "adapter_reason");
    }
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    state = hash(state, text ? text : "");
    free(text);
    json_decref(value);
    return state;
}

static void series_of(const json_t *report, const json_t *test, char out[17])
{
    static const char *const members[] = {"kind",
                                          "model.name",
                                          "model.architecture",
                                          "model.quantization",
                                          "model.revision",
                                          "model.file_bytes",
                                          "flags",
                                          "target",
                                          "machine.cpu",
                                          "machine.cores_online",
                                          "machine.cores_allowed",
                                          "machine.quota_cores",
                                          "machine.gpu"};
    uint64_t state = 0xCBF29CE484222325u;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        state = hash_member(state, report, members[i]);
    state = hash_member(state, test, "id");
    state = hash_member(state, test, "max_tokens");
    snprintf(out, 17, "%016llx", (unsigned long long)state);
}

/* Of a comparison: "a, b, c". */
static const char *model_of(const json_t *report, char *out, size_t capacity)
{
    const char *name = json_get_string(report, "model.name");
    if (!name)
        name = json_get_string(report, "target.model");
    const json_t *models = json_get_array(report, "comparison.models");
    size_t used = 0;
    for (size_t i = 0; !name && i < json_get_count(models, "") && used + 1 < capacity; i++) {
        int n = snprintf(out + used, capacity - used, "%s%s", i ? ", " : "",
                         json_get_text(json_get_item(models, i), "model", "?"));
        used += n > 0 ? (size_t)n : 0;
    }
    if (name)
        snprintf(out, capacity, "%s", name);
    if (!name && !used)
        return NULL;
    jobs_trim(out);
    return out;
}

enum { MACHINE_CORES = 32 }; /* bytes that are left for their number */

static const char *machine_of(const json_t *report, char *out, size_t capacity)
{
    const char *cpu = json_get_string(report, "machine.cpu");
    double cores = json_get_positive(report, "machine.cores_allowed");
    if (!cpu)
        return NULL;
    snprintf(out, capacity - MACHINE_CORES, "%s", cpu);
    jobs_trim(out);
    size_t used = strlen(out);
    if (!isnan(cores))
        snprintf(out + used, capacity - used, ", %.0f core%s", cores, cores == 1 ? "" : "s");
    return out;
}

void report_row(const json_t *report, struct report_row *out)
{
    const json_t *test = report_test(report, "decode");
    if (!test)
        test = report_test(report, "prompt"); /* a remote target's */
    double samples[REPORT_SAMPLES];
    struct pairs_side decode;
    pairs_side_compute(samples, report_samples(test, "decode_tokens_per_second", samples, REPORT_SAMPLES),
                       &decode);
    double memory = json_get_positive(report, "memory.measured.footprint_peak_bytes");
    if (isnan(memory))
        memory = json_get_positive(report, "memory.predicted.footprint_bytes");
    *out = (struct report_row){
        .run = {.kind = json_get_text(report, "kind", "profile"),
                .status = json_get_string(report, "status"),
                .quantization = json_get_string(report, "model.quantization"),
                .mode = json_get_string(report, "mode"),
                .grade = json_get_string(report, "summary.grade"),
                .message = json_get_string(report, "message"),
                .duration_s = json_get_positive(report, "duration_s"),
                .tokens_per_second = json_get_positive(report, "summary.tokens_per_second"),
                .decode_tps = json_get_positive(report, "summary.decode_tokens_per_second"),
                .prefill_tps = json_get_positive(report, "summary.prefill_tokens_per_second"),
                .ttft_ms = json_get_positive(report, "summary.ttft_ms"),
                .memory_bytes = memory,
                .decode_log_mean = decode.mean,
                .decode_log_sd = decode.sd,
                .decode_n = (uint32_t)decode.n}};
    out->run.model = model_of(report, out->model, sizeof out->model);
    out->run.machine = machine_of(report, out->machine, sizeof out->machine);
    if (decode.n > 0) {
        series_of(report, test, out->series);
        out->run.series = out->series;
    }
}

/* ---- to JSON ---- */

static const char *why_unknown(const struct store_run *run)
{
    if (run_is_open(run))
        return "the run is not over";
    return run_is_success(run) ? "not in the report" : "the run ended before that";
}

void jobs_put_time(json_t *object, const char *name, int64_t unix_ms)
{
    char text[32] = "";
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_put_string(object, name, text, "");
}

static void put_trend(json_t *object, const struct store_run *run, double session_sd)
{
    if (!run->previous_id) {
        json_put_null(object, "trend",
                      run_is_success(run) ? "there is no earlier successful run of the same model, flags and "
                                            "machine"
                                          : "only successful runs are compared");
        return;
    }
    struct pairs_side before = {run->previous_n, run->previous_log_mean, run->previous_log_sd};
    struct pairs_side now = {run->decode_n, run->decode_log_mean, run->decode_log_sd};
    struct pairs pairs;
    pairs_compare_sides(&before, &now, session_sd, &pairs);
    json_t *trend = json_put_object(object, "trend");
    json_put_string(trend, "run_id", run->previous_id, "");
    json_put_number(trend, "change_pct", 100 * pairs.change, "a run measured no decoding");
    json_put_interval(trend, "ci95", 100 * pairs.low, 100 * pairs.high, "needs 2 samples of each run");
    json_put_string(trend, "verdict", pairs_verdict_name(pairs.verdict), "");
    json_put_bool(trend, "regression", pairs.verdict == PAIRS_LOWER);
}

/* Of a proof: what it found, as proof.h has it. */
static void put_proof(json_t *object, const struct store_run *run)
{
    json_t *proof = history_parse(run->proof);
    if (json_is_object(proof))
        json_object_set(object, "proof", proof);
    else
        json_put_null(object, "proof", run->proves ? why_unknown(run) : "it is no proof");
    json_put_string(object, "proves", run->proves, "it is no proof");
    json_decref(proof);
}

json_t *run_json(const struct store_run *run, double session_sd, const char *why_unsaved)
{
    const struct {
        const char *name;
        double value;
    } figures[] = {{"duration_s", run->duration_s},
                   {"tokens_per_second", run->tokens_per_second},
                   {"decode_tokens_per_second", run->decode_tps},
                   {"prefill_tokens_per_second", run->prefill_tps},
                   {"ttft_ms", run->ttft_ms},
                   {"memory_bytes", run->memory_bytes}};
    const struct {
        const char *name, *value;
    } texts[] = {{"model", run->model},
                 {"quantization", run->quantization},
                 {"mode", run->mode},
                 {"machine", run->machine},
                 {"grade", run->grade}};
    json_t *o = json_object();
    json_put_string(o, "id", run->id, "");
    json_put_string(o, "kind", run->kind, "");
    json_put_string(o, "status", run->status, "");
    jobs_put_time(o, "created", run->created_ms);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        json_put_string(o, texts[i].name, texts[i].value, why_unknown(run));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        json_put_number(o, figures[i].name, figures[i].value, why_unknown(run));
    json_put_string(o, "message", run->message, "nothing to say");
    put_proof(o, run);
    json_put_bool(o, "imported", run->imported);
    json_put_bool(o, "saved", !why_unsaved);
    if (why_unsaved)
        json_put_string(o, "saved_reason", why_unsaved, "");
    put_trend(o, run, session_sd);
    return o;
}
