/* The two-term line: the time of a decode step is bytes / bandwidth + fixed time. Pure.
 *
 * A deeper context reads more KV cache and changes nothing else, so decode tests at several depths are points
 * (bytes per token, time per token) of one line: its slope is the bandwidth the model really gets, its
 * intercept what every step costs whatever it reads. The line is only as good as its points are apart, and it
 * is extrapolated to zero bytes; where that says nothing, there is no line but a reason.
 */
#ifndef LLMIND_PROFILE_TWO_TERM_H
#define LLMIND_PROFILE_TWO_TERM_H

#include <jansson.h>
#include <stddef.h>

enum { TWO_TERM_MAX_POINTS = 64, TWO_TERM_REASON = 240 };

struct two_term_point {
    const char *test; /* borrowed */
    double depth, bytes, tpot_ms;
    double error_ms; /* standard error of tpot_ms; NaN: not known */
    size_t repeats;  /* that error_ms is of */
};

struct two_term {
    double bandwidth_gbps, fixed_ms;
    double fixed_error_ms; /* half of the 95 % interval of fixed_ms; NaN: a point's error is not known */
    char reason[TWO_TERM_REASON]; /* why there is none; "" when there is */
};

/* Least squares. ceiling_gbps: NaN unknown; a slope above 1.05 of it is refused, and so is an intercept that
 * is uncertain (95 %) by more than half of the least time. */
void two_term_fit(const struct two_term_point *points, size_t n, double ceiling_gbps, struct two_term *out);

/* The report's "analysis.two_term" (new reference), or JSON null with *reason filled; NULL: memory. */
json_t *two_term_read(const json_t *report, double ceiling_gbps, char reason[TWO_TERM_REASON]);

#endif
