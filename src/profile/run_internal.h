/* One run while it goes on: what run.c (the order of things), run_tests.c (timed tests in a lab),
 * run_remote.c (the same against a server), run_report.c and run_summary.c (from samples to JSON) share. One
 * thread.
 *
 * Tests are measured into struct run_test, whoever measures them; everything in the report that is about
 * tests is made from there.
 */
#ifndef LLMIND_PROFILE_RUN_INTERNAL_H
#define LLMIND_PROFILE_RUN_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "profile/host.h"
#include "profile/lab.h"
#include "profile/monitor.h"
#include "profile/run.h"
#include "profile/scenario.h"
#include "profile/stats.h"

struct remote;
struct run_prediction;

enum {
    RUN_REPEATS = 3,
    RUN_REPEATS_QUICK = 2,
    RUN_TIMEOUT_MS = 600 * 1000, /* of one repeat */
    RUN_TIMEOUT_QUICK_MS = 60 * 1000
};

/* Why what a token costs is not known. */
#define RUN_LOOKUP_REASON "not told: with prompt lookup a step gives one token or several"

/* Why an engine's own figures are not known of a server. */
#define RUN_REMOTE_REASON "measured from outside: a server does not tell"

/* Why a proof's report has no such part. */
#define PROOF_REASON "a proof compares two configurations and measures nothing else: see configurations"

struct run_test {
    bool remote;
    struct scenario scenario; /* prompt: the request's */
    struct lab_result warmup;
    struct lab_result *results; /* [n_results], in the order taken; room for run.repeats */
    uint32_t n_results;

    /* run_test_summarize: over the samples whose outcome is OK */
    uint32_t outcomes[OUTCOMES];
    struct stats metric[METRICS];
    struct stats read_gbps, achieved_gbps, mbu, prefill_gflops;
    char mbu_reason[200]; /* why there is no MBU; empty when there is one */
    enum stats_grade grade;
    bool drifts;
    double drift; /* last / first - 1 of the headline */
};

struct run {
    const struct profile_request *request;
    const struct run_hooks *hooks;
    uint32_t repeats; /* of a proof: blocks */
    double budget_s;  /* of everything; 0: none */
    uint64_t begin_ns;
    char created[32];
    struct monitor *monitor; /* NULL: it could not be started */
    struct host_reading host_before, host_after;
    double weights_resident; /* before anything was read, fraction; NaN: unknown */

    /* a model of this machine */
    struct lab *lab;
    json_t *lab_info;               /* a copy, which outlives the lab */
    double prefill_tps, decode_tps; /* of the calibration: what budgets and ETAs are made of; NaN: unknown */
    struct lab_memory memory;       /* of the last run; major_faults: of all */
    uint64_t swap_first_bytes;
    uint32_t n_revivals;

    /* a server: {"url", "model", "server", ...} as in the report; NULL: none */
    json_t *target;
    struct remote *remote; /* run_remote.c's */

    struct scenario_list plan;
    struct run_test *tests; /* [n_tests] of plan.count: those that were begun */
    double slower;          /* than expected the warm-ups were, 1 or more; 0: none was made */
    bool no_configurations; /* the time was up before them */
    double tests_until_s;   /* of run_elapsed_s: where tests end in a run with a budget; 0: at the budget */
    size_t n_tests;

    /* parts of the report; NULL: not there, with the reason where there is one */
    json_t *ceilings, *sensors, *configurations, *traces, *comparison;
    json_t *cuts, *notes; /* arrays */
    char ceilings_reason[256], sensors_reason[256], prediction_reason[256];
    struct run_prediction *prediction; /* run_predict.h */

    /* progress: what is expected to be done by now, of what is expected in all, in seconds */
    double done_s, total_s, tests_s, configurations_s, trace_s;
    const char *phase;
};

bool run_cancelled(const struct run *run);

/* ---- what is told (run_events.c) ---- */

