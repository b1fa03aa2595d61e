/* What the figures are worth, and what is good about them: the two things people read a report for that are
 * no diagnosis. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "profile/analysis_internal.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"
#include "profile/thresholds.h"

static void add(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(json_t *list, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_t *string = json_string(text); /* NULL: a name of the report was cut inside a character */
    if (string)
        json_array_append_new(list, string);
}

/* ---- quality ---- */

/* How many samples of all tests did not end well, by outcome. */
static void flag_outcomes(const json_t *tests, json_t *flags)
{
    static const struct {
        const char *outcome, *said;
    } outcomes[] = {{"short_output", "ended before all tokens were there"},
                    {"not_cold", "found the prompt in the cache"},
                    {"timeout", "took too long"},
                    {"out_of_memory", "ran out of memory"},
                    {"error", "failed"}};
    for (size_t k = 0; k < sizeof outcomes / sizeof *outcomes; k++) {
        double count = 0;
        for (size_t i = 0; i < json_get_count(tests, "") && i < 256; i++) {
            const json_t *by_name = json_get_object(json_get_item(tests, i), "outcomes");
            double n = json_get_positive(by_name, outcomes[k].outcome);
            count += n > 0 ? n : 0;
        }
        if (count > 0)
            add(flags, "%.0f %s %s and %s in no figure", count, count > 1 ? "repeats" : "repeat",
                outcomes[k].said, count > 1 ? "count" : "counts");
    }
}

static void flag_tests(const json_t *tests, json_t *flags)
{
    for (size_t i = 0; i < json_get_count(tests, "") && i < 64; i++) {
        const json_t *test = json_get_item(tests, i);
        const char *name = json_get_text(test, "label", json_get_text(test, "id", "a test"));
        if (json_get_is(test, "grade", "unstable"))
            add(flags, "%.60s: unstable, the repeats' standard deviation is above 20 %% of their mean", name);
        if (json_get_bool(test, "drifts", false))
            add(flags, "%.60s: drifts, every repeat %s than the one before (%+.1f %% in all)", name,
                json_get_number(test, "drift") < 0 ? "lower" : "higher",
                100 * json_get_number(test, "drift"));
    }
}

static void flag_host(const struct facts *facts, const struct findings *findings, json_t *flags)
{
    const json_t *report = facts->report;
    double load = json_get_positive(report, "host.load_before");
    if (findings_get(findings, "busy_host") || load > LOAD_BUSY * facts->cores_online)
        add(flags, "the host was busy%s",
            findings_get(findings, "busy_host") ? " with other programs during the run"
                                                : " when the run began");
    double steal = json_get_positive(report, "host.steal_fraction");
    if (findings_get(findings, "steal") || steal >= STEAL_FLAG)
        add(flags, "the hypervisor withheld processor time (steal)%s",
            findings_get(findings, "steal") ? ": do not compare these figures" : "");
    if (isnan(steal) && isnan(facts_sensor_mean(facts, "steal", NULL)))
        add(flags, "whether the hypervisor withheld processor time (steal) is unknown");
    if (findings_get(findings, "thermal"))
        add(flags, "heat, power or a falling clock: a longer run would probably be slower");
    const struct finding *quota = findings_get(findings, "cpu_quota");
    if (quota)
        add(flags, "a CPU quota %s the run",
            json_get_number(quota->evidence, "throttled_fraction") > 0 ? "limited" : "may have limited");
}

/* The part a cut is about: what was shortened twice ("prefill shortened to 256 tokens", then to 128) is one;
 * what was left out is left out once. */
static size_t part_length(const char *cut)
{
    const char *end = strstr(cut, " shortened");
    return end ? (size_t)(end - cut) : strlen(cut);
}

static void flag_cuts(const json_t *cuts, json_t *flags)
{
    enum { MAX_CUTS = 256 };
    size_t n = json_get_count(cuts, ""), parts = 0;
    for (size_t i = 0; i < n && i < MAX_CUTS; i++) {
        const char *cut = json_get_text(json_get_item(cuts, i), "", "");
        size_t length = part_length(cut), k = 0;
        for (; k < i; k++) {
            const char *before = json_get_text(json_get_item(cuts, k), "", "");
            if (part_length(before) == length && strncmp(before, cut, length) == 0)
                break;
        }
        parts += k == i;
    }
    if (parts > 0)
        add(flags, "%zu %s shortened or left out", parts, parts > 1 ? "parts were" : "part was");
}

