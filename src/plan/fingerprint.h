/* One number for everything that a plan computes. */
#ifndef LLMIND_PLAN_FINGERPRINT_H
#define LLMIND_PLAN_FINGERPRINT_H

#include "plan/plan.h"

/* XXH64 over every operation with its operands and numbers, every cache, and every byte of the weights and
 * vectors they name; names and places of files are not in it. Plans with the same number compute the same
 * from the same tokens, as long as nobody made them up to have it. Reads all weights once, from the disk
 * where they are not in memory yet: about as long as the first step takes. Pure; the plan has weights (not
 * shapes_only).
 */
uint64_t plan_fingerprint(const struct plan *plan);

#endif
