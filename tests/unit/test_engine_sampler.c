/* The sampler against what its settings promise: distributions by chi-square with fixed seeds, cuts by
 * counting, penalties and log probabilities by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/penalties.h"
#include "engine/random.h"
#include "engine/sampler.h"

enum { SMALL = 8, LARGE = 128256 };

static const struct penalties no_penalties;

static struct engine_sampling plain(float temperature)
{
    return (struct engine_sampling){
        .temperature = temperature, .top_p = 1, .repetition_penalty = 1, .seed = 7};
}

static int32_t draw(struct sampler *sampler, const struct engine_sampling *settings, uint32_t index,
                    const float *logits)
{
    int32_t token = -1;
    struct error error;
    assert_int_equal(sampler_check(settings, sampler->vocab, &error), 0);
    assert_int_equal(sampler_draw(sampler, settings, &no_penalties, NULL, index, logits, &token, &error), 0);
    assert_in_range(token, 0, sampler->vocab - 1);
    return token;
}

static void count_draws(const struct engine_sampling *settings, const float *logits, uint32_t n,
                        uint32_t *counts)
{
    struct sampler sampler;
    assert_int_equal(sampler_init(&sampler, SMALL, NULL), 0);
    memset(counts, 0, SMALL * sizeof *counts);
    for (uint32_t i = 0; i < n; i++)
        counts[draw(&sampler, settings, i, logits)]++;
    sampler_free(&sampler);
}

/* Chi-square of counts against probabilities; tokens of probability 0 must not occur. */
static double chi_square(const uint32_t *counts, const double *expected, uint32_t n)
{
    double chi = 0;
    for (int i = 0; i < SMALL; i++) {
        if (expected[i] == 0) {
            assert_int_equal(counts[i], 0);
            continue;
        }
        double mean = expected[i] * n;
        chi += (counts[i] - mean) * (counts[i] - mean) / mean;
    }
    return chi;
}

static const float ramp[SMALL] = {0.5f, -1, 2, 0.1f, -3, 1.5f, 1, 0};

static void softmax(const float *logits, double temperature, double *out)
{
    double sum = 0;
    for (int i = 0; i < SMALL; i++)
        sum += out[i] = exp((double)logits[i] / temperature);
    for (int i = 0; i < SMALL; i++)
        out[i] /= sum;
}

static void keep_only(double *p, const int *tokens, int n)
{
    double sum = 0, kept[SMALL] = {0};
    for (int i = 0; i < n; i++)
        sum += p[tokens[i]];
    for (int i = 0; i < n; i++)
        kept[tokens[i]] = p[tokens[i]] / sum;
    memcpy(p, kept, sizeof kept);
}

static void test_distribution(void **state)
{
    (void)state;
    enum { N = 200000 };
    uint32_t counts[SMALL];
    double p[SMALL];
    const float temperatures[] = {0.5f, 1, 2};
    for (int i = 0; i < 3; i++) {
        struct engine_sampling settings = plain(temperatures[i]);
        count_draws(&settings, ramp, N, counts);
        softmax(ramp, (double)temperatures[i], p);
        assert_true(chi_square(counts, p, N) < 24.3); /* 7 degrees of freedom, p = 0.001 */
    }
    /* the test itself can fail: draws at temperature 1 are not those of 1.05 */
    struct engine_sampling settings = plain(1);
    count_draws(&settings, ramp, N, counts);
    softmax(ramp, 1.05, p);
    assert_true(chi_square(counts, p, N) > 24.3);
}