json_t *analysis_quality(const struct facts *facts, const struct findings *findings)
{
    const json_t *report = facts->report;
    const json_t *tests = json_get_array(report, "tests");
    json_t *o = json_object(), *flags = json_array();
    if (facts->quick)
        add(flags, "quick mode: few repeats, and shorter tests where the time was short; indicative only");
    if (json_get_is(report, "status", "cancelled"))
        add(flags, "the run was cancelled: what is there was measured, the rest is missing");
    flag_tests(tests, flags);
    flag_outcomes(tests, flags);
    flag_host(facts, findings, flags);
    if (!isnan(facts->refused_mbu))
        add(flags, "no bandwidth utilisation (MBU) is shown: %s", facts->mbu_reason);
    flag_cuts(json_get_array(report, "protocol.cuts"), flags);
    const char *grade = json_get_text(report, "summary.grade", "unknown");
    bool known = false;
    for (int i = GRADE_UNKNOWN; i <= GRADE_UNSTABLE; i++)
        known |= strcmp(grade, stats_grade_name((enum stats_grade)i)) == 0;
    json_put_string(o, "grade", known ? grade : "unknown", "");
    if (!o || json_object_set_new(o, "flags", flags)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* ---- strengths ---- */

static void strength_bandwidth(const struct facts *facts, json_t *list)
{
    const char *where = facts->level == READ_CACHE ? "the cache bandwidth" : "the memory bandwidth";
    if (facts->mbu >= AT_THE_WALL)
        add(list, "Well used: decoding gets %.0f %% of %s that was measured here", 100 * facts->mbu, where);
    double gpu = facts_use_gpu(facts) ? facts_sensor_mean(facts, "gpu_0_busy", NULL) : NAN;
    if (gpu < GPU_IDLE && facts->mbu >= AT_THE_WALL)
        add(list,
            "GPU utilisation of %.0f %% is not a bottleneck: it counts time, not work, and the memory is "
            "near its limit",
            100 * gpu);
    char a[FORMAT_MAX], b[FORMAT_MAX];
    if (facts->level == READ_CACHE && facts->cache_bytes > 0)
        add(list, "The whole model (%s) is small enough to stay in the last-level cache (%s)",
            format_bytes(a, facts->model_bytes), format_bytes(b, facts->cache_bytes));
    if (facts->mfu >= MFU_COMPUTE)
        add(list, "Prompts are read at %.0f %% of the arithmetic peak that was measured here",
            100 * facts->mfu);
}

static void strength_memory(const struct facts *facts, json_t *list)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];
    double share = facts->footprint_peak_bytes / facts->memory_bytes;
    if (share < MEMORY_TO_SPARE)
        add(list,
            "Memory to spare: %s of %s used, so there should be room for a larger model or a longer context",
            format_bytes(a, facts->footprint_peak_bytes), format_bytes(b, facts->memory_bytes));
}

static void strength_evenness(const struct facts *facts, json_t *list)
{
    double p50 = json_get_positive(facts->shallow.test, "summary.itl_p50_ms.median");
    double p99 = json_get_positive(facts->shallow.test, "summary.itl_p99_ms.median");
    if (p99 < EVEN_ENOUGH * p50)
        add(list, "Even: the slowest of a hundred tokens takes %.2f times the usual time", p99 / p50);
    double slower = facts->deep.tpot_ms / facts->shallow.tpot_ms - 1;
    if (slower < DEPTH_SLOWER && facts->deep.depth >= DEPTH_WORTH)
        add(list,
            "Depth costs little: at %.0f tokens of context a step takes %.0f %% longer than near its "
            "beginning",
            facts->deep.depth, 100 * fmax(slower, 0));
}

static void strength_stability(const struct facts *facts, const struct findings *findings, json_t *list)
{
    const char *grade = json_get_text(facts->report, "summary.grade", "");
    if (strcmp(grade, "excellent") == 0 || strcmp(grade, "good") == 0)
        add(list, "Stable: repeats agree (%s)", grade);
    if (!facts->unstable && !findings_disturbed(findings))
        strength_evenness(facts, list);
    for (size_t i = 0; i < findings->n; i++)
        if (findings->items[i].fault)
            return;
    if (facts->shallow.test && !facts->remote)
        add(list, "Nothing was found wrong: in what could be read there is no sign of a quota, a neighbour, "
                  "heat, swap or surplus threads that slowed it down");
}

json_t *analysis_strengths(const struct facts *facts, const struct findings *findings)
{
    json_t *list = json_array();
    strength_bandwidth(facts, list);
    strength_memory(facts, list);
    strength_stability(facts, findings, list);
    return list;
}
