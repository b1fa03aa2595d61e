/* How many KV pages an engine gets, and whether the model fits this machine at all: decided from the plan and
 * the machine's figures before anything large is allocated. Pure. */
#ifndef LLMIND_ENGINE_BUDGET_H
#define LLMIND_ENGINE_BUDGET_H

#include <stdint.h>

#include "base/error.h"
#include "plan/plan.h"

struct budget_input {
    uint64_t weight_file_bytes; /* mapped; counted whole, because a step reads all of it */
    uint64_t scratch_bytes;     /* what the backend will take: backend_scratch_bytes */
    uint64_t page_bytes;        /* of one KV page */
    uint32_t context, max_sequences;
    uint64_t available_bytes; /* what the process may still use; UINT64_MAX: unknown */
};

/* *n_pages: enough for max_sequences whole contexts, but at most a quarter of the available memory and at
 * most BUDGET_KV_BYTES, but always one whole context. Errors: ERROR_LIMIT with the figures when that does not
 * fit. */
int budget_pages(const struct budget_input *input, uint32_t *n_pages, struct error *error);

/* The largest share of memory that KV pages take by default. */
#define BUDGET_KV_BYTES (UINT64_C(8) << 30)

/* What the machine and this process's cgroup leave; UINT64_MAX when neither is known. */
uint64_t budget_available_bytes(void);
/* The same, and what somebody will give back before it is needed. */
uint64_t budget_with(uint64_t available_bytes, uint64_t reclaimable_bytes);

#endif