static void test_cuts_keep_the_right_tokens(void **state)
{
    (void)state;
    enum { N = 60000 };
    uint32_t counts[SMALL];
    double p[SMALL];
    struct engine_sampling settings = plain(1);

    settings.top_k = 3;
    count_draws(&settings, ramp, N, counts);
    softmax(ramp, 1, p);
    keep_only(p, (const int[]){2, 5, 6}, 3);
    assert_true(chi_square(counts, p, N) < 13.8); /* 2 degrees of freedom */

    /* p(2) = .39, p(5) = .24, p(6) = .14, p(0) = .09: the head reaches 0.6 with its second token, 0.7 with
     * its third */
    settings = plain(1);
    settings.top_p = 0.6f;
    count_draws(&settings, ramp, N, counts);
    softmax(ramp, 1, p);
    keep_only(p, (const int[]){2, 5}, 2);
    assert_true(chi_square(counts, p, N) < 10.8);
    settings.top_p = 0.7f;
    count_draws(&settings, ramp, N, counts);
    softmax(ramp, 1, p);
    keep_only(p, (const int[]){2, 5, 6}, 3);
    assert_true(chi_square(counts, p, N) < 13.8);

    /* exp(-1) = 0.37 >= 0.3 stays, exp(-1.5) = 0.22 goes */
    settings = plain(1);
    settings.min_p = 0.3f;
    count_draws(&settings, ramp, N, counts);
    softmax(ramp, 1, p);
    keep_only(p, (const int[]){2, 5, 6}, 3);
    assert_true(chi_square(counts, p, N) < 13.8);

    /* top-p is taken of what top-k left: 0.39 / 0.63 = 0.62 >= 0.6, so one token stays where two did */
    settings = plain(1);
    settings.top_k = 2;
    settings.top_p = 0.6f;
    count_draws(&settings, ramp, 1000, counts);
    assert_int_equal(counts[2], 1000);
}

static void test_cuts_at_their_ends(void **state)
{
    (void)state;
    struct sampler sampler;
    assert_int_equal(sampler_init(&sampler, SMALL, NULL), 0);
    const float equal[SMALL] = {0};
    struct engine_sampling settings = plain(1);
    settings.top_k = 1;
    assert_int_equal(draw(&sampler, &settings, 0, equal), 0); /* lowest id among equals */
    settings = plain(1);
    settings.top_p = 0;
    assert_int_equal(draw(&sampler, &settings, 0, equal), 0);
    settings = plain(1);
    settings.min_p = 1;
    bool seen[SMALL] = {false};
    for (uint32_t i = 0; i < 500; i++)
        seen[draw(&sampler, &settings, i, equal)] = true;
    for (int i = 0; i < SMALL; i++)
        assert_true(seen[i]); /* all are the best */
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(draw(&sampler, &settings, i, ramp), 2);
    settings = plain(1);
    settings.top_k = 1000; /* more than there are */
    draw(&sampler, &settings, 0, ramp);
    settings = plain(1e-38f); /* nearly greedy, and no NaN on the way */
    assert_int_equal(draw(&sampler, &settings, 0, ramp), 2);
    const float huge[SMALL] = {-3e38f, 3e38f, -3e38f, 1, 2, 3, 4, 5};
    settings = plain(100);
    assert_int_equal(draw(&sampler, &settings, 0, huge), 1);
    sampler_free(&sampler);
}

static void test_greedy(void **state)
{
    (void)state;
    struct sampler sampler;
    assert_int_equal(sampler_init(&sampler, SMALL, NULL), 0);
    struct engine_sampling settings = plain(0);
    const float ties[SMALL] = {0, 3, 1, 3, 3, -1, 2, 3};
    assert_int_equal(draw(&sampler, &settings, 0, ties), 1);
    assert_int_equal(draw(&sampler, &settings, 0, ramp), 2);
    const struct engine_logit_bias bias[] = {{2, -100}, {5, -100}, {4, 4.5f}};
    settings.logit_bias = bias;
    settings.n_logit_bias = 2;
    assert_int_equal(draw(&sampler, &settings, 0, ramp), 6);
    settings.n_logit_bias = 3;
    assert_int_equal(draw(&sampler, &settings, 0, ramp), 4);
    sampler_free(&sampler);
}

