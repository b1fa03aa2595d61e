/* The one rule for "different": by hand, and by simulation of what it is used for: how often it is wrong.
 *
 * The generator is seeded, so the counted trials are the same ones every time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/pairs.h"

#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-9 * (1 + fabs((double)(b))))

/* ---- by hand ---- */

static void three_pairs(void **state)
{
    (void)state;
    /* log ratios ln 1.1, ln 1.2, ln 1.3; t(0.975, 2) = 4.303 */
    const double a[] = {10, 10, 10}, b[] = {11, 12, 13};
    double l[] = {log(1.1), log(1.2), log(1.3)}, mean = (l[0] + l[1] + l[2]) / 3, squares = 0;
    for (int i = 0; i < 3; i++)
        squares += (l[i] - mean) * (l[i] - mean);
    double half = 4.303 * sqrt(squares / 2) / sqrt(3);
    struct pairs p;
    pairs_compare(a, b, 3, &p);
    assert_int_equal(p.n, 3);
    NEAR(p.change, exp(mean) - 1);
    NEAR(p.low, exp(mean - half) - 1);
    NEAR(p.high, exp(mean + half) - 1);
    assert_int_equal(p.verdict, PAIRS_SAME); /* 20 % more on average, and [-2.7, +47]: not shown */
}

static void clear_cases(void **state)
{
    (void)state;
    const double a[] = {100, 101, 99, 100, 100};
    const double faster[] = {131, 132, 130, 131, 130}, slower[] = {90, 91, 89, 90, 90};
    struct pairs p;
    pairs_compare(a, faster, 5, &p);
    assert_int_equal(p.verdict, PAIRS_HIGHER);
    pairs_compare(a, slower, 5, &p);
    assert_int_equal(p.verdict, PAIRS_LOWER);
    pairs_compare(a, a, 5, &p);
    assert_int_equal(p.verdict, PAIRS_SAME);
    NEAR(p.change, 0);
}

static void the_margin(void **state)
{
    (void)state;
    /* without any noise a change is seen from just above 2 %: below it is real and still no difference */
    const double a[] = {100, 100, 100, 100};
    for (int hundredths = 150; hundredths <= 250; hundredths += 10) {
        double b[4];
        for (int i = 0; i < 4; i++)
            b[i] = 100 + hundredths / 100.0;
        struct pairs p;
        pairs_compare(a, b, 4, &p);
        assert_int_equal(p.verdict, hundredths > 200 ? PAIRS_HIGHER : PAIRS_SAME);
        pairs_compare(b, a, 4, &p); /* the other way round: -2 % is a little more than 1 / 1.02 */
        assert_int_equal(p.verdict, hundredths > 204 ? PAIRS_LOWER : PAIRS_SAME);
    }
}

static void the_order_does_not_matter(void **state)
{
    (void)state;
    const double a[] = {100, 120, 90, 104}, b[] = {111, 130, 97, 120};
    struct pairs p, q;
    pairs_compare(a, b, 4, &p);
    pairs_compare(b, a, 4, &q);
    NEAR((1 + p.change) * (1 + q.change), 1);
    NEAR((1 + p.low) * (1 + q.high), 1);
}

static void what_cannot_be_used_is_left_out(void **state)
{
    (void)state;
    const double a[] = {100, NAN, 100, 0, 100, 100, -3}, b[] = {110, 110, INFINITY, 110, 110, 110, 110};
    struct pairs p;
    pairs_compare(a, b, 7, &p);
    assert_int_equal(p.n, 3);
    NEAR(p.change, 0.1);
    assert_int_equal(p.verdict, PAIRS_HIGHER);
}

static void too_few(void **state)
{
    (void)state;
    const double a[] = {100, 100}, b[] = {200, 200};
    struct pairs p;
    pairs_compare(a, b, 0, &p);
    assert_int_equal(p.verdict, PAIRS_UNKNOWN);
    assert_true(isnan(p.change) && isnan(p.low) && isnan(p.high));
    pairs_compare(a, b, 1, &p);
    assert_int_equal(p.verdict, PAIRS_UNKNOWN);
    NEAR(p.change, 1);
    assert_true(isnan(p.low));
    pairs_compare(a, b, 2, &p);
    assert_int_equal(p.verdict, PAIRS_UNKNOWN);
    NEAR(p.low, 1);
}

