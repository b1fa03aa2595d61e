#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "profile/bench.h"
#include "profile/table.h"

static void grid_is_expanded(void **state)
{
    (void)state;
    struct bench_grid grid = {.prompt = {{512, 64}, 2},
                              .gen = {{128}, 1},
                              .depth = {{0, 4096}, 2},
                              .batch = {{1, 4}, 2},
                              .both = {512, 128},
                              .repeats = 5};
    struct bench_test tests[32];
    assert_int_equal(bench_expand(&grid, tests, 32), 16);
    char label[64];
    bench_label(&tests[0], label, sizeof label);
    assert_string_equal(label, "pp512");
    bench_label(&tests[2], label, sizeof label);
    assert_string_equal(label, "tg128");
    bench_label(&tests[7], label, sizeof label);
    assert_string_equal(label, "pp512+tg128 b4");
    bench_label(&tests[10], label, sizeof label);
    assert_string_equal(label, "tg128 @ d4096");
    bench_label(&tests[14], label, sizeof label);
    assert_string_equal(label, "tg128 @ d4096 b4");
    /* counted even when there is no room for them */
    assert_int_equal(bench_expand(&grid, tests, 3), 16);
}

static void zero_means_none(void **state)
{
    (void)state;
    struct bench_grid grid = {.prompt = {{0}, 1}, .gen = {{0}, 1}, .depth = {{0}, 1}, .batch = {{1}, 1}};
    struct bench_test tests[4];
    assert_int_equal(bench_expand(&grid, tests, 4), 0);
}

static void context_needed(void **state)
{
    (void)state;
    struct bench_test pp = {.n_prompt = 512, .batch = 1}, tg = {.n_gen = 128, .batch = 1},
                      deep = {.n_gen = 128, .depth = 4096, .batch = 4};
    assert_int_equal(bench_context(&pp, 512), 513);
    assert_int_equal(bench_context(&tg, 512), 1 + 129);
    /* while the fourth sequence is prefilled the first one already decodes: 4 * (4096 / 512 + 4) tokens more
     */
    assert_int_equal(bench_context(&deep, 512), 4096 + 129 + 48);
}

static struct bench_row make_row(double *tps, double *ns)
{
    struct bench_row row = {.test = {.n_prompt = 512, .batch = 1},
                            .model_name = "a \"quoted\", name",
                            .info = {.architecture = "llama",
                                     .quantization = "4-bit affine, group 64",
                                     .backend = "cpu",
                                     .isa = "avx2",
                                     .n_threads = 2,
                                     .weight_bytes = 14600000,
                                     .parameters = 25600000,
                                     .load_ms = 12.5},
                            .n_samples = 2,
                            .tps = tps,
                            .ns = ns,
                            .read_from = "cache"};
    stats_compute(tps, 2, &row.tps_stats);
    stats_compute(ns, 2, &row.ns_stats);
    stats_compute(NULL, 0, &row.read_gbps);
    return row;
}

static void row_as_json(void **state)
{
    (void)state;
    double tps[] = {1000, 1020}, ns[] = {512e6, 502e6};
    struct bench_row row = make_row(tps, ns);
    char *text = bench_row_json(&row, 0);
    assert_non_null(text);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "test")), "pp512");
    assert_true(fabs(json_real_value(json_object_get(o, "avg_ts")) - 1010) < 1e-6);
    assert_true(fabs(json_real_value(json_object_get(o, "stddev_ts")) - sqrt(200)) < 1e-4);
    assert_int_equal(json_array_size(json_object_get(o, "samples_ts")), 2);
    assert_true(json_is_null(json_object_get(o, "read_gbps"))); /* not measured: null, never 0 */
    assert_true(json_is_null(json_object_get(o, "adapter")));
    json_decref(o);
    free(text);
    row.info.adapter = "tuned";
    text = bench_row_json(&row, 0);
    assert_non_null(strstr(text, "\"adapter\":\"tuned\""));
    free(text);
}

static void row_as_csv_and_markdown(void **state)
{
    (void)state;
    double tps[] = {1000, 1020}, ns[] = {512e6, 502e6};
    struct bench_row row = make_row(tps, ns);
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    bench_csv_heading(stream);
    bench_csv_row(stream, &row);
    struct table table;
    bench_table_init(&table);
    bench_table_row(&table, &row);
    row.info.adapter = "tuned";
    bench_csv_row(stream, &row);
    bench_table_row(&table, &row);
    row.info.adapter = NULL;
    row.n_samples = 0;
    row.info.quantization = "mixed: 4-bit affine, group 64; 8-bit affine, group 64; bf16";
    bench_table_row(&table, &row);
    row.info.quantization = "mixed: mxfp4; bf16";
    bench_table_row(&table, &row);
    table_print(&table, stream, TABLE_MARKDOWN, 0);
    table_free(&table);
    fclose(stream);
    assert_non_null(strstr(text, "\n\"a \"\"quoted\"\", name\",llama,\"4-bit affine, group 64\",,14600000,"));
    assert_non_null(strstr(text, ",\"4-bit affine, group 64\",tuned,14600000,"));
    assert_non_null(strstr(text, "| a \"quoted\", name + tuned 4-bit affine, group 64 |"));
    assert_non_null(strstr(text, "| 1010.00 ± 14.14 |"));
    assert_non_null(strstr(text, "| a \"quoted\", name 4-bit affine, group 64 "));
    assert_non_null(strstr(text, "| a \"quoted\", name 4-bit mixed "));
    assert_non_null(strstr(text, "| a \"quoted\", name mxfp4 mixed "));
    assert_null(strstr(text, "mixed:"));
    assert_non_null(strstr(text, "|          failed |"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_is_expanded),        cmocka_unit_test(zero_means_none),
        cmocka_unit_test(context_needed),          cmocka_unit_test(row_as_json),
        cmocka_unit_test(row_as_csv_and_markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
