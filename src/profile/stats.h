/* The statistics of a few repeats: what a figure is worth. Pure functions on arrays of doubles.
 *
 * Unknown results are NaN, never 0: a spread of one sample, an interval of two. */
#ifndef LLMIND_PROFILE_STATS_H
#define LLMIND_PROFILE_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct stats {
    size_t n;
    double mean, median, min, max;
    double q1, q3, iqr;             /* quartiles, linear interpolation (numpy's default, R type 7) */
    double sd;                      /* sample standard deviation (n - 1); NaN when n < 2 */
    double cv;                      /* sd / mean, a fraction; NaN when n < 2 or mean is 0 */
    double mean_low, mean_high;     /* 95 % confidence interval of the mean, Student's t; NaN when n < 2 */
    double median_low, median_high; /* of the median, from order statistics; NaN when n < 6 */
};

/* NaN samples are left out (n counts the others). Returns false when memory is short or nothing is left; *out
 * is then n = 0 and NaN. */
bool stats_compute(const double *samples, size_t n, struct stats *out);

/* Percentile p (0 .. 100) of ascending values, linear interpolation. NaN when n is 0. */
double stats_percentile(const double *ascending, size_t n, double p);
void stats_sort(double *values, size_t n);

/* Two-sided 95 % quantile of Student's t with this many degrees of freedom (>= 1). */
double stats_t95(size_t degrees);

/* How far a figure can be trusted, from its CV: < 5 % excellent, < 10 % good, < 20 % fair, else unstable. */
enum stats_grade { GRADE_UNKNOWN, GRADE_EXCELLENT, GRADE_GOOD, GRADE_FAIR, GRADE_UNSTABLE };
enum stats_grade stats_grade(double cv);
const char *stats_grade_name(enum stats_grade grade);

/* Whether the repeats, in the order they were taken, only ever rise or only ever fall, by more than 5 % in
 * all: heat, a growing cache, a neighbour going to sleep. Needs 3 samples. *change is last / first - 1. */
bool stats_drift(const double *samples, size_t n, double *change);

#endif
