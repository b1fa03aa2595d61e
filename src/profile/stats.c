#include "profile/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

void stats_sort(double *values, size_t n)
{
    if (n > 1)
        qsort(values, n, sizeof *values, compare_doubles);
}

double stats_percentile(const double *ascending, size_t n, double p)
{
    if (n == 0)
        return NAN;
    double place = p / 100.0 * (double)(n - 1);
    size_t below = (size_t)place;
    if (below >= n - 1)
        return ascending[n - 1];
    return ascending[below] + (place - (double)below) * (ascending[below + 1] - ascending[below]);
}

double stats_t95(size_t degrees)
{
    static const double table[30] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                     2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                     2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
    if (degrees < 1)
        return NAN;
    if (degrees <= 30)
        return table[degrees - 1];
    /* Cornish-Fisher, first two terms around the normal quantile: within 0.0005 from here on */
    double z = 1.959964, d = (double)degrees;
    return z + (z * z * z + z) / (4 * d) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * d * d);
}

enum { BINOMIAL_MAX = 1000 };

/* The order statistics k and n + 1 - k enclose the median with probability 1 - 2 P(Binomial(n, 1/2) < k): the
 * largest k that keeps it at 95 % or more. None exists below n = 6. */
static void median_interval(const double *ascending, size_t n, struct stats *out)
{
    double term = pow(0.5, (double)n), tail = term; /* P(B = 0), P(B < 1) */
    size_t k = 0;
    if (n > BINOMIAL_MAX) /* by the normal distribution: powers of 1/2 become 0 */
        k = (size_t)(((double)n - 1.96 * sqrt((double)n)) / 2);
    while (n <= BINOMIAL_MAX && 2 * tail <= 0.05 && k < n / 2) {
        k++;
        term *= (double)(n - k + 1) / (double)k;
        tail += term;
    }
    if (k == 0)
        return;
    out->median_low = ascending[k - 1];
    out->median_high = ascending[n - k];
}

static void compute_sorted(const double *ascending, size_t n, struct stats *out)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ascending[i];
    out->n = n;
    out->mean = sum / (double)n;
    out->min = ascending[0];
    out->max = ascending[n - 1];
    out->median = stats_percentile(ascending, n, 50);
    out->q1 = stats_percentile(ascending, n, 25);
    out->q3 = stats_percentile(ascending, n, 75);
    out->iqr = out->q3 - out->q1;
    median_interval(ascending, n, out);
    if (n < 2)
        return;
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (ascending[i] - out->mean) * (ascending[i] - out->mean);
    out->sd = sqrt(squares / (double)(n - 1));
    if (out->mean != 0)
        out->cv = out->sd / fabs(out->mean);
    double half = stats_t95(n - 1) * out->sd / sqrt((double)n);
    out->mean_low = out->mean - half;
    out->mean_high = out->mean + half;
}

bool stats_compute(const double *samples, size_t n, struct stats *out)
{
    *out = (struct stats){.n = 0,
                          .mean = NAN,
                          .median = NAN,
                          .min = NAN,
                          .max = NAN,
                          .q1 = NAN,
                          .q3 = NAN,
                          .iqr = NAN,
                          .sd = NAN,
                          .cv = NAN,
                          .mean_low = NAN,
                          .mean_high = NAN,
                          .median_low = NAN,
                          .median_high = NAN};
    double *values = n ? malloc(n * sizeof *values) : NULL;
    if (!values)
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(samples[i]))
            values[kept++] = samples[i];
    stats_sort(values, kept);
    if (kept)
        compute_sorted(values, kept, out);
    free(values);
    return kept > 0;
}

enum stats_grade stats_grade(double cv)
{
    if (isnan(cv))
        return GRADE_UNKNOWN;
    return cv < 0.05 ? GRADE_EXCELLENT : cv < 0.10 ? GRADE_GOOD : cv < 0.20 ? GRADE_FAIR : GRADE_UNSTABLE;
}

const char *stats_grade_name(enum stats_grade grade)
{
    static const char *const names[] = {"unknown", "excellent", "good", "fair", "unstable"};
    return names[grade];
}

bool stats_drift(const double *samples, size_t n, double *change)
{
    *change = n > 1 && samples[0] != 0 ? samples[n - 1] / samples[0] - 1 : NAN;
    if (n < 3 || isnan(*change))
        return false;
    bool rises = true, falls = true;
    for (size_t i = 1; i < n; i++) {
        rises = rises && samples[i] > samples[i - 1];
        falls = falls && samples[i] < samples[i - 1];
    }
    return (rises || falls) && fabs(*change) > 0.05;
}
