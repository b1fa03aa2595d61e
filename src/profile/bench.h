/* `llmind bench`: one grid of small tests, with the names and columns llama-bench made familiar.
 *
 *   ppN        N prompt tokens processed          tokens / time from the start of prefill to the first token
 *   tgN        N tokens generated, one a step     N decode steps; the prompt and the first token are not in
 * it ppN+tgM    both, one after the other          (N + M) / time of both
 *   @ dD       behind D tokens of context         b B: B sequences at once, tokens of all of them counted
 *
 * With several sequences a tg test is timed while all of them decode; the nanoseconds are of that window,
 * which may hold a few tokens more than N for each. Each test has one warm-up of its own
 * shape, and a bandwidth probe before each repeat.
 */
#ifndef LLMIND_PROFILE_BENCH_H
#define LLMIND_PROFILE_BENCH_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "engine/engine.h"
#include "profile/stats.h"

enum { BENCH_MAX_LIST = 16, BENCH_MAX_REPEATS = 1000 };

struct bench_test {
    uint32_t n_prompt, n_gen, depth, batch; /* n_prompt or n_gen may be 0, not both */
};

struct bench_list {
    uint32_t items[BENCH_MAX_LIST];
    uint32_t count;
};

struct bench_grid {
    struct bench_list prompt, gen, depth, batch; /* 0 in prompt or gen: no such test */
    uint32_t both[2];                            /* ppN+tgM; 0, 0: none */
    uint32_t repeats;
};

/* All tests of a grid, depths outermost. Returns how many; at most capacity are written. */
size_t bench_expand(const struct bench_grid *grid, struct bench_test *out, size_t capacity);
/* Tokens of context the test needs for one sequence. */
uint64_t bench_context(const struct bench_test *test, uint32_t prefill_chunk);
/* "pp512+tg128 @ d4096 b4". */
void bench_label(const struct bench_test *test, char *out, size_t capacity);

struct bench_row {
    struct bench_test test;
    const char *model_name;  /* as the user calls it; borrowed */
    struct engine_info info; /* strings live as long as the engine */
    uint32_t n_samples;      /* 0 when it failed */
    double *tps, *ns; /* [n_samples]; owned by whoever called bench_engine's callback, during the call */
    struct stats tps_stats, ns_stats, read_gbps;
    const char *read_from; /* probe_level_name */
    uint64_t resident_bytes;
    char problem[200]; /* why there are no samples; empty when there are */
};

struct bench_options {
    const struct bench_test *tests;
    size_t n_tests;
    uint32_t repeats;
    const char *model_name;
    const atomic_int *cancel; /* may be NULL */
    /* Before each test, and with each finished row. A callback may be NULL. */
    void (*on_begin)(void *context, size_t index, const struct bench_test *test);
    void (*on_row)(void *context, const struct bench_row *row);
    void *context;
};

/* Runs the tests on one engine. A test that fails gives a row with a problem; the others go on.
 * ERROR_CANCELLED when interrupted, ERROR_MEMORY. */
int bench_engine(struct engine *engine, const struct bench_options *options, struct error *error);

/* ---- output ---- */

/* One JSON object, malloc'ed; NULL when memory is short. */
char *bench_row_json(const struct bench_row *row, int indent);
void bench_csv_heading(FILE *out);
void bench_csv_row(FILE *out, const struct bench_row *row);
struct table;
/* A table with the heading in it; rows are appended. Free with table_free. */
void bench_table_init(struct table *table);
void bench_table_row(struct table *table, const struct bench_row *row);

#endif
