/* A lab: one fresh process with one model in it, opened with exactly the knobs it was given, that runs one
 * timed thing at a time and answers with raw samples. It is `llmind lab`, a hidden command; the two sides
 * speak JSON, one object a line, over a socketpair.
 *
 * Why a process: memory that was used before, warmed caches, grown heaps and another run's threads belong to
 * nobody's measurement, its peak memory is its own, and when it crashes or is killed for memory the run goes
 * on with the next one. Several labs may be alive at once (that is how knobs are compared in turn), but only
 * one works at a time. One thread uses a lab; lab_kill alone may be called from any.
 */
#ifndef LLMIND_PROFILE_LAB_H
#define LLMIND_PROFILE_LAB_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "engine/engine.h"
#include "profile/metrics.h"
#include "profile/probe.h"
#include "profile/scenario.h"

struct lab;

struct lab_options {
    struct engine_options engine; /* model: a folder; adapter: one that no message names */
    const char *model_name;       /* by which messages call the model; NULL: by its folder */
    bool raw;                     /* prompts without the chat template */
    const atomic_int *cancel;     /* not 0: whatever runs ends with ERROR_CANCELLED; may be NULL */
};

/* Starts the process and loads the model. Errors: those of engine_open; ERROR_IO (it died: how). */
int lab_open(const struct lab_options *options, struct lab **out, struct error *error);
void lab_close(struct lab *lab); /* ends and reaps it; NULL is legal */
void lab_kill(struct lab *lab);
pid_t lab_pid(const struct lab *lab);
/* What its engine says of itself, as engine_info, with load time and the memory account:
 * {"model": {...}, "flags": {...} (both as in the report), "load_ms", "vocab", "weight_bytes", "kv_bytes",
 * "scratch_bytes", "kv_bytes_per_token", "context", "has_chat_template"}; borrowed. */
const json_t *lab_info(const struct lab *lab);
const struct engine_info *lab_engine_info(const struct lab *lab);

/* One timed run. */
struct lab_run {
    struct scenario scenario;
    uint32_t n_sequences; /* at once; 0 is 1. All but the first have prompts of their own */
    /* Greedy with EOS ignored when temperature is NaN: the timed scenarios. Otherwise a seeded sampler. */
    double temperature;
    uint64_t seed;
    /* All warm runs of one scenario in one lab begin alike, and may use the prefix cache; the first fills it.
     * Cold ones, the others, neither use it nor leave anything there. */
    bool warm;
    bool probe;          /* measure the read bandwidth right before */
    uint32_t timeout_ms; /* 0: 10 minutes */
};
struct lab_memory { /* of the lab's process, after the run */
    bool known;
    uint64_t minor_faults, major_faults; /* during the run */
    uint64_t footprint_bytes, footprint_peak_bytes, anonymous_bytes, file_resident_bytes, swap_bytes;
    uint64_t allocator_active_bytes, allocator_peak_bytes, allocator_cache_bytes; /* as in backend.h */
};
struct lab_result {
    struct sample sample;        /* of the first sequence; sample_free */
    double aggregate_decode_tps; /* of all sequences together while all decode; NaN for one */
    struct probe_result probe;
    double start_s, first_token_s, end_s; /* clock_now_ns / 1e9: phases for the monitor */
    double weight_bytes_per_token, kv_bytes_per_token, flops_per_token,
        prefill_flops; /* by the plan; NaN unknown */
    bool guesses;      /* with prompt lookup: a step gives one token or several */
    struct lab_memory memory;
};
/* 0 also when the run went wrong: sample.outcome says so. Errors: ERROR_IO (the lab died; it is only to be
 * closed now), ERROR_CANCELLED, ERROR_MEMORY. */
int lab_do(struct lab *lab, const struct lab_run *run, struct lab_result *out, struct error *error);

/* One decode step of n_tokens sequences at a depth, traced: {"n_tokens", "depth", "traced_step_ms",
 * "plain_step_ms", "overhead_fraction", "covered_fraction" (sum of segments / traced step), "segments":
 * [{"name", "first_op", "n_ops", "ms", "weight_bytes", "kv_bytes", "flops", "gbps", "gflops"}]}. *out is a
 * new reference. Errors as lab_do. */
int lab_trace(struct lab *lab, uint32_t n_tokens, uint32_t depth, json_t **out, struct error *error);

/* The child's main: all of `llmind lab`. The socket is descriptor 3. Returns an exit code. */
int lab_main(void);

#endif
