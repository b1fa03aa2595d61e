/* A backend executes plans. This header is all that the engine knows of it.
 *
 * A backend_model is one plan made ready on one backend: its scratch memory, its KV memory, its threads. It
 * is driven by one thread (the engine's); it may use others inside backend_step. It owns the bytes of the KV
 * pages, the engine decides which sequence has which page. The plan and the weights it points to are borrowed
 * and must outlive it.
 *
 * Determinism: on the cpu backend and one ISA a token's logits are bit-equal whatever else is in the batch,
 * however its prompt was cut into chunks and however many threads work. MLX's kernels promise no such thing
 * (backend_options.batch_invariant), and what is built on it, guessing by prompt lookup, is refused there.
 */
#ifndef LLMIND_BACKEND_BACKEND_H
#define LLMIND_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "plan/plan.h"

enum { BACKEND_PAGE_TOKENS = 64 }; /* positions in one KV page */

struct backend_options {
    const char *name;   /* "cpu" or "mlx"; NULL: cpu */
    const char *isa;    /* cpu: "reference", "avx2", "avx512", ...; mlx: "cpu", "gpu"; NULL: the best here */
    uint32_t n_threads; /* 0: all cores this process may use. mlx has its own, and does not ask */
    uint32_t kv_bits;   /* 8 (codes with scales; cpu), 16 or 32 */
    bool batch_invariant;      /* results must keep the promise above: ERROR_UNSUPPORTED where they do not */
    bool precise;              /* every operation in f32, whatever precision the plan names */
    uint32_t max_step_tokens;  /* rows of one step, at most */
    uint32_t max_step_outputs; /* logits rows of one step, at most */
    uint32_t max_sequences;    /* sequences in one step, at most */
    uint32_t n_pages;          /* KV pages, each BACKEND_PAGE_TOKENS positions of every layer */
};

/* One sequence of a step. Its position p lives in pages[p / BACKEND_PAGE_TOKENS]. */
struct backend_sequence {
    const uint32_t *pages;
    uint32_t n_pages;
};

/* One ragged step: the tokens of all sequences one after another, each sequence's in order of position. Keys
 * and values of the new tokens are stored in their pages. Arrays are borrowed for the call. */
struct backend_batch {
    uint32_t n_tokens, n_outputs, n_sequences;
    const int32_t *tokens;                    /* [n_tokens], each below the plan's vocab */
    const uint32_t *positions;                /* [n_tokens] */
    const uint32_t *sequence;                 /* [n_tokens] index into sequences */
    const uint32_t *outputs;                  /* [n_outputs] which tokens' logits are wanted, ascending */
    const struct backend_sequence *sequences; /* [n_sequences] */
    bool embeddings_only; /* no logits, only plan.embedding: what stands behind it is left out */
};

/* A range of operations that the backend executes, and can time, as one. */
struct backend_segment {
    uint32_t first_op, n_ops;
};

struct backend_memory {
    uint64_t scratch_bytes;     /* activations and working space */
    uint64_t kv_bytes;          /* all pages */
    uint64_t weight_copy_bytes; /* weights this backend holds beside the mapped file */
    /* What the allocator of a backend that has its own (mlx) held after the last step, for all models of this
     * process: in use, the most that was in use, kept for later. 0: the backend has none. */
    uint64_t allocator_active_bytes, allocator_peak_bytes, allocator_cache_bytes;
};

struct backend_info {
    const char *name; /* "cpu" */
    const char *isa;  /* "avx512"; of mlx its device: "cpu", "metal", "cuda" */
    uint32_t n_threads;
    uint32_t kv_bits;
};

struct backend_model;

/* The names of the backends of this installation, the default one first, then NULL. Loads none of them. */
const char *const *backend_names(void);

/* Makes the plan ready. Errors: ERROR_INVALID (an option), ERROR_UNSUPPORTED (an operation, a format, an ISA
 * this machine has not), ERROR_MEMORY. */
int backend_prepare(const struct plan *plan, const struct backend_options *options,
                    struct backend_model **out, struct error *error);
void backend_close(struct backend_model *model); /* NULL is legal */

/* Runs one step. *logits: [n_outputs, vocab] f32 (NULL when none are wanted: the middle of a prompt, or
 * embeddings_only), owned by the backend, valid until the next step. segment_ns, when not NULL: [n_segments]
 * nanoseconds each segment took (a traced step: slower, never summed with others). Allocates nothing. Errors:
 * ERROR_INTERNAL when the batch breaks a limit of backend_options.
 */
int backend_step(struct backend_model *model, const struct backend_batch *batch, const float **logits,
                 uint64_t *segment_ns, struct error *error);

/* What stands at an output-domain view after the last step: rows of view.width f32, *stride floats apart, one
 * for each wanted token, valid until the next step. */
const float *backend_rows(const struct backend_model *model, struct plan_view view, size_t *stride);

const struct backend_segment *backend_segments(const struct backend_model *model, uint32_t *n_segments);
struct backend_memory backend_memory(const struct backend_model *model);
struct backend_info backend_info(const struct backend_model *model);

/* Bytes of activations and working space that backend_prepare would take with these options (n_pages does not
 * matter, and may be 1). The same errors, none of the memory. */
int backend_scratch_bytes(const struct plan *plan, const struct backend_options *options, uint64_t *bytes,
                          struct error *error);

/* Into how many stages, that follow each other, this backend would cut a step: each costs its threads a
 * meeting. The same errors. */
int backend_phases(const struct plan *plan, const struct backend_options *options, uint32_t *n_phases,
                   struct error *error);

/* The bytes of a page, backend_page_bytes of them, between two steps: for keeping what was computed longer
 * than the process lives, and for putting it back. What they mean is the backend's own; backend_page_layout
 * numbers that, and changes with it. Bytes of a page whose positions are all stored depend on the plan, the
 * tokens, kv_bits, precise and the ISA, and on nothing else. Layout 0: pages cannot be lent (mlx), and
 * backend_page must not be called. */
uint8_t *backend_page(struct backend_model *model, uint32_t page);
uint32_t backend_page_layout(const struct backend_model *model);

/* Bytes one page of this plan takes, before anything is allocated. */
uint64_t backend_page_bytes(const struct plan *plan, uint32_t kv_bits);

#endif
