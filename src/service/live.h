/* Live figures of the server: counters and histograms that requests feed and that /metrics and
 * /api/performance show. Lock-free where requests pass; any thread. Counters only ever grow.
 */
#ifndef LLMIND_SERVICE_LIVE_H
#define LLMIND_SERVICE_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"

struct live;
int live_open(struct live **out, struct error *error);
void live_close(struct live *live); /* NULL is legal */

/* One HTTP exchange is over. route: the pattern (a constant string), or "none". */
void live_count_request(struct live *live, const char *route, int status, double ms);
/* A generated token was passed on: gap_ms since the one before of the same answer, < 0 for the first. */
void live_count_token(struct live *live, double gap_ms);
/* A prompt was read, for whatever it was meant. */
void live_count_prompt(struct live *live, const struct engine_timings *timings);
/* An answer is over. Counts its prompt too. */
void live_count_answer(struct live *live, enum engine_finish finish, const struct engine_timings *timings);
/* A client was gone before its answer was whole. */
void live_count_disconnect(struct live *live);

enum { LIVE_BUCKETS = 20 };
struct live_histogram {
    double upper_ms[LIVE_BUCKETS]; /* the last is infinity */
    uint64_t count[LIVE_BUCKETS];  /* not cumulative */
    uint64_t total;
    double sum_ms;
};
struct live_route {
    const char *route;
    int status;
    uint64_t count;
};
struct live_snapshot {
    uint64_t prompt_tokens, cached_tokens, generated_tokens, disconnects;
    uint64_t drafted_tokens, accepted_tokens; /* guessed, and of them right */
    uint64_t answers[FINISH_ERROR + 1];       /* by enum engine_finish */
    double tokens_per_second;                 /* generated, over the last 5 s; 0 when nothing ran */
    double response_ms; /* mean of whole answers, from request to last token; NaN: none yet */
    struct live_histogram ttft, itl, request;
    struct live_route *routes; /* [n_routes], malloc'ed: live_snapshot_free */
    size_t n_routes;
};
int live_read(struct live *live, struct live_snapshot *out, struct error *error);
void live_snapshot_free(struct live_snapshot *snapshot);

#endif
