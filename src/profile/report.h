/* A profiling run: every raw sample, and what is worked out from them. Rendered as text, JSON
 * ("llmind.report/1", docs/report.schema.json) and Markdown; all three show the same figures.
 *
 * Filled by runner.c, one thread. Strings in `info` belong to the engine and to the caller; both must
 * outlive the report.
 */
#ifndef LLMIND_PROFILE_REPORT_H
#define LLMIND_PROFILE_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "engine/engine.h"
#include "plan/plan.h"
#include "platform/cpu.h"
#include "profile/host.h"
#include "profile/metrics.h"
#include "profile/probe.h"
#include "profile/scenario.h"
#include "profile/stats.h"

struct report_test {
    struct scenario scenario;
    char *prompt; /* own copy of the text, or NULL */
    struct sample warmup;
    struct sample *samples;      /* [n_samples], in the order taken */
    struct probe_result *probes; /* [n_samples], beside each sample */
    uint32_t n_samples;
    struct plan_cost decode_cost;  /* one decode step in the middle of the test */
    struct plan_cost prefill_cost; /* the whole prompt */

    /* report_summarize: over the samples whose outcome is OK */
    uint32_t outcomes[OUTCOMES];
    struct stats metric[METRICS];
    struct stats read_gbps, achieved_gbps, mbu, prefill_gflops;
    char mbu_reason[200]; /* why there is no MBU; empty when there is one */
    enum stats_grade grade;
    bool drifts;
    double drift; /* last / first - 1 of the headline */
};

struct report_memory {
    uint64_t weight_bytes, kv_bytes, scratch_bytes; /* the engine's own account */
    uint64_t kv_bytes_per_token;
    struct memory_process before, after; /* of this process: engine open, run done */
};

struct report {
    char created[32];
    bool quick, cancelled;
    uint32_t repeats;
    double duration_s, budget_s;
    struct engine_info info;
    struct cpu_info cpu;
    char os[128];
    struct host_reading host_before, host_after;
    struct report_memory memory;
    struct scenario_list plan; /* its items name the tests */
    struct report_test *tests;
    size_t n_tests; /* that were begun */
};

/* The figure a test is judged by: prompts tokens per second, prefill and decode their own. */
enum metric report_headline(const struct report_test *test);
/* Works out everything below the samples. Pure. */
void report_summarize(struct report_test *test);
void report_free(struct report *report);

/* Why a figure is unknown, for `..._reason`. */
const char *report_metric_reason(const struct report_test *test, enum metric metric);
/* Why the run as a whole failed: no prompt, or nothing at all, was measured. NULL: it did not. */
const char *report_failure(const struct report *report);
/* The first test of a kind at depth 0 that has a figure, or NULL. */
const struct report_test *report_find(const struct report *report, enum scenario_kind kind);
/* Worst grade of all headlines. */
enum stats_grade report_grade(const struct report *report);
/* One sentence on the quality of the whole run: "indicative only (quick mode, 2 repeats); ..." into out. */
void report_quality(const struct report *report, char *out, size_t capacity);

void report_text(const struct report *report, FILE *out, bool color);
void report_markdown(const struct report *report, FILE *out);
/* malloc'ed JSON text, or NULL when memory is short. */
char *report_json(const struct report *report);

#endif