static void unpaired_by_hand(void **state)
{
    (void)state;
    /* logs of a: 0, 0.02, -0.02 (variance 0.0004); of b: 0.3 everywhere (variance 0). Welch: variance of the
     * difference 0.0004 / 3, its degrees of freedom those of a: 2, t = 4.303 */
    const double a[] = {1, exp(0.02), exp(-0.02)}, b[] = {exp(0.3), exp(0.3), exp(0.3)};
    struct pairs p;
    pairs_compare_unpaired(a, 3, b, 3, 0, &p);
    double half = 4.303 * sqrt(0.0004 / 3);
    NEAR(p.change, exp(0.3) - 1);
    NEAR(p.low, exp(0.3 - half) - 1);
    NEAR(p.high, exp(0.3 + half) - 1);
    assert_int_equal(p.verdict, PAIRS_HIGHER);

    /* the same with sessions that are 20 % apart from each other: nothing is shown any more */
    pairs_compare_unpaired(a, 3, b, 3, 0.2, &p);
    assert_int_equal(p.verdict, PAIRS_SAME);
    assert_true(p.low < -0.2);
    /* one value has no spread of its own */
    pairs_compare_unpaired(a, 1, b, 3, 0.02, &p);
    assert_int_equal(p.verdict, PAIRS_UNKNOWN);
    assert_true(isnan(p.low));
}

static void sides_are_the_same_rule(void **state)
{
    (void)state;
    const double a[] = {100, 104, 98}, b[] = {90, 91, 95, 92};
    struct pairs_side of_a, of_b;
    struct pairs p, q;
    pairs_side_compute(a, 3, &of_a);
    pairs_side_compute(b, 4, &of_b);
    pairs_compare_sides(&of_a, &of_b, 0.01, &p);
    pairs_compare_unpaired(a, 3, b, 4, 0.01, &q);
    assert_memory_equal(&p.low, &q.low, sizeof p.low);
    assert_memory_equal(&p.high, &q.high, sizeof p.high);
    assert_int_equal(of_a.n, 3);
}

static void texts(void **state)
{
    (void)state;
    char text[128];
    struct pairs p = {.n = 10, .change = 0.312, .low = 0.274, .high = 0.349, .verdict = PAIRS_HIGHER};
    pairs_text(&p, text, sizeof text);
    assert_string_equal(text, "+31 % [+27, +35]");
    p = (struct pairs){.n = 10, .change = 0.004, .low = -0.011, .high = 0.019, .verdict = PAIRS_SAME};
    pairs_text(&p, text, sizeof text);
    assert_string_equal(text, "no real difference (+0.4 % [-1.1, +1.9])");
    assert_true(pairs_clear(&p));
    p = (struct pairs){.n = 3, .change = 0.04, .low = -0.21, .high = 0.36, .verdict = PAIRS_SAME};
    pairs_text(&p, text, sizeof text); /* so wide an interval shows no sameness */
    assert_string_equal(text, "unclear (+4.0 % [-21, +36])");
    assert_false(pairs_clear(&p));
    p = (struct pairs){.n = 0, .change = NAN, .low = NAN, .high = NAN};
    assert_false(pairs_clear(&p));
    pairs_text(&p, text, sizeof text);
    assert_string_equal(text, "not measured");
    p = (struct pairs){.n = 1, .change = 0.5, .low = NAN, .high = NAN};
    pairs_text(&p, text, sizeof text);
    assert_string_equal(text, "+50 %, from one pair: no verdict");
    assert_string_equal(pairs_verdict_name(PAIRS_SAME), "no_real_difference");
}

/* ---- simulated ---- */

enum { TRIALS = 4000, BLOCKS = 5, BLOCKS_QUICK = 2 };

static uint64_t state_of_random;

static double uniform(void)
{
    state_of_random = state_of_random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(state_of_random >> 11) + 0.5) * 0x1p-53;
}

/* Box-Muller */
static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* What a machine does to a run: noise of its own, a walk that neighbours in time share, a drift. Log units.
 */
struct weather {
    double noise, walk, drift;
};

/* Blocks of A B B A as the program makes them (sweep.c): pairs are first and second, fourth and third. */
static void measure(const struct weather *weather, uint32_t blocks, double slowdown, double *a, double *b)
{
    double level = 0;
    for (uint32_t i = 0; i < blocks; i++) {
        double values[4];
        for (int k = 0; k < 4; k++) {
            level += weather->walk * normal() + weather->drift;
            bool of_b = k == 1 || k == 2;
            values[k] = 100 * exp(level + weather->noise * normal()) * (of_b ? 1 - slowdown : 1);
        }
        a[2 * i] = values[0];
        b[2 * i] = values[1];
        a[2 * i + 1] = values[3];
        b[2 * i + 1] = values[2];
    }
}

