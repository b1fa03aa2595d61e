/* Inside the cpu backend: a plan made ready, and the step that is being executed.
 *
 * The whole step runs as one parallel region. Every thread walks the same list of *phases* and meets the
 * others at barriers between them: ROWS     operations that work on each row alone (norm, rope, add ...):
 * threads own fixed ranges of rows, so a chain of them needs no barrier inside; LINEAR   matrix products that
 * share one input: the input's rows are rounded to int8 (rows again), barrier, then pieces of weight rows are
 * handed out by a counter; ATTEND   tiles of queries, handed out by a counter; EXPERTS  routed experts
 * (experts.c). A phase is also the segment that is timed. Who computes a piece never changes its result.
 */
#ifndef LLMIND_BACKEND_CPU_CPU_H
#define LLMIND_BACKEND_CPU_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/threads.h"
#include "base/arena.h"
#include "plan/plan.h"

enum phase_kind { PHASE_ROWS, PHASE_LINEAR, PHASE_ATTEND, PHASE_EXPERTS };

enum { PHASE_MAX_INPUTS = 4 }; /* differently rounded forms of one phase's input */

/* How a linear operation wants its input rounded. */
struct rounding {
    uint32_t group;
    enum code_order order;
};

struct phase {
    enum phase_kind kind;
    enum plan_domain domain;
    uint32_t first_op, n_ops;
    bool barrier_before;
    uint32_t n_inputs; /* of LINEAR */
    struct rounding inputs[PHASE_MAX_INPUTS];
};

/* Which rounded input a linear op multiplies; INPUT_F32 for none. */
enum { INPUT_F32 = 0xFF };

struct rope_table {
    const struct plan_rope *rope;
    float *cos_sin; /* [max_step_tokens, dims] */
};

/* Consecutive rows of one sequence that one attention tile takes. */
struct tile {
    uint32_t row, n_rows;
};

/* Buffers of PHASE_EXPERTS; rows are (token, active expert) pairs sorted by expert. */
struct experts_space {
    uint32_t *pair_token,
        *pair_of;           /* [pairs]: sorted position -> token; token * n_active + i -> sorted position */
    uint32_t *expert_start; /* [n_experts + 1] */
    float *x, *gate, *up, *out; /* x only where an expert matrix is multiplied in f32 */
    struct q8_rows x_codes, h_codes;
    atomic_uint next[2];
};

struct cpu_model {
    const struct plan *plan;
    struct backend_options options;
    struct kernels kernels;
    struct threads *threads;
    struct arena arena;

    struct phase *phases;
    struct backend_segment *segments;
    uint32_t n_phases;
    uint8_t *op_input; /* [n_ops] index into the phase's inputs, or INPUT_F32 */

    uint8_t *memory; /* slots, rounded inputs, per-thread scratch: one mapping */
    size_t memory_bytes;
    float **slots;                           /* [n_slots] -> [rows, width] */
    struct q8_rows inputs[PHASE_MAX_INPUTS]; /* strides are set per use */
    uint8_t *scratch;                        /* [n_threads, scratch_bytes] */
    size_t scratch_bytes;
    struct experts_space experts;
    struct rope_table *ropes;
    uint32_t n_ropes;

    uint8_t *kv; /* [pages][caches] */
    size_t kv_bytes, page_bytes;
    size_t *cache_offset; /* of each cache inside a page */

    /* the step, written by the engine's thread before the threads start */
    const struct backend_batch *batch;
    uint64_t *segment_ns;
    uint32_t *output_token; /* [max_step_outputs] copy of batch->outputs */
    struct tile *tiles[2];  /* by domain */
    uint32_t n_tiles[2];
    atomic_uint *next; /* [n_phases] next piece of a phase */
};

/* ---- schedule.c ---- */

/* Cuts the plan into phases. Allocates from model->arena. */
int schedule_phases(struct cpu_model *model, struct error *error);
bool op_is_int8(const struct cpu_model *model, const struct plan_op *op, const struct weight *weight);
enum plan_domain op_domain(const struct plan *plan, const struct plan_op *op);

/* ---- execute.c ---- */

/* The parallel region of a step. */
void execute_step(void *model, uint32_t thread);
/* Rows of a domain in this step. */
uint32_t step_rows(const struct cpu_model *model, enum plan_domain domain);
/* The token (index into the batch) of a row. */
uint32_t row_token(const struct cpu_model *model, enum plan_domain domain, uint32_t row);
float *view_row(const struct cpu_model *model, struct plan_view view, uint32_t row);
void *thread_scratch(const struct cpu_model *model, uint32_t thread);
/* Weight rows in one piece of a matrix of `total` rows: small enough to balance the threads, large enough to
 * be worth handing out, a multiple of 16. */
uint32_t piece_rows(const struct cpu_model *model, uint32_t total, uint64_t row_bytes, uint32_t n_tokens);

/* ---- experts.c ---- */

void execute_experts(struct cpu_model *model, const struct plan_op *op, uint32_t thread);
void execute_route(const struct plan_op *op, const float *logits, float *out);

#endif