/* phase: as in run.h; it stays until the next one. step: may be NULL. */
void run_tell_phase(struct run *run, const char *phase, const char *step);
void run_tell_step(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* number: from 1; 0: the warm-up. */
void run_tell_sample(struct run *run, const struct run_test *test, uint32_t number,
                     const struct sample *sample);
/* Also kept for the report's "notes". */
void run_note(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
double run_elapsed_s(const struct run *run);
double run_progress(const struct run *run); /* 0 to 1; NaN: not known yet */

/* ---- tests (run_tests.c) ---- */

/* Measures one scenario once. 0 also when it went wrong: out->sample.outcome says so; lab_result without what
 * cannot be known is NaN there. Errors: ERROR_CANCELLED, ERROR_MEMORY; ERROR_IO: the lab or the server is
 * gone.
 */
typedef int (*run_measure)(struct run *run, const struct scenario *scenario, bool timed,
                           struct lab_result *out, struct error *error);
/* Every test of run->plan: a warm-up of the same shape, then the repeats, with the gate closed, and done
 * again when something was served meanwhile. An ERROR_IO of measure becomes a sample, and `revive` (may be
 * NULL) is asked to make things whole again. In a run with a budget, tests and repeats that would end too
 * late are left out and told in run->cuts; the first test gets a repeat whatever it takes, the first prefill
 * and decode tests get theirs where the whole budget allows. Errors: ERROR_CANCELLED, ERROR_MEMORY, ERROR_IO
 * (revive failed).
 */
int run_each_test(struct run *run, run_measure measure, int (*revive)(struct run *run, struct error *error),
                  struct error *error);

/* ---- a model of this machine (run_lab.c) ---- */

/* Opens run->lab, calibrates, plans, measures the ceilings and the tests. Errors: as lab_open and
 * run_each_test.
 */
int run_tests_in_lab(struct run *run, struct error *error);
/* Asks the server that shares the machine, if there is one, whether the model fits beside its own. Errors:
 * ERROR_LIMIT. */
int run_make_room(struct run *run, const char *path, struct error *error);
/* What a lab's process said of its memory, added to what the report says of the run. */
void run_account_memory(struct run *run, const struct lab_result *result);
/* Adds to run->traces. Errors: ERROR_CANCELLED, ERROR_MEMORY, ERROR_IO (the lab is gone, and no other opens).
 */
int run_trace(struct run *run, struct error *error);
/* The lab is gone: opens another, a few times in a run. Errors: as lab_open; ERROR_IO: too often. */
int run_revive(struct run *run, struct error *error);
bool run_wants_configurations(const struct run *run);
/* In a run with a budget, behind the tests: configurations whose baseline alone would end too late are not
 * wanted any more, and run->cuts says so. */
void run_cut_configurations(struct run *run);
uint32_t run_deepest(const struct run *run); /* depth of the deepest test planned, then of those begun */
/* run.c: what this machine can do at most, with the threads and the ISA of the lab. What fails is a reason.
 * Errors: ERROR_CANCELLED. */
int run_measure_ceilings(struct run *run, struct error *error);

/* ---- a proof (run_prove.c) ---- */

/* Sets run->lab_info and run->configurations. Errors: as prove_measure and run_make_room; ERROR_INVALID: the
 * model is another one by now; ERROR_NOT_FOUND. */
int run_prove(struct run *run, struct error *error);

/* ---- a server instead of a model (run_remote.c) ---- */

/* All of a run against request->target_url: opens it, sets run->target, plans (run->plan), calls
 * run_each_test. Errors: as remote_open and run_each_test. */
int run_remote(struct run *run, struct error *error);

/* ---- from samples to figures (run_summary.c) ---- */

/* The figure a test is judged by: prompts tokens per second, prefill and decode their own. */
enum metric run_test_headline(const struct run_test *test);
void run_test_summarize(struct run_test *test);
/* Why a figure is unknown, for `..._reason`. */
const char *run_test_reason(const struct run_test *test, enum metric metric);
/* Why the run as a whole failed: no prompt, or nothing at all, was measured. NULL: it did not. */
const char *run_failure(const struct run *run);
/* The first test of a kind at depth 0 that has a figure, or NULL. */
const struct run_test *run_find(const struct run *run, enum scenario_kind kind);
enum stats_grade run_grade(const struct run *run); /* worst of all headlines */
/* One line on the quality of the whole: "quick mode, 2 repeats: indicative; ...". */
void run_quality(const struct run *run, char *out, size_t capacity);

/* ---- from figures to JSON (run_report.c, run_report_tests.c) ---- */

json_t *run_tests_json(const struct run *run);
json_t *run_summary_json(const struct run *run);
/* The whole report; status and message say how it ended. A new reference; NULL: memory. */
json_t *run_report(const struct run *run, int status, const char *message);

#endif
