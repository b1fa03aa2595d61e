/* Expected frequencies come from mlx_lm/models/rope_utils.py (mlx-lm 0.32.2), printed by hand once. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/rope.h"

enum { DIMS = 16, PAIRS = DIMS / 2 };

static struct arena memory; /* of the lists in a spec */

static int read(const char *text, struct rope_spec *spec, struct error *error)
{
    json_t *config = json_loads(text, 0, NULL);
    assert_non_null(config);
    *spec = (struct rope_spec){0};
    arena_free(&memory);
    arena_init(&memory);
    int status = rope_spec_read(config, 10000, 1, 4096, &memory, spec, error);
    json_decref(config);
    return status;
}

static void check(const char *text, const double expected[PAIRS], double scale)
{
    struct rope_spec spec;
    struct arena arena;
    assert_int_equal(read(text, &spec, NULL), 0);
    arena_init(&arena);
    const struct plan_rope *rope = rope_build(&spec, DIMS, &arena);
    assert_non_null(rope);
    assert_int_equal(rope->dims, DIMS);
    for (int i = 0; i < PAIRS; i++)
        assert_true(fabs(rope->inv_freq[i] / expected[i] - 1) < 2e-6);
    assert_true(fabs(rope->scale / scale - 1) < 1e-6);
    arena_free(&arena);
}

static void test_default(void **state)
{
    (void)state;
    double expected[PAIRS], half[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        expected[i] = pow(10000, -i / 8.0);
        half[i] = expected[i] / 2.5;
    }
    check("{}", expected, 1);
    check("{\"rope_scaling\":null}", expected, 1);
    check("{\"rope_scaling\":{\"rope_type\":\"default\"}}", expected, 1);
    check("{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.5}}", half, 1);
    for (int i = 0; i < PAIRS; i++)
        expected[i] = pow(1000000, -i / 8.0);
    check("{\"rope_theta\":1000000}", expected, 1);
    check("{\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"default\"}}", expected, 1);
    check("{\"rope_theta\":1000000,\"rope_parameters\":{\"rope_theta\":3}}", expected, 1);
}

static void test_llama3(void **state)
{
    (void)state;
    static const double full[PAIRS] = {1.0,          0.1939228,    0.03760603,   0.007292665,
                                       0.0004295567, 8.570256e-06, 1.661967e-06, 3.222933e-07};
    static const double defaults[PAIRS] = {1.0,          0.1939228,    0.03760603,  0.007292665,
                                           0.0005248461, 3.428102e-05, 6.64787e-06, 1.289173e-06};
    check("{\"rope_theta\":500000,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":32.0,"
          "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192}}",
          full, 1);
    check("{\"rope_theta\":500000,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", defaults, 1);
}

static void test_yarn(void **state)
{
    (void)state;
    static const double plain[PAIRS] = {1.0,      0.3162278,    0.08125, 0.01976424,
                                        0.004375, 0.0007905694, 0.00025, 7.905694e-05};
    static const double tuned[PAIRS] = {1.0,     0.1778279,    0.03162278,   0.002881999,
                                        2.5e-05, 4.445699e-06, 7.905694e-07, 1.405853e-07};
    check("{\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,"
          "\"original_max_position_embeddings\":1024}}",
          plain, 1.138629436111989);
    check("{\"rope_theta\":1000000,\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":40,"
          "\"original_max_position_embeddings\":4096,\"beta_fast\":16,\"beta_slow\":2,\"mscale\":0.707,"
          "\"mscale_all_dim\":0.5}}",
          tuned, 1.064468903941252);
    check("{\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,"
          "\"original_max_position_embeddings\":1024,\"attention_factor\":1.5}}",
          plain, 1.5);
}

static void test_dynamic(void **state)
{
    (void)state;
    struct rope_spec spec;
    struct arena arena;
    assert_int_equal(
        read("{\"rope_traditional\":true,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}", &spec, NULL),
        0);
    arena_init(&arena);
    const struct plan_rope *rope = rope_build(&spec, DIMS, &arena);
    assert_int_equal(rope->dynamic_from, 4096);
    assert_true(rope->base == 10000.0f && rope->factor == 2.0f && rope->interleaved);
    assert_true(fabs(rope->inv_freq[4] / 0.01 - 1) < 1e-6); /* below dynamic_from nothing is stretched */
    arena_free(&arena);
}

