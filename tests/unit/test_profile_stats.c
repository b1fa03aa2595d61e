/* Every expected number here was worked out by hand or with numpy/scipy and is written with how. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/stats.h"

#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-9 * (1 + fabs((double)(b))))

static void five_samples(void **state)
{
    (void)state;
    /* mean 6, deviations -4 -2 0 2 4 (in another order): squares sum to 40, sd = sqrt(40 / 4) */
    const double samples[] = {10, 2, 8, 4, 6};
    struct stats s;
    assert_true(stats_compute(samples, 5, &s));
    assert_int_equal(s.n, 5);
    NEAR(s.mean, 6);
    NEAR(s.median, 6);
    NEAR(s.min, 2);
    NEAR(s.max, 10);
    NEAR(s.q1, 4);
    NEAR(s.q3, 8);
    NEAR(s.iqr, 4);
    NEAR(s.sd, sqrt(10));
    NEAR(s.cv, sqrt(10) / 6);
    /* t(0.975, 4) = 2.776; half width 2.776 * sqrt(10) / sqrt(5) */
    NEAR(s.mean_low, 6 - 2.776 * sqrt(2));
    NEAR(s.mean_high, 6 + 2.776 * sqrt(2));
    assert_true(isnan(s.median_low)); /* no 95 % interval of a median from fewer than 6 */
}

static void quartiles_interpolate(void **state)
{
    (void)state;
    /* numpy.percentile([1, 2, 3, 4], [25, 50, 75]) = 1.75 2.5 3.25 */
    const double samples[] = {4, 3, 2, 1};
    struct stats s;
    assert_true(stats_compute(samples, 4, &s));
    NEAR(s.q1, 1.75);
    NEAR(s.median, 2.5);
    NEAR(s.q3, 3.25);
}

static void one_sample_has_no_spread(void **state)
{
    (void)state;
    const double samples[] = {7};
    struct stats s;
    assert_true(stats_compute(samples, 1, &s));
    NEAR(s.mean, 7);
    NEAR(s.median, 7);
    assert_true(isnan(s.sd) && isnan(s.cv) && isnan(s.mean_low) && isnan(s.mean_high));
}

static void unknown_samples_are_left_out(void **state)
{
    (void)state;
    const double samples[] = {NAN, 3, NAN, 5};
    struct stats s;
    assert_true(stats_compute(samples, 4, &s));
    assert_int_equal(s.n, 2);
    NEAR(s.mean, 4);
    const double nothing[] = {NAN, NAN};
    assert_false(stats_compute(nothing, 2, &s));
    assert_int_equal(s.n, 0);
    assert_true(isnan(s.mean) && isnan(s.median));
    assert_false(stats_compute(NULL, 0, &s));
}

static void median_interval_from_order_statistics(void **state)
{
    (void)state;
    struct stats s;
    double samples[20];
    for (int i = 0; i < 20; i++)
        samples[i] = i + 1;
    /* n = 6: smallest and largest (coverage 1 - 2/64 = 96.9 %) */
    assert_true(stats_compute(samples, 6, &s));
    NEAR(s.median_low, 1);
    NEAR(s.median_high, 6);
    /* n = 10: 2nd and 9th (coverage 1 - 2 * 11/1024 = 97.9 %; 3rd and 8th would give 89 %) */
    assert_true(stats_compute(samples, 10, &s));
    NEAR(s.median_low, 2);
    NEAR(s.median_high, 9);
    /* n = 20: 6th and 15th, as tables of the sign test have it */
    assert_true(stats_compute(samples, 20, &s));
    NEAR(s.median_low, 6);
    NEAR(s.median_high, 15);
    /* n = 1000 by the binomial distribution (469 and 532), n = 1600 by the normal one: powers of 1/2 would be
     * 0 */
    static double many[1600];
    for (int i = 0; i < 1600; i++)
        many[i] = i + 1;
    assert_true(stats_compute(many, 1000, &s));
    NEAR(s.median_low, 469);
    NEAR(s.median_high, 532);
    assert_true(stats_compute(many, 1600, &s));
    NEAR(s.median_low, 760);
    NEAR(s.median_high, 841);
}

static void student_t(void **state)
{
    (void)state;
    assert_true(fabs(stats_t95(1) - 12.706) < 1e-3);
    assert_true(fabs(stats_t95(2) - 4.303) < 1e-3);
    assert_true(fabs(stats_t95(30) - 2.042) < 1e-3);
    assert_true(fabs(stats_t95(40) - 2.0211) < 1e-3); /* scipy.stats.t.ppf(0.975, 40) */
    assert_true(fabs(stats_t95(120) - 1.9799) < 1e-3);
    assert_true(fabs(stats_t95(100000) - 1.96) < 1e-3);
    assert_true(isnan(stats_t95(0)));
}

static void percentiles(void **state)
{
    (void)state;
    const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    NEAR(stats_percentile(values, 11, 0), 1);
    NEAR(stats_percentile(values, 11, 90), 10);
    NEAR(stats_percentile(values, 11, 99), 10.9);
    NEAR(stats_percentile(values, 11, 100), 11);
    NEAR(stats_percentile(values, 1, 50), 1);
    assert_true(isnan(stats_percentile(values, 0, 50)));
}

static void grades(void **state)
{
    (void)state;
    assert_int_equal(stats_grade(0.0), GRADE_EXCELLENT);
    assert_int_equal(stats_grade(0.0499), GRADE_EXCELLENT);
    assert_int_equal(stats_grade(0.05), GRADE_GOOD);
    assert_int_equal(stats_grade(0.10), GRADE_FAIR);
    assert_int_equal(stats_grade(0.20), GRADE_UNSTABLE);
    assert_int_equal(stats_grade(NAN), GRADE_UNKNOWN);
    assert_string_equal(stats_grade_name(GRADE_FAIR), "fair");
}

static void drift(void **state)
{
    (void)state;
    double change;
    const double falling[] = {100, 97, 90}, noisy[] = {100, 102, 90}, small[] = {100, 99, 98},
                 two[] = {100, 50};
    assert_true(stats_drift(falling, 3, &change));
    NEAR(change, -0.10);
    assert_false(stats_drift(noisy, 3, &change));
    assert_false(stats_drift(small, 3, &change));
    assert_false(stats_drift(two, 2, &change)); /* any two samples are monotone */
    NEAR(change, -0.5);
    const double unknown[] = {100, NAN, 90};
    assert_false(stats_drift(unknown, 3, &change));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_samples),
        cmocka_unit_test(quartiles_interpolate),
        cmocka_unit_test(one_sample_has_no_spread),
        cmocka_unit_test(unknown_samples_are_left_out),
        cmocka_unit_test(median_interval_from_order_statistics),
        cmocka_unit_test(student_t),
        cmocka_unit_test(percentiles),
        cmocka_unit_test(grades),
        cmocka_unit_test(drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