static void test_seed_and_index_decide(void **state)
{
    (void)state;
    struct sampler a, b;
    assert_int_equal(sampler_init(&a, SMALL, NULL), 0);
    assert_int_equal(sampler_init(&b, SMALL, NULL), 0);
    struct engine_sampling settings = plain(1), other = plain(1);
    other.seed = 8;
    int differ = 0;
    for (uint32_t i = 0; i < 64; i++) {
        /* b draws backwards, and other things in between */
        int32_t first = draw(&a, &settings, i, ramp);
        differ += draw(&b, &other, 63 - i, ramp) != draw(&b, &settings, 63 - i, ramp);
        assert_int_equal(draw(&b, &settings, i, ramp), first);
    }
    assert_in_range(differ, 20, 64);
    /* streams of neighbouring seeds share no state */
    for (uint64_t seed = 0; seed < 100; seed++)
        for (uint64_t i = 0; i < 20; i++)
            assert_true(random_u64(seed, i + 1) != random_u64(seed + 1, i));
    sampler_free(&a);
    sampler_free(&b);
}

/* ---- a real vocabulary ---- */

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* The selection against a full sort: exactly the tokens of the head can be drawn, and they carry the mass. */
static void check_large(float spread, float temperature)
{
    struct sampler sampler;
    assert_int_equal(sampler_init(&sampler, LARGE, NULL), 0);
    float *logits = malloc(LARGE * sizeof *logits), *sorted = malloc(LARGE * sizeof *sorted);
    assert_non_null(logits);
    assert_non_null(sorted);
    for (uint32_t i = 0; i < LARGE; i++) /* sum of four: nearly normal, with many equal values */
        logits[i] = spread * (float)(floor(64 * (random_unit(1, 4 * i) + random_unit(1, 4 * i + 1) +
                                                 random_unit(1, 4 * i + 2) + random_unit(1, 4 * i + 3))) /
                                     64);
    memcpy(sorted, logits, LARGE * sizeof *sorted);
    qsort(sorted, LARGE, sizeof *sorted, descending);
    double total = 0, mass = 0;
    for (uint32_t i = 0; i < LARGE; i++)
        total += exp((double)((sorted[i] - sorted[0]) / temperature));
    uint32_t head = 0;
    while (mass < 0.9 * total)
        mass += exp((double)((sorted[head++] - sorted[0]) / temperature));

    struct engine_sampling settings = plain(temperature);
    for (uint32_t i = 0; i < 50; i++) {
        settings.top_k = 0;
        settings.top_p = 0.9f;
        assert_true(logits[draw(&sampler, &settings, i, logits)] >= sorted[head - 1]);
        settings.top_p = 1;
        settings.top_k = 40;
        assert_true(logits[draw(&sampler, &settings, i, logits)] >= sorted[39]);
        settings.top_k = LARGE - 5;
        assert_true(logits[draw(&sampler, &settings, i, logits)] >= sorted[LARGE - 6]);
    }
    free(sorted);
    free(logits);
    sampler_free(&sampler);
}

static void test_large_vocabulary(void **state)
{
    (void)state;
    check_large(8, 0.7f);    /* peaked: the head is small */
    check_large(0.1f, 1.5f); /* flat: nine tenths of everything */
    check_large(1000, 1);    /* one token has it all */
}

static void test_bad_logits_are_an_error(void **state)
{
    (void)state;
    struct sampler sampler;
    assert_int_equal(sampler_init(&sampler, SMALL, NULL), 0);
    const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
    for (int i = 0; i < 4; i++)
        for (int place = 0; place < SMALL; place++)
            for (int greedy = 0; greedy < 2; greedy++) {
                float logits[SMALL];
                struct error error = {0};
                int32_t token;
                memcpy(logits, ramp, sizeof logits);
                logits[place] = bad[i];
                struct engine_sampling settings = plain(greedy ? 0 : 1);
                assert_int_equal(
                    sampler_draw(&sampler, &settings, &no_penalties, NULL, 2, logits, &token, &error),
                    ERROR_INTERNAL);
                assert_non_null(strstr(error.message, "not finite"));
            }
    sampler_free(&sampler);
}

