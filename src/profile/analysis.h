/* What the figures mean: from a report's measurements to its "analysis". Pure: reads only the report (which
 * may come from another machine, or be incomplete), invents nothing; what cannot be concluded is left out.
 *
 *   "analysis": {
 *     "performance_summary": {"avg_tokens_per_second", "memory_gb", "gpu_utilization" (0 to 1),
 *         "avg_response_time_s", "mbu", "mfu", "decode_tokens_per_second", "prefill_tokens_per_second",
 *         "ttft_ms"},
 *     "strengths": ["..."],
 *     "bottlenecks": [{"id", "severity": "High"|"Medium"|"Low", "kind": "fault"|"limit", "title",
 *         "evidence": {name: figure}, "explanation", "principal": bool}],
 *             most severe first, the first one is the principal one. A limit is what decides the speed when
 *             nothing is wrong; a healthy run has no fault
 *     "recommendations": [{"id": "threads=2", "text", "expected_pct": n | null, "provable": bool,
 *         "setting": {"key", "value"} | null, "because": bottleneck id | null}],
 *             configurations that were measured to be better first. provable: `id` is a configuration
 *     "roofline": {"read_gbps", "peak_gflops", "operations": [{"name": "layers.*.mlp.down_proj", "calls",
 *         "time_ms", "share", "gbps", "gflops", "bound": "memory"|"compute"|"overhead"|null, "efficiency"}]}
 *             | null with "roofline_reason"; longest first
 *     "two_term": {"bandwidth_gbps", "fixed_ms", "points": [{"test", "depth", "bytes", "tpot_ms"}]}
 *             | null with "two_term_reason",
 *     "quality": {"grade", "flags": ["..."]}}
 */
#ifndef LLMIND_PROFILE_ANALYSIS_H
#define LLMIND_PROFILE_ANALYSIS_H

#include <jansson.h>

#include "base/error.h"

/* Sets (or replaces) the report's member "analysis". ERROR_INVALID: not an object; ERROR_MEMORY. */
int analysis_add(json_t *report, struct error *error);
/* Why the comparisons of an analysed report may show what is not so when the machine is quiet ("measured
 * while others took the processors: ..."); static. NULL: nothing of the kind was found. */
const char *analysis_doubt(const json_t *report);
/* The same for a report that was not analysed, from its own sensors, as far as it concerns a configuration
 * ("threads=2"): that others took processors makes fewer threads look good, and spoils no comparison in turn
 * of anything else. Static; NULL: nothing was found. */
const char *analysis_disturbance(const json_t *report, const char *configuration);

#endif
