/* Reading the facts. Which ceiling is the right one is decided here, once: decoding is compared with what its
 * weights could be read with from where they lie. A probe that read the same bytes in the same second beats a
 * ceiling that was measured once; weights of one to two times the last-level cache have no ceiling, because
 * part of them stays in it. */
#include "profile/ceilings.h"
#include "profile/diagnose.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/json_get.h"
#include "profile/pairs.h"
#include "profile/roofline.h"
#include "profile/thresholds.h"

enum { MAX_TESTS = 256, MAX_PHASES = 2000 };

static struct decode_facts decode_of(const json_t *test)
{
    return (struct decode_facts){
        .test = test,
        .id = json_get_text(test, "id", "decode"),
        .depth = json_get_positive(test, "depth"),
        .tpot_ms = json_get_positive(test, "summary.tpot_ms.median"),
        .tps = json_get_positive(test, "summary.decode_tokens_per_second.median"),
        .weight_bytes = json_get_positive(test, "roofline.weight_bytes_per_token"),
        .kv_bytes = json_get_positive(test, "roofline.kv_bytes_per_token"),
        .achieved_gbps = json_get_positive(test, "roofline.achieved_gbps.median"),
        .probe_gbps = json_get_positive(test, "roofline.read_gbps.median"),
        .least_tpot_ms = json_get_positive(test, "summary.tpot_ms.min"),
        .most_tpot_ms = json_get_positive(test, "summary.tpot_ms.max"),
    };
}

static void read_tests(const json_t *report, struct facts *out)
{
    const json_t *none = NULL;
    out->shallow = out->deep = decode_of(none);
    out->prefill = NULL;
    const json_t *tests = json_get_array(report, "tests");
    for (size_t i = 0; i < json_get_count(tests, "") && i < MAX_TESTS; i++) {
        const json_t *test = json_get_item(tests, i);
        if (json_get_is(test, "kind", "prefill") && !out->prefill)
            out->prefill = test;
        if (!json_get_is(test, "kind", "decode"))
            continue;
        struct decode_facts found = decode_of(test);
        if (!(found.tpot_ms > 0) || isnan(found.depth))
            continue;
        if (!out->shallow.test || found.depth < out->shallow.depth)
            out->shallow = found;
        if (!out->deep.test || found.depth > out->deep.depth)
            out->deep = found;
    }
    if (out->deep.test == out->shallow.test)
        out->deep = decode_of(none);
}

/* ---- the right ceiling ---- */

static enum read_level level_named(const char *name)
{
    static const struct {
        const char *name;
        enum read_level level;
    } names[] = {{"memory", READ_MEMORY}, {"cache", READ_CACHE}, {"mixed", READ_MIXED}};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].level;
    return READ_UNKNOWN;
}

static enum read_level read_level(const struct facts *facts)
{
    const json_t *samples = json_get_array(facts->shallow.test, "samples");
    for (size_t i = 0; i < json_get_count(samples, "") && i < 64; i++) {
        enum read_level level = level_named(json_get_string(json_get_item(samples, i), "read_from"));
        if (level != READ_UNKNOWN)
            return level;
    }
    double bytes = isnan(facts->model_bytes) ? facts->shallow.weight_bytes : facts->model_bytes;
    if (isnan(bytes) || !(facts->cache_bytes > 0))
        return READ_UNKNOWN;
    return bytes <= facts->cache_bytes      ? READ_CACHE
           : bytes / 2 < facts->cache_bytes ? READ_MIXED
                                            : READ_MEMORY;
}

static void read_ceilings(struct facts *out)
{
    const char *path = out->level == READ_CACHE ? "ceilings.cache_read.value" : "ceilings.memory_read.value";
    double probed = out->shallow.probe_gbps, once = json_get_positive(out->report, path);
    out->ceiling_gbps = out->level == READ_MIXED ? NAN : probed > 0 ? probed : once;
    out->best_gbps =
        out->level == READ_MIXED ? NAN : fmax(probed, once); /* of NaN and a number: the number */
}

static void read_mbu(struct facts *out)
{
    const struct decode_facts *decode = &out->shallow;
    out->mbu = out->refused_mbu = NAN;
    out->mbu_reason[0] = 0;
    double achieved = decode->achieved_gbps;
    if (isnan(achieved))
        achieved = (decode->weight_bytes + decode->kv_bytes) / (decode->tpot_ms * 1e6);
    out->shallow.achieved_gbps = achieved;
    /* each repeat against the probe beside it, as tables show it: a ratio of medians is another figure */
    double paired = json_get_positive(decode->test, "roofline.mbu.median");
    double mbu = isnan(paired) ? achieved / out->ceiling_gbps : paired;
    const char *reason = !decode->test              ? "no decode test ended well"
                         : out->level == READ_MIXED ? "the weights are one to two times as large as the "
                                                      "last-level cache: they are probably read partly from "
                                                      "it, and there is no one ceiling"
                         : isnan(out->ceiling_gbps) ? "the read bandwidth was not measured"
                         : !isfinite(mbu)           ? "the bytes of a token are not known"
                                                    : NULL;
    if (reason) {
        snprintf(out->mbu_reason, sizeof out->mbu_reason, "%s", reason);
    } else if (mbu > FIGURE_REFUSED) {
        out->refused_mbu = mbu;
        snprintf(out->mbu_reason, sizeof out->mbu_reason,
                 "refused: %.0f %% of the measured ceiling; up to %.0f %% is taken for noise", 100 * mbu,
                 100 * FIGURE_REFUSED);
    } else {
        out->mbu = mbu;
    }
}