static void test_settings_are_checked_by_name(void **state)
{
    (void)state;
    const struct engine_logit_bias outside = {SMALL, 1}, endless = {0, NAN};
    const struct {
        struct engine_sampling settings;
        const char *field;
    } cases[] = {
        {{.temperature = -1, .top_p = 1, .repetition_penalty = 1}, "temperature"},
        {{.temperature = NAN, .top_p = 1, .repetition_penalty = 1}, "temperature"},
        {{.top_p = 1.5f, .repetition_penalty = 1}, "top_p"},
        {{.top_p = NAN, .repetition_penalty = 1}, "top_p"},
        {{.top_p = 1, .min_p = 2, .repetition_penalty = 1}, "min_p"},
        {{.top_p = 1, .repetition_penalty = 0}, "repetition_penalty"},
        {{.top_p = 1, .repetition_penalty = 1, .presence_penalty = INFINITY}, "presence_penalty"},
        {{.top_p = 1, .repetition_penalty = 1, .frequency_penalty = NAN}, "frequency_penalty"},
        {{.top_p = 1, .repetition_penalty = 1, .logit_bias = &outside, .n_logit_bias = 1}, "logit_bias[0]"},
        {{.top_p = 1, .repetition_penalty = 1, .logit_bias = &endless, .n_logit_bias = 1}, "logit_bias[0]"},
        {{.top_p = 1, .repetition_penalty = 1, .n_logit_bias = 1}, "logit_bias"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        assert_int_equal(sampler_check(&cases[i].settings, SMALL, &error), ERROR_INVALID);
        assert_non_null(strstr(error.message, cases[i].field));
    }
}

/* ---- penalties and log probabilities, by hand ---- */

static void test_penalties(void **state)
{
    (void)state;
    struct arena arena;
    struct penalties penalties;
    struct engine_sampling settings = plain(0);
    arena_init(&arena);
    assert_int_equal(penalties_init(&penalties, &settings, &arena, SMALL, 10, NULL), 0);
    assert_false(penalties_on(&penalties));
    penalties_add(&penalties, 3, true); /* does nothing */

    settings.repetition_penalty = 2;
    settings.presence_penalty = 0.5f;
    settings.frequency_penalty = 0.25f;
    assert_int_equal(penalties_init(&penalties, &settings, &arena, SMALL, 10, NULL), 0);
    assert_true(penalties_on(&penalties));
    penalties_add(&penalties, 0, false); /* prompt: 0, 1, 1 */
    penalties_add(&penalties, 1, false);
    penalties_add(&penalties, 1, false);
    penalties_add(&penalties, 1, true); /* answer: 1, 2, 2, 2 */
    for (int i = 0; i < 3; i++)
        penalties_add(&penalties, 2, true);
    float logits[SMALL] = {4, -4, 4, 4, -4, 0, 0, 0};
    penalties_apply(&penalties, logits);
    const float expected[SMALL] = {2,                    /* prompt only: divided once */
                                   -8 - 0.5f - 0.25f,    /* negative: multiplied; once in the answer */
                                   2 - 0.5f - 3 * 0.25f, /* three times in the answer */
                                   4,
                                   -4,
                                   0,
                                   0,
                                   0};
    assert_memory_equal(logits, expected, sizeof expected);

    /* everything there is fits, however long the text */
    for (int32_t i = 0; i < 1000; i++)
        penalties_add(&penalties, i % SMALL, true);
    assert_int_equal(penalties.n_entries, SMALL);
    float overflow[SMALL] = {-3e38f, 3e38f};
    penalties_apply(&penalties, overflow);
    for (int i = 0; i < SMALL; i++)
        assert_true(isfinite(overflow[i]));
    arena_free(&arena);
}

static void test_penalties_steer_the_draw(void **state)
{
    (void)state;
    struct sampler sampler;
    struct arena arena;
    struct penalties penalties;
    struct engine_sampling settings = plain(0);
    int32_t token;
    settings.presence_penalty = 10;
    arena_init(&arena);
    assert_int_equal(sampler_init(&sampler, SMALL, NULL), 0);
    assert_int_equal(penalties_init(&penalties, &settings, &arena, SMALL, SMALL, NULL), 0);
    const int32_t order[SMALL] = {2, 5, 6, 0, 3, 7, 1, 4}; /* best first, each once */
    for (uint32_t i = 0; i < SMALL; i++) {
        assert_int_equal(sampler_draw(&sampler, &settings, &penalties, NULL, i, ramp, &token, NULL), 0);
        assert_int_equal(token, order[i]);
        penalties_add(&penalties, token, true);
    }
    arena_free(&arena);
    sampler_free(&sampler);
}

/* The distribution among allowed tokens is that of the same logits without the others. */
static void test_only_what_is_allowed(void **state)
{
    (void)state;
    struct sampler sampler;
    const float logits[SMALL] = {9, 1, FLT_MAX, 2, -FLT_MAX, 8, 3, 7};
    const uint32_t allowed = 1u << 1 | 1u << 3 | 1u << 6, lowest = 1u << 4;
    assert_int_equal(sampler_init(&sampler, SMALL, NULL), 0);
    for (int i = 0; i < 6; i++) {
        struct engine_sampling settings = plain(i ? 1 : 0);
        settings.top_k = i == 2 ? 5 : 0; /* more than are allowed */
        settings.top_p = i == 3 ? 0.999f : 1;
        settings.min_p = i == 4 ? 0.01f : 0;
        settings.temperature *= i == 5 ? 100 : 1;
        uint32_t counts[SMALL] = {0};
        int32_t token = -1;
        for (uint32_t n = 0; n < 5000; n++) {
            assert_int_equal(
                sampler_draw(&sampler, &settings, &no_penalties, &allowed, n, logits, &token, NULL), 0);
            counts[token]++;
        }
        assert_int_equal(counts[1] + counts[3] + counts[6], 5000);
        double e[SMALL] = {0}, t = (double)(i ? settings.temperature : 1), sum = 0;
        for (int j = 1; j <= 6; j++)
            sum += e[j] = allowed >> j & 1 ? exp((double)logits[j] / t) : 0;
        for (int j = 0; j < SMALL; j++)
            e[j] /= sum;
        if (i)
            assert_true(chi_square(counts, e, 5000) < 16); /* 2 degrees of freedom: p = 0.0003 */
        else
            assert_int_equal(counts[6], 5000);
        /* the least probable token of all, when there is no other */
        assert_int_equal(sampler_draw(&sampler, &settings, &no_penalties, &lowest, 0, logits, &token, NULL),
                         0);
        assert_int_equal(token, 4);
    }
    sampler_free(&sampler);
}

static void test_logprobs(void **state)
{
    (void)state;
    double p[SMALL];
    float logprob;
    struct engine_logprob top[SMALL];
    softmax(ramp, 1, p);
    sampler_logprobs(ramp, SMALL, 6, 3, &logprob, top);
    assert_float_equal(logprob, (float)log(p[6]), 1e-5f);
    const int32_t best[3] = {2, 5, 6};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(top[i].token, best[i]);
        assert_float_equal(top[i].logprob, (float)log(p[best[i]]), 1e-5f);
    }
    sampler_logprobs(ramp, SMALL, 0, SMALL, &logprob, top);
    for (int i = 1; i < SMALL; i++)
        assert_true(top[i].logprob < top[i - 1].logprob);
    const float equal[SMALL] = {1, 1, 1, 1, 1, 1, 1, 1};
    sampler_logprobs(equal, SMALL, 0, 4, &logprob, top);
    for (int i = 0; i < 4; i++)
        assert_int_equal(top[i].token, i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_cuts_keep_the_right_tokens),
        cmocka_unit_test(test_cuts_at_their_ends),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_seed_and_index_decide),
        cmocka_unit_test(test_large_vocabulary),
        cmocka_unit_test(test_bad_logits_are_an_error),
        cmocka_unit_test(test_settings_are_checked_by_name),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_penalties_steer_the_draw),
        cmocka_unit_test(test_only_what_is_allowed),
        cmocka_unit_test(test_logprobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
