/* The pace of this machine right now: how fast all threads together read memory, for several amounts that are
 * read again and again, and how fast they compute. On a shared host both swing by the minute, so predictions
 * take calibrated efficiencies (calibration.h) times the pace of the moment.
 *
 * Amounts matter because caches do: a model whose weights fit into the last-level cache is read from there.
 * What counts is what is measured, not the size that the system tells: on a rented core most of that cache
 * may be somebody else's.
 */
#ifndef LLMIND_PROFILE_PACE_H
#define LLMIND_PROFILE_PACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { PACE_MAX_POINTS = 8 };

struct pace_point {
    uint64_t bytes;         /* read again and again by all threads together */
    double gbps, low, high; /* all bytes by all time; quartiles of the passes */
};

struct pace {
    struct pace_point points[PACE_MAX_POINTS]; /* by bytes, ascending */
    uint32_t n_points;
    double gops, gops_low, gops_high; /* int8 dot products of all threads, likewise */
    uint32_t n_threads;
};

struct pacer;

struct pace_options {
    uint32_t n_threads;
    const char *isa;
    const uint8_t *pool; /* borrowed; NULL: one of its own, of `bytes` */
    uint64_t bytes;      /* the most that is read; 0: pace_default_bytes */
};
/* Errors: ERROR_MEMORY, ERROR_LIMIT (threads), ERROR_INVALID (isa). */
int pacer_open(const struct pace_options *options, struct pacer **out, struct error *error);
void pacer_close(struct pacer *pacer); /* NULL is legal */

/* One pass over the first `bytes`, or one of computing (about 2 ms): nanoseconds. Threads take small pieces
 * as they come, as those of the backend do, so that one that is held up does not hold up the others. */
double pacer_read_ns(struct pacer *pacer, uint64_t bytes);
double pacer_compute_ns(struct pacer *pacer);
double pacer_compute_ops(const struct pacer *pacer); /* of one pass of computing */
/* The pace at the amounts up to `bytes` (0: all): half a second. Means, not bests: what a model gets that
 * runs for seconds on a machine where others run too. */
void pacer_take(struct pacer *pacer, uint64_t bytes, struct pace *out);

/* Twice the last-level cache within 256 MiB and 1 GiB, and at most a quarter of the memory that is free. */
uint64_t pace_default_bytes(void);

/* GB/s at an amount, between the points by its logarithm; which: 0 mean, -1 lower, 1 upper quartile. NaN:
 * no points. */
double pace_gbps(const struct pace *pace, double bytes, int which);

/* {"n_threads", "read": [{"bytes", "gbps", "low", "high"}], "int8_gops", "int8_gops_low", "int8_gops_high"}.
 * A new reference. */
json_t *pace_json(const struct pace *pace);
/* false: it is not one. */
bool pace_from_json(const json_t *json, struct pace *out);

#endif
