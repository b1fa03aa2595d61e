/* What an answer took, as every entrance shows it: the "timings" object. The same definitions as the
 * profiler's (profile/metrics.h): one clock; t0 accepted, t1 first token, tn last token. */
#ifndef LLMIND_SERVICE_TIMINGS_H
#define LLMIND_SERVICE_TIMINGS_H

#include <jansson.h>

#include "engine/engine.h"

/* {"queue_ms", "prefill_ms", "ttft_ms", "decode_ms", "total_ms", "prompt_tokens", "cached_tokens",
 * "generated_tokens", "prefill_tokens_per_second", "decode_tokens_per_second"}; what did not happen is null,
 * and "reason" then says why. A new reference, NULL when memory is short. */
json_t *timings_json(const struct engine_timings *timings);

#endif