static void read_mfu(struct facts *out)
{
    const json_t *report = out->report;
    out->peak_name = ceilings_arithmetic(json_get_string(report, "model.quantization"),
                                         json_get_bool(report, "flags.precise", false));
    out->peak_gflops = json_get_positive(json_get(json_get(report, "ceilings"), out->peak_name), "value");
    out->prefill_gflops = json_get_positive(out->prefill, "roofline.prefill_gflops.median");
    out->mfu = json_get_positive(out->prefill, "roofline.mfu");
    out->mfu_reason[0] = 0;
    if (isnan(out->mfu))
        out->mfu = out->prefill_gflops / out->peak_gflops;
    if (out->mfu <= FIGURE_REFUSED)
        return;
    snprintf(out->mfu_reason, sizeof out->mfu_reason, "%s",
             !out->prefill                ? "no prefill test ended well"
             : isnan(out->prefill_gflops) ? "the operations of the prefill are not known"
             : !(out->peak_gflops > 0)    ? "the arithmetic peak of this machine was not measured"
                                          : "refused: above 105 % of the measured peak");
    out->mfu = NAN;
}

void facts_read(const json_t *report, struct facts *out)
{
    *out = (struct facts){
        .report = report,
        .fixed_ms = NAN,
        .overhead_share = NAN,
        .compute_share = NAN,
        .memory_share = NAN,
        .threads = json_get_positive(report, "flags.threads"),
        .kv_bits = json_get_positive(report, "flags.kv_bits"),
        .cores_allowed = json_get_positive(report, "machine.cores_allowed"),
        .cores_online = json_get_positive(report, "machine.cores_online"),
        .cores_physical = json_get_positive(report, "machine.cores_physical"),
        .quota_cores = json_get_positive(report, "machine.quota_cores"),
        .cache_bytes = json_get_positive(report, "machine.last_level_cache_bytes"),
        .memory_bytes = fmin(json_get_positive(report, "machine.memory_bytes"),
                             json_get_positive(report, "machine.memory_limit_bytes")),
        .model_bytes = json_get_positive(report, "model.weight_bytes"),
        .footprint_peak_bytes = json_get_positive(report, "memory.measured.footprint_peak_bytes"),
        .predicted_bytes = json_get_positive(report, "memory.predicted.footprint_bytes"),
        .quick = json_get_is(report, "mode", "quick"),
        .remote = json_get_object(report, "target") != NULL,
    };
    read_tests(report, out);
    out->unstable = json_get_is(out->shallow.test, "grade", "unstable");
    out->level = read_level(out);
    read_ceilings(out);
    read_mbu(out);
    read_mfu(out);
}

void facts_read_lines(struct facts *facts, const json_t *roofline, const json_t *two_term)
{
    facts->fixed_ms = json_get_positive(two_term, "fixed_ms");
    facts->overhead_share = roofline_share(roofline, "overhead");
    facts->compute_share = roofline_share(roofline, "compute");
    facts->memory_share = roofline_share(roofline, "memory");
}

/* ---- sensors ---- */

/* Walks the samples of a series that were taken while something was timed. Phases are in the order of time.
 */
struct walk {
    const json_t *values, *times, *phases;
    const char *part;
    size_t i, n, phase, n_phases;
};

static bool walk_begin(struct walk *walk, const json_t *report, const json_t *series, const char *part)
{
    *walk = (struct walk){.values = json_get_array(series, "values"),
                          .times = json_get_array(report, "sensors.t_s"),
                          .phases = json_get_array(report, "sensors.phases"),
                          .part = part};
    walk->n = json_get_count(walk->values, "");
    size_t n_times = json_get_count(walk->times, "");
    if (n_times < walk->n)
        walk->n = n_times;
    walk->n_phases = json_get_count(walk->phases, "");
    if (walk->n_phases > MAX_PHASES)
        walk->n_phases = MAX_PHASES;
    return walk->n > 0;
}

