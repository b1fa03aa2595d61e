/* Prompts that begin alike are computed once: how a request uses pages of others and leaves its own.
 *
 * A request takes over the longest known chain of its prompt's full pages when it is admitted, and again
 * whenever it is about to start a page that somebody has completed meanwhile. What it computes itself becomes
 * known page by page, as soon as a page is full: its prompt while it is being prefilled, its answer for the
 * next turn of the same conversation. At least one token of every prompt is computed, because the answer
 * starts from its logits. A scored prompt (on_logits) and one with no_cache stay outside: they neither use
 * nor leave anything.
 *
 * A page's keys and values are the same bits whoever computed it (backend.h: batch-invariant), so sharing
 * changes what a request costs and never what it says.
 *
 * Called by the engine's thread only.
 */
#ifndef LLMIND_ENGINE_SHARING_H
#define LLMIND_ENGINE_SHARING_H

#include <stdbool.h>
#include <stdint.h>

struct local_engine;
struct local_request;

/* Promises the request all pages it may ever need and gives it the known ones of its prompt; false when there
 * are too few for now. */
bool sharing_admit(struct local_engine *engine, struct local_request *request);
/* Before a step: takes over what has become known of its prompt. */
void sharing_advance(struct local_engine *engine, struct local_request *request);
/* Whether active[index] should let a step pass, because an older request is computing the very page that it
 * would compute next. The oldest never waits, so somebody always goes on. */
bool sharing_waits(const struct local_engine *engine, uint32_t index);
/* After a step: positions first .. n_cached have been stored; what is full becomes known. */
void sharing_keep(struct local_engine *engine, struct local_request *request, uint32_t first);

#endif
