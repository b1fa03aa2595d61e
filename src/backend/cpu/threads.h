/* The compute threads of one cpu backend.
 *
 * threads_run opens a *round*: every thread (the caller is number 0) runs the pool's function. The function
 * does its work in *stages*, each cut into numbered pieces that whoever is free claims (stages_claim). There
 * is no barrier: a stage is over when all its pieces are, so a thread that the system has put aside holds
 * nobody up unless it sits on a piece; when it comes back it finds the stages over and catches up, or finds
 * the round over and goes home. threads_run returns when the caller's function returns, that is when every
 * stage is over; late threads may still be on their way out, which is why a thread may look at the round's
 * data only while it holds a piece.
 *
 * Waiting spins for a short while, because the next piece of work usually comes within microseconds, and then
 * sleeps.
 */
#ifndef LLMIND_BACKEND_CPU_THREADS_H
#define LLMIND_BACKEND_CPU_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct threads;

enum { STAGE_MAX_PIECES = (1 << 24) - 1 };

/* thread: 0 .. n_threads - 1. round: to be handed to the functions below. */
typedef void (*threads_function)(void *context, uint32_t thread, uint32_t round);

/* n_threads >= 1, the caller included; n_stages of every round. function and context are the pool's for life.
 */
int threads_open(uint32_t n_threads, uint32_t n_stages, threads_function function, void *context,
                 struct threads **out, struct error *error);
void threads_close(struct threads *threads); /* NULL is legal */

/* Runs one round. pieces: [n_stages], 0 for a stage that is empty this time, at most STAGE_MAX_PIECES. What
 * the caller wrote before is seen by whoever claims a piece. One caller at a time. */
void threads_run(struct threads *threads, const uint32_t *pieces);

enum stage_state { STAGE_CLAIMED, STAGE_DONE, ROUND_OVER };

/* Claims a piece of the stage: STAGE_CLAIMED with its number in *piece, to be given back with stages_finish.
 * When none is left it waits until the last one is finished and returns STAGE_DONE: everything written in the
 * stage is seen now. ROUND_OVER: the caller of this function came too late and must return. */
enum stage_state stages_claim(struct threads *threads, uint32_t stage, uint32_t round, uint32_t *piece);
void stages_finish(struct threads *threads, uint32_t stage);

uint32_t threads_count(const struct threads *threads);

#endif
