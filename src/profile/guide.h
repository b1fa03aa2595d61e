/* The optimization guide: content in one place (docs/guide.json, embedded), and what is computed for this
 * machine. */
#ifndef LLMIND_PROFILE_GUIDE_H
#define LLMIND_PROFILE_GUIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The answer of GET /api/profiling/optimization-guide: {"optimization_techniques" and "mlx_flags" and
 * "llmind_flags" (arrays by category), "hardware_config" (each with "this_machine": bool),
 * "model_recommendations" (computed from the ceilings and the memory of this machine by estimate_models),
 * "hardware_profile", "system_info"}. topic: NULL or "" for all, or a word that is searched for in
 * categories, titles and texts, whatever its case (ERROR_NOT_FOUND lists the categories; ERROR_INVALID:
 * longer than 200 bytes). ceilings: as in a report; NULL: not measured yet, and the recommendations say so
 * ("model_recommendations_reason"). A new reference. */
int guide_read(const char *topic, const json_t *ceilings, json_t **out, struct error *error);

/* Which well-known models fit this machine, and how fast they would be: [{"model", "size", "bytes",
 * "weight_bytes", "kv_bytes", "context", "performance": "41 tok/s (36-44)", "decode_tokens_per_second":
 * {"low", "mid", "high"}, "use_case"}], from their configurations' plans, the measured read bandwidth, the
 * memory that is there and, where the ceilings are this machine's `own`, its calibration (estimate.h); speeds
 * are null with a reason without ceilings. The largest first, those that would be slower than one reads last.
 * A new reference; NULL: memory. */
json_t *estimate_models(const json_t *ceilings, bool own, uint64_t memory_bytes);

/* "Apple M2 Max (38 GPU cores, 400 GB/s rated)", "AMD EPYC 9654, 2 of 192 cores, AVX-512": what this machine
 * is, in a line. Returns 0. */
int guide_hardware_profile(char *out, size_t capacity);

#endif