static void test_context(void **state)
{
    (void)state;
    struct rope_spec spec;
    assert_int_equal(read("{}", &spec, NULL), 0);
    assert_int_equal(rope_context(&spec), 4096);
    assert_int_equal(read("{\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}", &spec, NULL), 0);
    assert_int_equal(rope_context(&spec), 16384);
    assert_int_equal(read("{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.5}}", &spec, NULL), 0);
    assert_int_equal(rope_context(&spec), 4096);
    assert_int_equal(read("{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":4}}", &spec, NULL), 0);
    assert_int_equal(rope_context(&spec), 4096); /* max_position_embeddings already has it */
    assert_int_equal(read("{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,"
                          "\"original_max_position_embeddings\":4096}}",
                          &spec, NULL),
                     0);
    assert_int_equal(rope_context(&spec), 16384);
    assert_int_equal(read("{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":1000000,"
                          "\"original_max_position_embeddings\":134217728}}",
                          &spec, NULL),
                     0);
    assert_int_equal(rope_context(&spec), 1 << 27);
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"rope_scaling\":[]}",
        "{\"rope_scaling\":{\"type\":5}}",
        "{\"rope_scaling\":{\"type\":\"longrope\",\"factor\":2}}",
        "{\"rope_scaling\":{\"type\":\"dynamic\"}}",
        "{\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":-1}}",
        "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":0}}",
        "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"beta_fast\":0}}",
        "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"beta_fast\":\"fast\"}}",
        "{\"rope_parameters\":{\"rope_theta\":-1}}",
        "{\"rope_theta\":1}",
        "{\"rope_traditional\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rope_spec spec;
        struct error error = {0};
        if (read(bad[i], &spec, &error) == 0)
            fail_msg("accepted %s", bad[i]);
        assert_true(strncmp(error.message, "config.json", 11) == 0);
    }
}

static void test_longrope(void **state)
{
    (void)state;
    double expected[PAIRS];
    for (int i = 0; i < PAIRS; i++)
        expected[i] = pow(10000, -i / 8.0) / (i + 1);
    /* 4,096 positions of which 256 were trained: sqrt(1 + ln 16 / ln 256) */
    check("{\"original_max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"su\","
          "\"long_factor\":[1,2,3,4,5,6,7,8]}}",
          expected, sqrt(1.5));
    check("{\"rope_scaling\":{\"rope_type\":\"longrope\",\"original_max_position_embeddings\":256,"
          "\"attention_factor\":1.25,\"long_factor\":[1,2,3,4,5,6,7,8]}}",
          expected, 1.25);
    check("{\"rope_scaling\":{\"type\":\"su\",\"long_factor\":[1,2,3,4,5,6,7,8]}}", expected, 1);
}

static void test_dims(void **state)
{
    (void)state;
    struct rope_spec spec;
    assert_int_equal(read("{}", &spec, NULL), 0);
    assert_int_equal(rope_dims(&spec, 128), 128);
    assert_int_equal(read("{\"partial_rotary_factor\":0.75}", &spec, NULL), 0);
    assert_int_equal(rope_dims(&spec, 128), 96);
    assert_int_equal(read("{\"rope_parameters\":{\"partial_rotary_factor\":0.5}}", &spec, NULL), 0);
    assert_int_equal(rope_dims(&spec, 64), 32);
    assert_int_equal(
        read("{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"partial_rotary_factor\":0.5}}", &spec,
             NULL),
        0);
    assert_int_equal(rope_dims(&spec, 64), 32);
    assert_int_equal(rope_dims(&spec, 2), 0); /* one dimension does not turn */
    assert_int_equal(rope_dims(&spec, 6), 0);
    assert_int_equal(read("{\"rope_scaling\":{\"type\":\"su\",\"long_factor\":[1,2]}}", &spec, NULL), 0);
    assert_int_equal(rope_dims(&spec, 4), 4);
    assert_int_equal(rope_dims(&spec, 8), 0);
}

/* transformers 5 has parameters for each kind of layer; those of full attention count. */
static void test_parameters_by_layer(void **state)
{
    (void)state;
    struct rope_spec spec;
    assert_int_equal(read("{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":8,"
                          "\"rope_theta\":1e6},\"sliding_attention\":{\"rope_theta\":1e4}}}",
                          &spec, NULL),
                     0);
    assert_int_equal(spec.kind, ROPE_LINEAR);
    assert_true(spec.theta == 1e6 && spec.factor == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default), cmocka_unit_test(test_longrope),
        cmocka_unit_test(test_dims),    cmocka_unit_test(test_parameters_by_layer),
        cmocka_unit_test(test_llama3),  cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_dynamic), cmocka_unit_test(test_context),
        cmocka_unit_test(test_bad),
    };
    arena_init(&memory);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
