/* Student's t on log-ratios, and its two-sample form after Welch (B. L. Welch, "The generalization of
 * 'Student's' problem when several different population variances are involved", Biometrika 34, 1947).
 *
 * Deviations of a handful of repeats are summed in two passes over the values themselves: no array of logs is
 * allocated, so nothing here can fail. */
#include "profile/pairs.h"

#include <math.h>
#include <stdio.h>

#include "profile/stats.h"

static bool usable(double value)
{
    return isfinite(value) && value > 0;
}

/* Of the logs of a[i], or with b of log(b[i] / a[i]); unusable values are left out. */
static struct pairs_side log_moments(const double *a, const double *b, size_t n)
{
    struct pairs_side m = {.n = 0, .mean = NAN, .sd = NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        if (usable(a[i]) && (!b || usable(b[i]))) {
            sum += b ? log(b[i]) - log(a[i]) : log(a[i]);
            m.n++;
        }
    if (m.n == 0)
        return m;
    m.mean = sum / (double)m.n;
    for (size_t i = 0; i < n; i++)
        if (usable(a[i]) && (!b || usable(b[i]))) {
            double d = (b ? log(b[i]) - log(a[i]) : log(a[i])) - m.mean;
            squares += d * d;
        }
    if (m.n > 1)
        m.sd = sqrt(squares / (double)(m.n - 1));
    return m;
}

/* The quantile for a fraction of a degree of freedom, which Welch's formula gives: between the whole ones it
 * is nearly straight in 1 / degrees, and slightly too wide where it is not. */
static double t95(double degrees)
{
    if (!(degrees < 1e6))
        return stats_t95(1000000);
    double below = degrees < 1 ? 1 : floor(degrees), at = degrees < 1 ? 1 : degrees;
    double wide = stats_t95((size_t)below), narrow = stats_t95((size_t)below + 1);
    return narrow + (wide - narrow) * (1 / at - 1 / (below + 1)) / (1 / below - 1 / (below + 1));
}

static enum pairs_verdict judge(double low, double high)
{
    if (!isfinite(low) || !isfinite(high))
        return PAIRS_UNKNOWN;
    return low > PAIRS_MARGIN ? PAIRS_HIGHER : high < -PAIRS_MARGIN ? PAIRS_LOWER : PAIRS_SAME;
}

void pairs_compare(const double *a, const double *b, size_t n, struct pairs *out)
{
    struct pairs_side m = log_moments(a, b, n);
    *out =
        (struct pairs){.n = m.n, .change = expm1(m.mean), .low = NAN, .high = NAN, .verdict = PAIRS_UNKNOWN};
    if (m.n < 2)
        return;
    double half = stats_t95(m.n - 1) * m.sd / sqrt((double)m.n);
    out->low = expm1(m.mean - half);
    out->high = expm1(m.mean + half);
    if (m.n >= 3)
        out->verdict = judge(out->low, out->high);
}

void pairs_side_compute(const double *values, size_t n, struct pairs_side *out)
{
    *out = log_moments(values, NULL, n);
}

void pairs_compare_sides(const struct pairs_side *a, const struct pairs_side *b, double session_sd,
                         struct pairs *out)
{
    double mean = b->mean - a->mean;
    *out = (struct pairs){.n = a->n < b->n ? a->n : b->n,
                          .change = expm1(mean),
                          .low = NAN,
                          .high = NAN,
                          .verdict = PAIRS_UNKNOWN};
    if (out->n < 2)
        return;
    /* variances of the two means; that of the sessions is known, so it costs no degrees of freedom
     * (Satterthwaite) */
    double va = a->sd * a->sd / (double)a->n, vb = b->sd * b->sd / (double)b->n;
    double session = isfinite(session_sd) ? 2 * session_sd * session_sd : 0, all = va + vb + session;
    double spent = va * va / (double)(a->n - 1) + vb * vb / (double)(b->n - 1);
    double half = t95(spent > 0 ? all * all / spent : INFINITY) * sqrt(all);
    out->low = expm1(mean - half);
    out->high = expm1(mean + half);
    out->verdict = judge(out->low, out->high);
}

void pairs_compare_unpaired(const double *a, size_t n_a, const double *b, size_t n_b, double session_sd,
                            struct pairs *out)
{
    struct pairs_side of_a = log_moments(a, NULL, n_a), of_b = log_moments(b, NULL, n_b);
    pairs_compare_sides(&of_a, &of_b, session_sd, out);
}

const char *pairs_verdict_name(enum pairs_verdict verdict)
{
    static const char *const names[] = {"unknown", "no_real_difference", "higher", "lower"};
    return names[verdict];
}

bool pairs_clear(const struct pairs *pairs)
{
    return pairs->high - pairs->low < PAIRS_CLEAR_WIDTH; /* NaN: false */
}

/* Percent with as many digits as are worth reading. */
static void percent(char *out, size_t capacity, double fraction)
{
    double value = fraction * 100;
    snprintf(out, capacity, fabs(value) < 9.95 ? "%+.1f" : "%+.0f", value);
}

void pairs_text(const struct pairs *pairs, char *out, size_t capacity)
{
    char change[32], low[32], high[32];
    if (!isfinite(pairs->change)) {
        snprintf(out, capacity, "not measured");
        return;
    }
    percent(change, sizeof change, pairs->change);
    if (!isfinite(pairs->low)) {
        snprintf(out, capacity, "%s %%, from one pair: no verdict", change);
        return;
    }
    percent(low, sizeof low, pairs->low);
    percent(high, sizeof high, pairs->high);
    if (pairs->verdict == PAIRS_SAME)
        snprintf(out, capacity, "%s (%s %% [%s, %s])", pairs_clear(pairs) ? "no real difference" : "unclear",
                 change, low, high);
    else
        snprintf(out, capacity, "%s %% [%s, %s]%s", change, low, high,
                 pairs->verdict == PAIRS_UNKNOWN ? ", too few pairs for a verdict" : "");
}
