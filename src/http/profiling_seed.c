/* A stored run as POST /api/profiling/run and /compare-models answer it: the shape that the first LLMind's
 * web page was written for, with everything the report knows beside it. Only names and units change here
 * (seconds, GB, percent); a figure that is null in the report is null here, with its reason.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "http/profiling.h"
#include "platform/cpu.h"
#include "profile/guide.h"
#include "profile/json_get.h"
#include "profile/json_put.h"

enum { LINE_BYTES = 256, URL_BYTES = 128, NAME_BYTES = 1100 };

static const char not_known[] = "the report does not say";

/* ---- helpers ---- */

static void put(json_t *out, const char *name, const json_t *from, const char *path, double factor)
{
    const json_t *value = json_get(from, path);
    if (json_is_integer(value) && factor == 1)
        json_object_set(out, name, (json_t *)(uintptr_t)value); /* a count stays one */
    else
        json_put_number(out, name, factor * json_get_figure(from, path),
                        json_get_reason(from, path, not_known));
}

/* The value as it is, whatever it is; absent is null. */
static void put_same(json_t *out, const char *name, const json_t *from, const char *path)
{
    const json_t *value = json_get(from, path);
    if (value && !json_is_null(value))
        json_object_set(out, name, (json_t *)(uintptr_t)value);
    else
        json_put_null(out, name, json_get_reason(from, path, not_known));
}

static void put_text(json_t *out, const char *name, const json_t *from, const char *path)
{
    json_put_string(out, name, json_get_string(from, path), json_get_reason(from, path, not_known));
}

static json_t *list_or_empty(const json_t *from, const char *path)
{
    const json_t *list = json_get_array(from, path);
    return list ? json_incref((json_t *)(uintptr_t)list) : json_array();
}

/* ---- prompts ---- */

static void put_memory(json_t *out, const json_t *report)
{
    json_t *memory = json_put_object(out, "memory_usage");
    const struct {
        const char *name, *path;
        double factor;
    } figures[] = {{"used_gb", "memory.measured.footprint_bytes", 1e-9},
                   {"weights_bytes", "memory.predicted.weights_bytes", 1},
                   {"kv_bytes", "memory.predicted.kv_bytes", 1},
                   {"footprint_peak_bytes", "memory.measured.footprint_peak_bytes", 1}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const char *path = json_get_object(report, "memory") ? figures[i].path : "memory";
        put(memory, figures[i].name, report, path, figures[i].factor);
    }
}

static void put_machine_figures(json_t *out, const json_t *report, const json_t *sample)
{
    double cores = json_get_positive(report, "machine.quota_cores");
    if (isnan(cores))
        cores = json_get_positive(report, "machine.cores_allowed");
    put_memory(out, report);
    put(out, "gpu_utilization", report, "host.gpu_utilization", 100);
    json_put_number(out, "cpu_usage", 100 * json_get_positive(sample, "decode_cpu_cores") / cores,
                    json_get_reason(sample, "decode_cpu_cores", not_known));
    put(out, "power_w", report, "host.power_w", 1);
}

/* Names here, names in the report's samples and summaries. */
static const struct {
    const char *name, *path;
    double factor;
} sample_figures[] = {{"tokens_per_second", "tokens_per_second", 1},
                      {"decode_tokens_per_second", "decode_tokens_per_second", 1},
                      {"prefill_tokens_per_second", "prefill_tokens_per_second", 1},
                      {"ttft_ms", "ttft_ms", 1},
                      {"total_time", "response_ms", 1e-3},
                      {"prompt_tokens", "prompt_tokens", 1},
                      {"generated_tokens", "generated_tokens", 1}};
enum { N_SAMPLE_FIGURES = sizeof sample_figures / sizeof *sample_figures };

static json_t *result(const json_t *report, const json_t *sample)
{
    json_t *out = json_object();
    put_text(out, "outcome", sample, "outcome");
    for (size_t i = 0; i < N_SAMPLE_FIGURES; i++)
        put(out, sample_figures[i].name, sample, sample_figures[i].path, sample_figures[i].factor);
    json_t *itl = json_put_object(out, "itl_ms");
    put(itl, "p50", sample, "itl_p50_ms", 1);
    put(itl, "p90", sample, "itl_p90_ms", 1);
    put(itl, "p99", sample, "itl_p99_ms", 1);
    put_machine_figures(out, report, sample);
    return out;
}