static bool timed(struct walk *walk, double t)
{
    if (walk->n_phases == 0)
        return !walk->part;
    while (walk->phase < walk->n_phases &&
           json_get_number(json_get_item(walk->phases, walk->phase), "end_s") < t)
        walk->phase++;
    const json_t *phase = walk->phase < walk->n_phases ? json_get_item(walk->phases, walk->phase) : NULL;
    if (!phase || !(json_get_number(phase, "start_s") <= t))
        return false;
    const char *name = json_get_text(phase, "name", "");
    if (strcmp(name, "configurations") == 0 || strstr(name, ", warm-up"))
        return false; /* others may be served beside these */
    return !walk->part || strstr(name, walk->part);
}

/* The next sample; NaN: no more. */
static double walk_next(struct walk *walk)
{
    for (; walk->i < walk->n; walk->i++) {
        double value = json_get_number(json_get_item(walk->values, walk->i), "");
        double t = json_get_number(json_get_item(walk->times, walk->i), "");
        if (!isnan(value) && !isnan(t) && timed(walk, t)) {
            walk->i++;
            return value;
        }
    }
    return NAN;
}

static const json_t *series_of(const struct facts *facts, const char *id)
{
    return json_get_where(facts->report, "sensors.series", "id", id);
}

double facts_sensor_mean(const struct facts *facts, const char *id, const char *part)
{
    struct walk walk;
    const json_t *series = series_of(facts, id);
    if (!walk_begin(&walk, facts->report, series, part))
        return part ? NAN : json_get_number(series, "mean");
    double sum = 0;
    size_t n = 0;
    for (double value; !isnan(value = walk_next(&walk)); n++)
        sum += value;
    return n ? sum / (double)n : NAN;
}

double facts_sensor_max(const struct facts *facts, const char *id)
{
    struct walk walk;
    const json_t *series = series_of(facts, id);
    if (!walk_begin(&walk, facts->report, series, NULL))
        return json_get_number(series, "max");
    double most = NAN;
    for (double value; !isnan(value = walk_next(&walk));)
        most = fmax(most, value);
    return most;
}

double facts_sensor_share(const struct facts *facts, const char *id, double level)
{
    struct walk walk;
    if (isnan(level) || !walk_begin(&walk, facts->report, series_of(facts, id), NULL))
        return NAN;
    size_t n = 0, above = 0;
    for (double value; !isnan(value = walk_next(&walk)); n++)
        above += value >= level;
    return n ? (double)above / (double)n : NAN;
}

bool facts_use_gpu(const struct facts *facts)
{
    const char *backend = json_get_string(facts->report, "flags.backend");
    return !facts->remote && backend && strcmp(backend, "cpu") != 0 &&
           !json_get_is(facts->report, "flags.isa", "cpu");
}

double facts_sensor_change(const struct facts *facts, const char *id)
{
    struct walk walk;
    const json_t *series = series_of(facts, id);
    if (json_get_is(series, "quality", "nominal") || !walk_begin(&walk, facts->report, series, NULL))
        return NAN;
    double *values = malloc(walk.n * sizeof *values);
    if (!values)
        return NAN;
    size_t n = 0;
    for (double value; !isnan(value = walk_next(&walk));)
        values[n++] = value;
    double first = 0, last = 0;
    size_t quarter = n / 4;
    for (size_t i = 0; i < quarter; i++) {
        first += values[i];
        last += values[n - quarter + i];
    }
    free(values);
    return quarter >= 10 && first > 0 ? last / first - 1 : NAN;
}

/* ---- configurations ---- */

/* Has a verdict from which something follows. "No real difference" with an interval that is too wide is none:
 * it shows neither that a remedy failed nor that a knob does no harm. */
static bool usable(const json_t *entry)
{
    struct pairs pairs = {.low = json_get_number(entry, "ci95.0") / 100,
                          .high = json_get_number(entry, "ci95.1") / 100};
    if (json_get_is(entry, "verdict", "no_real_difference") && !pairs_clear(&pairs))
        return false;
    return json_get_is(entry, "outcome", "ok") && json_get_string(entry, "verdict") &&
           !json_get_is(entry, "verdict", "unknown") && !isnan(json_get_number(entry, "change_pct"));
}

const json_t *facts_configuration(const struct facts *facts, const char *id)
{
    const json_t *entry = json_get_where(facts->report, "configurations", "id", id);
    return usable(entry) ? entry : NULL;
}

const json_t *facts_variant(const struct facts *facts, const char *knob, size_t i, double *value)
{
    const json_t *list = json_get_array(facts->report, "configurations");
    size_t length = strlen(knob);
    for (size_t k = 0; k < json_get_count(list, "") && k < MAX_TESTS; k++) {
        const json_t *entry = json_get_item(list, k);
        const char *id = json_get_text(entry, "id", "");
        if (strncmp(id, knob, length) != 0 || id[length] != '=' || !usable(entry))
            continue;
        char *end;
        *value = strtod(id + length + 1, &end);
        if (end == id + length + 1 || *end || !isfinite(*value))
            continue;
        if (i-- == 0)
            return entry;
    }
    return NULL;
}