/* Of TRIALS, how many were called different, as a fraction. */
static double called_different(const struct weather *weather, uint32_t blocks, double slowdown)
{
    size_t different = 0;
    state_of_random = 42;
    for (int i = 0; i < TRIALS; i++) {
        double a[2 * BLOCKS], b[2 * BLOCKS];
        struct pairs p;
        measure(weather, blocks, slowdown, a, b);
        pairs_compare(a, b, 2 * blocks, &p);
        different +=
            slowdown > 0 ? p.verdict == PAIRS_LOWER : p.verdict == PAIRS_HIGHER || p.verdict == PAIRS_LOWER;
    }
    return (double)different / TRIALS;
}

static void the_same_is_not_called_different(void **state)
{
    (void)state;
    static const struct weather weathers[] = {{0.005, 0, 0},    {0.02, 0, 0},       {0.03, 0, 0},
                                              {0.10, 0, 0},     {0.30, 0, 0},       {0.01, 0.02, 0},
                                              {0.02, 0, 0.005}, {0.02, 0.02, -0.01}};
    for (size_t i = 0; i < sizeof weathers / sizeof *weathers; i++) {
        assert_true(called_different(&weathers[i], BLOCKS, 0) <= 0.05);
        assert_true(called_different(&weathers[i], BLOCKS_QUICK, 0) <= 0.05);
    }
}

static void a_tenth_slower_is_found(void **state)
{
    (void)state;
    static const struct weather weathers[] = {
        {0.02, 0, 0}, {0.025, 0, 0}, {0.03, 0, 0}, {0.02, 0.02, 0}, {0.02, 0, 0.01}};
    for (size_t i = 0; i < sizeof weathers / sizeof *weathers; i++)
        assert_true(called_different(&weathers[i], BLOCKS, 0.10) >= 0.90);
    /* and a rule that finds everything would find it where it cannot be seen */
    assert_true(called_different(&(struct weather){0.30, 0, 0}, BLOCKS, 0.10) < 0.50);
}

/* Sessions: each has a level of its own, that its repeats share. */
static double sessions_called_different(double noise, double session, size_t repeats, double slowdown)
{
    size_t different = 0;
    state_of_random = 7;
    for (int i = 0; i < TRIALS; i++) {
        double a[10], b[10], level_a = session * normal(), level_b = session * normal();
        struct pairs p;
        for (size_t k = 0; k < repeats; k++) {
            a[k] = 100 * exp(level_a + noise * normal());
            b[k] = 100 * exp(level_b + noise * normal()) * (1 - slowdown);
        }
        pairs_compare_unpaired(a, repeats, b, repeats, PAIRS_SESSION_SD, &p);
        different +=
            slowdown > 0 ? p.verdict == PAIRS_LOWER : p.verdict == PAIRS_HIGHER || p.verdict == PAIRS_LOWER;
    }
    return (double)different / TRIALS;
}

static void stored_runs(void **state)
{
    (void)state;
    static const size_t repeats[] = {2, 3, 5, 10};
    for (size_t i = 0; i < 4; i++) {
        assert_true(sessions_called_different(0.02, PAIRS_SESSION_SD, repeats[i], 0) <= 0.05);
        assert_true(sessions_called_different(0.005, PAIRS_SESSION_SD, repeats[i], 0) <= 0.05);
    }
    /* a fifth slower is found from three repeats a session */
    assert_true(sessions_called_different(0.02, PAIRS_SESSION_SD, 3, 0.20) >= 0.90);
    /* had the sessions not been counted, what differs between mornings would be called a difference */
    size_t wrong = 0;
    state_of_random = 11;
    for (int i = 0; i < TRIALS; i++) {
        double a[10], b[10], level = 0.04 * normal();
        struct pairs p;
        for (size_t k = 0; k < 10; k++) {
            a[k] = exp(0.005 * normal());
            b[k] = exp(level + 0.005 * normal());
        }
        pairs_compare_unpaired(a, 10, b, 10, 0, &p);
        wrong += p.verdict != PAIRS_SAME;
    }
    assert_true((double)wrong / TRIALS > 0.3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_pairs),
        cmocka_unit_test(clear_cases),
        cmocka_unit_test(the_margin),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(what_cannot_be_used_is_left_out),
        cmocka_unit_test(too_few),
        cmocka_unit_test(unpaired_by_hand),
        cmocka_unit_test(sides_are_the_same_rule),
        cmocka_unit_test(texts),
        cmocka_unit_test(the_same_is_not_called_different),
        cmocka_unit_test(a_tenth_slower_is_found),
        cmocka_unit_test(stored_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