/* Means over the repeats that went well. */
static json_t *average(const json_t *results)
{
    json_t *out = json_object();
    for (size_t f = 0; f < N_SAMPLE_FIGURES; f++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = 0; i < json_array_size(results); i++) {
            const json_t *one = json_array_get(results, i);
            double value = json_get_number(one, sample_figures[f].name);
            if (json_get_is(one, "outcome", "ok") && isfinite(value)) {
                sum += value;
                n++;
            }
        }
        json_put_number(out, sample_figures[f].name, n ? sum / (double)n : NAN, "no repeat measured it");
    }
    return out;
}

static json_t *prompt_test(const json_t *report, const json_t *test)
{
    const char *id = json_get_text(test, "id", "");
    const char *const levels[] = {"simple", "medium", "complex"};
    const char *complexity = "custom";
    for (size_t i = 0; i < 3; i++)
        complexity = strcmp(id, levels[i]) == 0 ? levels[i] : complexity;
    json_t *results = json_array();
    size_t n = json_get_count(test, "samples");
    for (size_t i = 0; i < n; i++)
        json_array_append_new(results, result(report, json_get_item(json_get_array(test, "samples"), i)));
    json_t *out = json_object();
    put_text(out, "prompt", test, "prompt");
    json_put_string(out, "complexity", complexity, "");
    put_text(out, "grade", test, "grade");
    json_object_set_new(out, "average", average(results));
    put_same(out, "spread", test, "summary");
    json_object_set_new(out, "results", results);
    return out;
}

static json_t *prompt_tests(const json_t *report)
{
    json_t *out = json_object();
    const json_t *tests = json_get_array(report, "tests");
    size_t n = json_get_count(report, "tests");
    for (size_t i = 0; i < n; i++) {
        const json_t *test = json_get_item(tests, i);
        const char *id = json_get_string(test, "id");
        if (id && json_get_is(test, "kind", "prompt"))
            json_object_set_new(out, id, prompt_test(report, test));
    }
    return out;
}

/* ---- configurations ---- */

static json_t *configuration(const json_t *from)
{
    static const char *const same[] = {
        "label",       "knobs",   "max_tokens", "prompt_tokens",     "test",
        "compared",    "better",  "outcome",    "compared_baseline", "change_pct",
        "significant", "verdict", "ci95",       "indicative",        "best"};
    json_t *out = json_object();
    /* an answer's tokens over its time mean nothing where the test is a long prompt and one token */
    if (!json_get_string(from, "test") || json_get_is(from, "test", "prompt"))
        put(out, "tokens_per_second", from, "tokens_per_second", 1);
    else
        json_put_null(out, "tokens_per_second",
                      "it was not compared by answering the prompt: see \"compared\"");
    put(out, "decode_tokens_per_second", from, "decode_tokens_per_second", 1);
    put(out, "ttft_ms", from, "ttft_ms", 1);
    put(out, "total_time", from, "total_time_s", 1);
    put(out, "temperature", from, "temperature", 1);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        put_same(out, same[i], from, same[i]);
    static const char *const where_known[] = {"message", "verdict_reason"};
    for (size_t i = 0; i < sizeof where_known / sizeof *where_known; i++)
        if (json_get_string(from, where_known[i]))
            put_same(out, where_known[i], from, where_known[i]);
    return out;
}

static json_t *configurations(const json_t *report)
{
    json_t *out = json_object();
    const json_t *list = json_get_array(report, "configurations");
    size_t n = json_get_count(report, "configurations");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_get_item(list, i);
        const char *id = json_get_string(one, "id");
        if (id)
            json_object_set_new(out, id, configuration(one));
    }
    return out;
}

/* ---- what both have ---- */

static json_t *system_info(const json_t *report)
{
    char profile[LINE_BYTES];
    json_t *out = json_object();
    /* computed from the machine we are on, so not for a report from another one */
    bool here = json_get_is(report, "machine.cpu", cpu_info()->name);
    bool known = here && guide_hardware_profile(profile, sizeof profile) == 0;
    put(out, "memory_gb", report, "machine.memory_bytes", 1e-9);
    json_put_string(out, "hardware_profile", known ? profile : NULL, not_known);
    json_put_string(out, "current_model", json_get_string(report, "model.name"),
                    "the run was about several models, or had none");
    put_text(out, "cpu", report, "machine.cpu");
    put_text(out, "gpu", report, "machine.gpu");
    put_text(out, "os", report, "machine.os");
    return out;
}

