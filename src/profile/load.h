/* Open-loop load: requests are sent when they are due, whatever the answers do, and latency counts from the
 * moment a request was due ("coordinated omission": Tene, "How NOT to Measure Latency"). Sweeps the rate
 * (and, closed-loop, the concurrency) up to saturation.
 *
 * The target is a server (remote.h), or a model of this machine. Of a model, a worker process opens an engine
 * and requests go through its door (engine/engine.h), without HTTP: that measures scheduler and kernels under
 * load, exactly as `llmind serve` runs them, stamped by the engine itself; what HTTP adds is seen by starting
 * `llmind serve` and giving its address.
 */
#ifndef LLMIND_PROFILE_LOAD_H
#define LLMIND_PROFILE_LOAD_H

#include <jansson.h>
#include <stdatomic.h>

#include "base/error.h"
#include "engine/engine.h"
#include "profile/run.h"

enum { LOAD_MAX_POINTS = 32, LOAD_MAX_REQUESTS = 50000 /* of one point */, LOAD_MAX_IN_FLIGHT = 512 };

struct load_request {
    const char *model_path, *model_name; /* or */
    const char *target_url, *target_model, *target_key;
    const struct engine_options *engine; /* of a model; `model` in it is not read; NULL: defaults */
    bool allow_local;
    double rates[LOAD_MAX_POINTS]; /* requests/s, Poisson arrivals with a stored seed; neither rates nor
                                      concurrency: the rate is doubled until it saturates */
    size_t n_rates;
    uint32_t concurrency[LOAD_MAX_POINTS]; /* closed loop, each at most LOAD_MAX_IN_FLIGHT */
    size_t n_concurrency;
    double duration_s;                  /* of each point; 0: 10 */
    uint32_t prompt_tokens, max_tokens; /* 0: 128 and 64 */
    double ttft_limit_ms, itl_limit_ms; /* of goodput; 0: 1000 and 100 */
    uint64_t seed;                      /* of the moments of arrival; 0: 1. Prompts are new ones each time */
};

/* *out: {"schema": "llmind.load/1", "created", "tool", "status": "success" | "cancelled" | "failed",
 * "message"?, "target": {"url" | null, "model", "server" | null}, "request": {...as asked, seed too},
 * "points": [{"kind": "rate" | "concurrency", "asked", "sent", "ok", "short", "failed", "refused",
 *   "duration_s" (to the last answer), "offered_per_s", "requests_per_s" (answers that ended while requests
 *   were due, by that time), "output_tokens_per_s" (tokens that came then, likewise), "goodput" (likewise),
 *   "in_flight": {"mean", "max"}, "ttft_ms": {"n", "mean", "p50", "p90", "p99", "max"}, "itl_ms",
 *   "tpot_ms" (a request's mean gap), "latency_ms", "late_ms" (how late the sender itself was): likewise,
 *   "saturated": bool, "why": "..." (of saturated), "failures": [{"message", "count"}]}],
 * "saturation": {"requests_per_s", "output_tokens_per_s"} (the most that a point reached) | null, "samples":
 * [{"point", "due_s", "late_ms", "outcome", "ttft_ms", "tpot_ms", "latency_ms", "prompt_tokens", "tokens"}]}.
 * p99 only from 100 values up. Unknown is null with "<name>_reason". A new reference, also when it was
 * cancelled or the target went away; NULL when nothing was begun. Errors: as remote_open or engine_open;
 * ERROR_INVALID, ERROR_LIMIT (what was asked); ERROR_CANCELLED; ERROR_IO (the target is gone). */
int load_run(const struct load_request *request, const struct run_hooks *hooks, json_t **out,
             struct error *error);

#endif
