/* The parts of a load run: when requests are due (load_arrivals.c), what takes them (load_remote.c,
 * load_engine.c), one point of a sweep (load_point.c), and what it showed (load_report.c). One thread does
 * everything: it sleeps until the next request is due or something has come.
 */
#ifndef LLMIND_PROFILE_LOAD_INTERNAL_H
#define LLMIND_PROFILE_LOAD_INTERNAL_H

#include "profile/load.h"
#include "profile/metrics.h"

/* ---- arrivals ---- */

/* Moments, in nanoseconds from the start, ascending and below duration_s, of a Poisson process: the gaps are
 * exponential with mean 1 / rate. The same seed gives the same moments. malloc'ed; NULL with *n 0 when there
 * are more than `most`, or memory is short. */
uint64_t *load_arrivals(uint64_t seed, double rate, double duration_s, size_t most, size_t *n);

/* ---- what takes requests ---- */

struct load_slot {
    uint64_t due_ns, sent_ns, end_ns; /* end 0: not done */
    bool sent, refused;               /* refused: the target said it is too busy */
    struct sample sample;             /* once done; times count from due_ns */
    void *private;                    /* the target's */
};

struct load_target {
    /* Sends slot's request now. A request that is refused at once is done at once. Errors: ERROR_MEMORY,
     * ERROR_IO (the target is gone). */
    int (*start)(struct load_target *target, struct load_slot *slot, uint64_t nonce, struct error *error);
    /* Takes what has come, waiting until until_ns at most; returns early when a slot is done. */
    int (*wait)(struct load_target *target, uint64_t until_ns, struct error *error);
    /* Gives up on a slot that is under way: OUTCOME_TIMEOUT. */
    void (*abandon)(struct load_target *target, struct load_slot *slot);
    void (*close)(struct load_target *target);
    json_t *info;                       /* the document's "target"; owned */
    uint32_t prompt_tokens, max_tokens; /* of every request */
    double request_s;                   /* one request alone takes about this; NaN: unknown */
};

int load_remote_open(const struct load_request *request, const atomic_int *cancel, struct load_target **out,
                     struct error *error);
int load_engine_open(const struct load_request *request, const atomic_int *cancel, struct load_target **out,
                     struct error *error);

/* ---- one point ---- */

struct load_point {
    bool closed;  /* concurrency instead of rate */
    double asked; /* requests/s, or requests at once */
    double duration_s;
    uint64_t seed;
    uint64_t start_ns;
    double window_s;         /* what came in it is counted: duration_s, less when the point was cut off */
    struct load_slot *slots; /* [n]: those that were due */
    size_t n;
    uint32_t in_flight_max;
};

/* Runs it. What was measured is in *out also after an error; free it with load_point_free. */
int load_point_run(struct load_target *target, struct load_point *point, const atomic_int *cancel,
                   struct error *error);
void load_point_free(struct load_point *point);

/* ---- what it showed ---- */

/* How many requests were under way, on average between two moments of the point. */
double load_in_flight(const struct load_point *point, double from_s, double to_s);
/* Whether more came than was served: why, or NULL. best_before: output tokens/s of the best point with less
 * load (closed loops; 0: none). */
const char *load_saturated(const struct load_point *point, double tokens_per_s, double best_before);
/* What came within the window, also of answers that ended after it; and the answers that ended within it. */
double load_tokens_per_s(const struct load_point *point);
double load_requests_per_s(const struct load_point *point);
bool load_answered(const struct load_slot *slot); /* in full or short */
/* Elements of "points" and "samples". */
json_t *load_point_json(const struct load_point *point, const struct load_request *request,
                        const char *saturated);
void load_samples_json(const struct load_point *point, size_t index, json_t *samples);

#endif