static void put_url(json_t *out, const char *name, const char *id, const char *file)
{
    char url[URL_BYTES];
    snprintf(url, sizeof url, "/api/profiling/runs/%.64s/%s", id, file);
    json_put_string(out, name, url, "");
}

/* status, run_id, message, duration, addresses. */
static json_t *begin(const json_t *row)
{
    const json_t *report = json_get_object(row, "report");
    const char *id = json_get_text(row, "id", "");
    json_t *out = json_object();
    put_text(out, "status", row, "status");
    json_put_string(out, "run_id", id, not_known);
    if (json_get_string(row, "message"))
        put_text(out, "message", row, "message");
    put(out, "duration_s", row, "duration_s", 1);
    put_same(out, "saved", row, "saved");
    if (report) {
        put_url(out, "report_url", id, "report.json");
        put_url(out, "plots_url", id, "charts.png");
    } else {
        json_put_null(out, "report_url", "the run has no report");
        json_put_null(out, "plots_url", "the run has no report");
    }
    json_object_set_new(out, "system_info", system_info(report));
    return out;
}

json_t *profiling_seed_run(const json_t *row)
{
    const json_t *report = json_get_object(row, "report");
    json_t *out = begin(row);
    double memory = json_get_positive(report, "machine.memory_limit_bytes");
    if (isnan(memory))
        memory = json_get_positive(report, "machine.memory_bytes");
    json_t *models = estimate_models(json_get_object(report, "ceilings"),
                                     json_get_is(report, "machine.cpu", cpu_info()->name),
                                     memory < 1e15 ? (uint64_t)memory : 0);
    json_object_set_new(out, "profiling_results", prompt_tests(report));
    json_object_set_new(out, "optimization_configs", configurations(report));
    put_same(out, "analysis", report, "analysis");
    json_object_set(out, "recommendations", models);
    json_object_set_new(out, "model_recommendations", models);
    return out;
}

/* ---- several models ---- */

static json_t *compared(const json_t *from)
{
    static const char *const same[] = {"rank",         "change_pct", "ci95", "verdict",
                                       "quantization", "backend",    "isa",  "adapter"};
    json_t *out = json_object();
    put_text(out, "status", from, "status");
    if (json_get_string(from, "message"))
        put_text(out, "message", from, "message");
    put(out, "tokens_per_second", from, "tokens_per_second", 1);
    put(out, "decode_tokens_per_second", from, "decode_tokens_per_second", 1);
    put(out, "prefill_tokens_per_second", from, "prefill_tokens_per_second", 1);
    put(out, "ttft_ms", from, "ttft_ms", 1);
    json_t *memory = json_put_object(out, "memory_usage");
    put(memory, "used_gb", from, "memory_bytes", 1e-9);
    put(memory, "weights_bytes", from, "weight_bytes", 1);
    put(out, "load_time_s", from, "load_ms", 1e-3);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        put_same(out, same[i], from, same[i]);
    const char *verdict = json_get_text(from, "verdict", "");
    json_put_bool(out, "significant", strcmp(verdict, "higher") == 0 || strcmp(verdict, "lower") == 0);
    return out;
}

/* Under its name; the same model twice is "name (2)". */
static void add_compared(json_t *results, const json_t *one)
{
    char name[NAME_BYTES];
    const char *model = json_get_text(one, "model", "?");
    snprintf(name, sizeof name, "%s", model);
    for (unsigned i = 2; json_object_get(results, name) && i < 100; i++)
        snprintf(name, sizeof name, "%.1000s (%u)", model, i);
    json_object_set_new(results, name, compared(one));
}

json_t *profiling_seed_compare(const json_t *row)
{
    const json_t *report = json_get_object(row, "report");
    const json_t *models = json_get_array(report, "comparison.models");
    json_t *out = begin(row), *results = json_object();
    for (size_t i = 0; i < json_get_count(models, ""); i++)
        add_compared(results, json_get_item(models, i));
    json_object_set_new(out, "comparison_results", results);
    put_text(out, "test_prompt", report, "comparison.test_prompt");
    json_object_set_new(out, "models", list_or_empty(report, "comparison.models"));
    return out;
}
