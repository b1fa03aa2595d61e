/* Inside the cpu backend: a plan made ready, and the step that is being executed.
 *
 * A step is one round of the thread pool; every thread walks the same list of *phases*, each a stage of the
 * round, cut into pieces that whoever is free takes (threads.h): ROPES     cosines and sines of the step's
 * positions ROWS      operations that work on each row alone (norm, rope, add ...), a whole chain of them
 * over some rows; then the rows are rounded to int8 for the matrix products that follow, where those want it
 *   LINEAR    matrix products that share one input: pieces of weight rows
 *   ATTEND    tiles of queries
 *   SCALE     one operation on each number alone: shares of the columns of each row, because a step has few
 *             rows of logits, and each is as wide as the vocabulary
 *   EXPERTS   routed experts, in six phases (experts.c)
 * Operations that are timed together are a *segment*: one phase, or the six of routed experts, or a matrix
 * product and the rounding before it. Who computes a piece never changes its result.
 */
#ifndef LLMIND_BACKEND_CPU_CPU_H
#define LLMIND_BACKEND_CPU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/threads.h"
#include "base/arena.h"
#include "plan/plan.h"

enum phase_kind {
    PHASE_ROPES,
    PHASE_ROWS,
    PHASE_LINEAR,
    PHASE_ATTEND,
    PHASE_SCALE,
    PHASE_EXPERTS_SORT,
    PHASE_EXPERTS_GATHER,
    PHASE_EXPERTS_UP,
    PHASE_EXPERTS_ACTIVATE,
    PHASE_EXPERTS_DOWN,
    PHASE_EXPERTS_COMBINE
};

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
    uint32_t segment;
    uint32_t rounds;   /* of ROWS: the LINEAR phase it rounds the input of, 0 for none */
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
    uint32_t *busy;         /* [n_experts] those with tokens */
    uint32_t n_busy;
    float *x, *gate, *up, *out; /* x only where an expert matrix is multiplied in f32 */
    struct q8_rows x_codes, h_codes;
};

struct cpu_model {
    const struct plan *plan;
    struct backend_options options;
    struct kernels kernels;
    struct threads *threads;
    struct arena arena;

    struct phase *phases;
    struct backend_segment *segments;
    uint32_t n_phases, n_segments;
    uint32_t *pieces;  /* [n_phases] of this step */
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
};

/* ---- schedule.c ---- */

/* Cuts the plan into phases. Allocates from model->arena. */
int schedule_phases(struct cpu_model *model, struct error *error);
bool op_is_int8(const struct cpu_model *model, const struct plan_op *op, const struct weight *weight);
enum plan_domain op_domain(const struct plan *plan, const struct plan_op *op);

/* Weight rows in one piece of a matrix of `total` rows: small enough to balance the threads, large enough to
 * be worth handing out, a multiple of 16. */
uint32_t piece_rows(const struct cpu_model *model, uint64_t total, uint64_t row_bytes, uint32_t n_tokens);
/* The same for all matrices of a LINEAR phase together. */
uint32_t linear_piece_rows(const struct cpu_model *model, const struct phase *phase);
/* Rows in one piece of `rows` rows that are worked on alone. */
uint32_t share_rows(const struct cpu_model *model, uint32_t rows);
/* Columns in one piece of a SCALE phase, 1 .. width: every thread has a part even of a single row. */
uint32_t share_columns(const struct cpu_model *model, uint32_t rows, uint32_t width);
/* Cuts every phase of this step into model->pieces. ERROR_LIMIT: more than STAGE_MAX_PIECES. */
int schedule_pieces(struct cpu_model *model, struct error *error);

/* ---- space.c ---- */

/* Everything that is decided before memory is taken: tables in the arena, and memory_bytes. After
 * schedule_phases. */
int space_lay_out(struct cpu_model *model, struct error *error);
/* Takes the activations and the KV pages. */
int space_allocate(struct cpu_model *model, struct error *error);
/* Gives back both, and the arena. */
void space_free(struct cpu_model *model);

/* ---- rounded activations ---- */

static inline size_t padded_codes(size_t cols)
{
    return (cols + KERNEL_CODE_ALIGN - 1) / KERNEL_CODE_ALIGN * KERNEL_CODE_ALIGN;
}

static inline size_t padded_groups(size_t cols, size_t group)
{
    return (cols / group + 15) / 16 * 16;
}

/* A buffer of rounded rows, laid out for rows of `cols` numbers in groups. */
static inline struct q8_rows shape_codes(struct q8_rows buffer, uint32_t cols, uint32_t group)
{
    buffer.group = group;
    buffer.code_stride = padded_codes(cols);
    buffer.group_stride = padded_groups(cols, group);
    return buffer;
}

/* ---- execute.c ---- */

/* What every thread runs in a step; a threads_function. */
void execute_step(void *context, uint32_t thread, uint32_t round);
/* Rows of a domain in this step. */
uint32_t step_rows(const struct cpu_model *model, enum plan_domain domain);
/* The token (index into the batch) of a row. */
uint32_t row_token(const struct cpu_model *model, enum plan_domain domain, uint32_t row);
float *view_row(const struct cpu_model *model, struct plan_view view, uint32_t row);

/* ---- experts.c ---- */

enum { ROUTE_MAX_EXPERTS = 8192 };

/* Pieces of one of the EXPERTS phases in this step, and the work of one piece. */
uint64_t experts_pieces(const struct cpu_model *model, const struct phase *phase);
void execute_experts(struct cpu_model *model, const struct phase *phase, uint32_t piece, void *scratch);
void execute_route(const struct plan_op *op, const float *logits, float *out);

#endif
