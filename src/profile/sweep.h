/* Two things measured in turn, A B B A A B B A ..., so that whatever the machine does meanwhile happens to
 * both: a slow drift (heat, a growing cache) cancels inside each block of four, a slow minute hits two
 * neighbours alike. What comes out are pairs, each an A and the B beside it, for pairs.h.
 *
 * Knows labs only as functions, so that order, repetition and failure are tested without processes. One
 * thread.
 */
#ifndef LLMIND_PROFILE_SWEEP_H
#define LLMIND_PROFILE_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "profile/lab.h"
#include "profile/pairs.h"
#include "profile/run.h"

/* Where runs happen. sweep_labs_real is lab.h. */
struct sweep_labs {
    int (*open)(void *context, const struct lab_options *options, struct lab **out, struct error *error);
    void (*close)(void *context, struct lab *lab);
    int (*run)(void *context, struct lab *lab, const struct lab_run *run, struct lab_result *out,
               struct error *error);
    const struct engine_info *(*info)(void *context, const struct lab *lab);
    double (*now_s)(void *context);
    void *context;
};
extern const struct sweep_labs sweep_labs_real;

enum sweep_figure {
    SWEEP_TOKENS_PER_SECOND, /* these six as metrics.h has them */
    SWEEP_DECODE_TPS,
    SWEEP_PREFILL_TPS,
    SWEEP_TTFT_MS,
    SWEEP_RESPONSE_MS,
    SWEEP_AGGREGATE_TPS, /* decoding, of all sequences together; of one sequence: as DECODE_TPS */
    SWEEP_FIGURES
};
const char *sweep_figure_name(enum sweep_figure figure); /* "decode_tokens_per_second" */
bool sweep_lower_is_better(enum sweep_figure figure);

/* One run; unknown is NaN. */
struct sweep_sample {
    enum target_outcome outcome;
    char message[160];
    double value[SWEEP_FIGURES];
    uint32_t cached_tokens, generated_tokens;
    double footprint_peak_bytes;
};

struct sweep_pair {
    uint32_t block;
    struct sweep_sample a, b;
};

struct sweep {
    const struct sweep_labs *labs;
    const struct run_hooks *hooks; /* may be NULL */
    bool quick;
    const char *phase, *item; /* of events: "configurations" or "models", and the member `item` names */
    const char *name;         /* its value: "threads=1" */
    /* of phase events: the share of the whole run that what is measured now stands for, the seconds it will
     * take, and those after it; NaN: unknown */
    double progress_from, progress_to, expected_s, later_s;
    struct lab *dead; /* ERROR_IO came from this lab: it is only to be closed */
    /* of a comparison that is made in pieces: blocks that were made before, and of how many in all; when that
     * is not known yet, all_blocks is 0 */
    bool in_pieces;
    uint32_t first_block, all_blocks;
};

/* An event of type note, for people. */
void sweep_note(const struct sweep *sweep, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sweep_cancelled(const struct sweep *sweep);

/* One run with the gate closed. Done again, at most SWEEP_ATTEMPTS times in all, when something was served
 * meanwhile; when that did not help, the outcome is OUTCOME_ERROR. number: of the repeat, for the event; 0:
 * a warm-up, which needs no gate. Errors: those of lab_do. */
enum { SWEEP_ATTEMPTS = 4 };
int sweep_run(struct sweep *sweep, struct lab *lab, const struct lab_run *run, uint32_t number,
              struct sweep_sample *out, struct error *error);

/* One side. */
struct sweep_side {
    struct lab *lab;
    struct lab_run run;
    bool warmed; /* needs no warm-up of this shape */
};
struct sweep_result {
    struct sweep_pair *pairs; /* [n], the caller's: sweep_result_free */
    size_t n;
    enum target_outcome outcome; /* of the first run that did not end well; then no more were made */
    bool of_a;                   /* that was one of A's */
    bool fresh_blocks; /* every block had processes of its own: its two pairs share them, and are one */
    char message[160];
};
/* Warm-ups, then blocks of A B B A: two pairs each. It stops at the first run of either side that does not
 * end well; a pair of such a run is not kept. Errors: those of lab_do; what was measured before is in *out.
 */
int sweep_blocks(struct sweep *sweep, struct sweep_side *a, struct sweep_side *b, uint32_t blocks,
                 struct sweep_result *out, struct error *error);
void sweep_result_free(struct sweep_result *result);

/* B against A by one figure. More scatter than SWEEP_UNSTABLE (CV of either side), or a run that did not end
 * well, and there is no verdict; *why (may be NULL) then says so, and is NULL otherwise. Pure. */
#define SWEEP_UNSTABLE 0.20
void sweep_compare(const struct sweep_result *result, enum sweep_figure figure, struct pairs *out,
                   const char **why);

#endif
