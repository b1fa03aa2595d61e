/* From figures to causes. Internal to the analysis.
 *
 * Facts are the figures of a report that rules look at, read once (analysis_facts.c): unknown is NaN or NULL.
 * A rule is a small pure function: it looks at facts and either stays silent or says what it found, with the
 * figures that show it. The table in diagnose.c holds all rules in the order in which they explain: what
 * makes other signs appear stands before them, and a rule may stay silent because an earlier one already
 * names the cause. A rule whose figures are unknown is silent, always.
 *
 * A finding is a `fault` (something is wrong, and can be put right) or a limit (what decides the speed when
 * nothing is wrong: something always does). A healthy run has no fault.
 */
#ifndef LLMIND_PROFILE_DIAGNOSE_H
#define LLMIND_PROFILE_DIAGNOSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Where decoding reads its weights from. */
enum read_level { READ_UNKNOWN, READ_MEMORY, READ_CACHE, READ_MIXED };

enum { FACTS_REASON = 200 };

/* A decode test that ended well. */
struct decode_facts {
    const json_t *test; /* NULL: none */
    const char *id;
    double depth, tpot_ms, tps;
    double weight_bytes, kv_bytes; /* read for one token */
    double achieved_gbps, probe_gbps;
    double least_tpot_ms, most_tpot_ms; /* of the repeats */
};

struct facts {
    const json_t *report;
    struct decode_facts shallow, deep; /* least and most depth; deep.test is NULL when there is only one */
    const json_t *prefill;             /* NULL: none */

    enum read_level level;
    double ceiling_gbps; /* what the weights can be read with at most, where they are: beside the test */
    double best_gbps;    /* the best that was measured there at any time: for what was measured at another */
    double mbu;          /* 0 .. 1.05; NaN: mbu_reason says why */
    double refused_mbu;  /* a figure above 1.05 that is not to be shown as one; NaN: none */
    char mbu_reason[FACTS_REASON];

    double prefill_gflops, peak_gflops, mfu;
    const char *peak_name; /* "int8", "f32" */
    char mfu_reason[FACTS_REASON];

    double fixed_ms; /* of the two-term line; NaN: there is none */
    /* shares of a traced step whose operations are bound by what; NaN: no trace */
    double overhead_share, compute_share, memory_share;

    double threads, kv_bits;
    double cores_allowed, cores_online, cores_physical, quota_cores;
    double cache_bytes, memory_bytes; /* memory_bytes: what this process may have */
    double model_bytes, footprint_peak_bytes, predicted_bytes;
    bool quick;
    bool unstable; /* repeats of the decode test at the least depth differ by more than 20 % */
    bool remote;   /* a server that was measured from outside: machine and sensors are the client's */
};

/* What the report itself says; then, because they need its ceilings, what was concluded in between. */
void facts_read(const json_t *report, struct facts *out);
void facts_read_lines(struct facts *facts, const json_t *roofline, const json_t *two_term);

/* Mean and maximum of a sensor while something was timed; part: only phases with this in their name, NULL:
 * all. Not while configurations were compared: they have other knobs and other processes. NaN: no such
 * series, or unreadable. */
double facts_sensor_mean(const struct facts *facts, const char *id, const char *part);
double facts_sensor_max(const struct facts *facts, const char *id);
/* The share of the timed samples that are at least this; NaN: there are none, or no level. */
double facts_sensor_share(const struct facts *facts, const char *id, double level);
/* Whether the model ran on a GPU of this machine: what its sensors say concerns the run only then. */
bool facts_use_gpu(const struct facts *facts);
/* Last quarter of the timed samples against the first, minus 1; NaN: fewer than 40 samples, or a nominal
 * figure. */
double facts_sensor_change(const struct facts *facts, const char *id);

/* The configuration with this id ("threads=1") that ended well and has a verdict; NULL: none. */
const json_t *facts_configuration(const struct facts *facts, const char *id);
/* Entry i of the configurations whose id is "KNOB=number"; *value is the number. NULL: no more. */
const json_t *facts_variant(const struct facts *facts, const char *knob, size_t i, double *value);

enum severity { SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH };

struct finding {
    const char *id;
    enum severity severity;
    bool fault;
    char title[160], explanation[800];
    json_t *evidence; /* owned; NULL: memory was short */
};

enum { DIAGNOSE_MAX = 40 };

struct findings {
    struct finding items[DIAGNOSE_MAX];
    size_t n;
};

/* Runs all rules; the result is sorted, most severe first, and among equals in the order of the table. */
void diagnose(const struct facts *facts, struct findings *out);
void findings_free(struct findings *findings);
/* NULL: not found. */
const struct finding *findings_get(const struct findings *findings, const char *id);
/* Whether something was found that makes threads wait and tokens late: what follows from it is not a finding
 * of its own. */
bool findings_disturbed(const struct findings *findings);
const char *severity_name(enum severity severity);

/* ---- for the rules ---- */

typedef bool diagnose_rule(const struct facts *facts, const struct findings *so_far, struct finding *out);

/* Adds a figure to the evidence; what is unknown is left out. */
void finding_figure(struct finding *finding, const char *name, double value);
/* Sets title and severity; the explanation is one printf-made text. */
void finding_say(struct finding *finding, enum severity severity, const char *title, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

diagnose_rule diagnose_swapping, diagnose_not_resident, diagnose_cold_cache, diagnose_memory_tight,
    diagnose_footprint, diagnose_gpu_working_set;
diagnose_rule diagnose_cpu_quota, diagnose_oversubscribed, diagnose_smt, diagnose_steal, diagnose_busy_host,
    diagnose_thermal, diagnose_numa, diagnose_itl_tail;
diagnose_rule diagnose_byte_accounting, diagnose_memory_bandwidth, diagnose_cache_bandwidth,
    diagnose_bandwidth_headroom, diagnose_overhead, diagnose_decode_compute, diagnose_prefill_compute,
    diagnose_attention_kernel, diagnose_kv_cache, diagnose_threads_saturated, diagnose_batch_saturated,
    diagnose_speculative;

#endif
