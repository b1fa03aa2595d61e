/* The order of an analysis: ceilings and tests give facts; facts give the roofline and the two-term line, and
 * these are facts again; then the rules look, and what they found is turned into advice. A comparison of
 * models has no tests of its own and so no analysis but its quality. */
#include "profile/analysis.h"

#include <math.h>

#include "profile/analysis_internal.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/roofline.h"
#include "profile/two_term.h"

/* ---- the summary: the seed's four cards, and what an expert asks next ---- */

/* Mean over the prompt tests of a figure's typical value; NaN: none. */
static double over_prompts(const json_t *report, const char *figure)
{
    const json_t *tests = json_get_array(report, "tests");
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < json_get_count(tests, "") && i < 256; i++) {
        const json_t *test = json_get_item(tests, i);
        double value = json_get_is(test, "kind", "prompt") ? json_get_positive(test, figure) : NAN;
        if (!isnan(value)) {
            sum += value;
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

json_t *analysis_summary(const struct facts *facts)
{
    const json_t *report = facts->report;
    const char *no_prompt = "no prompt ended well";
    json_t *o = json_object();
    json_put_number(o, "avg_tokens_per_second", over_prompts(report, "summary.tokens_per_second.median"),
                    no_prompt);
    json_put_number(o, "memory_gb", facts->footprint_peak_bytes / 1e9,
                    json_get_reason(report, "memory.measured.footprint_peak_bytes",
                                    "the memory of the process is not known"));
    bool on_gpu = facts_use_gpu(facts);
    double of_host = json_get_positive(report, "host.gpu_utilization");
    double gpu = on_gpu ? facts_sensor_mean(facts, "gpu_0_busy", NULL) : NAN;
    json_put_number(o, "gpu_utilization", on_gpu && isnan(gpu) ? of_host : gpu,
                    on_gpu || isnan(of_host)
                        ? json_get_reason(report, "host.gpu_utilization", "no GPU was measured")
                        : "the model did not run on a GPU of this machine");
    json_put_number(o, "avg_response_time_s", over_prompts(report, "summary.response_ms.median") / 1e3,
                    no_prompt);
    json_put_number(o, "mbu", facts->mbu, facts->mbu_reason);
    json_put_number(o, "mfu", facts->mfu, facts->mfu_reason);
    static const char *const same[] = {"decode_tokens_per_second", "prefill_tokens_per_second", "ttft_ms"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const json_t *summary = json_get_object(report, "summary");
        json_put_number(o, same[i], json_get_positive(summary, same[i]),
                        json_get_reason(summary, same[i], "no test of this kind ended well"));
    }
    return o;
}

/* ---- assembling ---- */

static json_t *bottleneck_json(const struct finding *finding, bool principal)
{
    json_t *o = json_object();
    json_put_string(o, "id", finding->id, "");
    json_put_string(o, "severity", severity_name(finding->severity), "");
    json_put_string(o, "kind", finding->fault ? "fault" : "limit", "");
    json_put_string(o, "title", finding->title, "");
    json_object_set(o, "evidence", finding->evidence);
    json_put_string(o, "explanation", finding->explanation, "");
    json_put_bool(o, "principal", principal);
    return o;
}

static json_t *bottlenecks_json(const struct findings *findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < findings->n; i++)
        json_array_append_new(list, bottleneck_json(&findings->items[i], i == 0));
    return list;
}

static void add_lines(const json_t *report, struct facts *facts, json_t *analysis)
{
    char reason[TWO_TERM_REASON];
    const char *no_what_if;
    json_t *roofline = roofline_read(report, facts->best_gbps, facts->peak_gflops);
    json_t *two_term = two_term_read(report, facts->best_gbps, reason);
    facts_read_lines(facts, roofline, two_term);
    if (json_is_null(roofline))
        json_put_string(analysis, "roofline_reason", "no step was traced", "");
    if (json_is_null(two_term))
        json_put_string(analysis, "two_term_reason", reason, "");
    json_object_set_new(analysis, "roofline", roofline);
    json_t *what_if = analysis_what_if(report, two_term, &no_what_if);
    if (json_is_null(what_if))
        json_put_string(analysis, "what_if_reason", no_what_if, "");
    json_object_set_new(analysis, "what_if", what_if);
    json_object_set_new(analysis, "two_term", two_term);
}

/* jansson leaves out what it has no memory for: whatever is missing means that. */
static int complete(const json_t *analysis)
{
    static const char *const members[] = {"performance_summary",
                                          "strengths",
                                          "bottlenecks",
                                          "recommendations",
                                          "roofline",
                                          "two_term",
                                          "what_if",
                                          "quality"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!json_object_get(analysis, members[i]))
            return 0;
    return 1;
}

int analysis_add(json_t *report, struct error *error)
{
    if (!json_is_object(report))
        return error_set(error, ERROR_INVALID, "a report must be a JSON object");
    struct facts facts;
    struct findings findings;
    json_t *analysis = json_object();
    facts_read(report, &facts);
    json_object_set_new(analysis, "performance_summary", analysis_summary(&facts));
    add_lines(report, &facts, analysis);
    diagnose(&facts, &findings);
    json_object_set_new(analysis, "strengths", analysis_strengths(&facts, &findings));
    json_object_set_new(analysis, "bottlenecks", bottlenecks_json(&findings));
    json_object_set_new(analysis, "recommendations", analysis_recommendations(&facts, &findings));
    json_object_set_new(analysis, "quality", analysis_quality(&facts, &findings));
    findings_free(&findings);
    if (complete(analysis) && json_object_set(report, "analysis", analysis) == 0) {
        json_decref(analysis);
        return 0;
    }
    json_decref(analysis);
    return error_memory(error, "the analysis of a report", 0);
}
