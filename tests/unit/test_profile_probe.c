#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profile/bandwidth.h"
#include "profile/probe.h"

enum { ROWS = 1024, ROW_BYTES = 1024 };

static struct weight make_weight(const uint8_t *data)
{
    return (struct weight){.name = "w",
                           .format = WEIGHT_DENSE,
                           .type = SCALAR_BF16,
                           .bits = 16,
                           .n_experts = 1,
                           .rows = ROWS,
                           .cols = ROW_BYTES / 2,
                           .row_bytes = ROW_BYTES,
                           .data = data};
}

static void reads_each_weight_once(void **state)
{
    (void)state;
    uint8_t *data = calloc(2 * ROWS, ROW_BYTES);
    assert_non_null(data);
    struct weight a = make_weight(data), b = make_weight(data + ROWS * ROW_BYTES);
    /* a is used twice (tied); the embedding table alone is not streamed */
    struct plan_op ops[4] = {{.kind = PLAN_LINEAR, .linear = {.weight = &a}},
                             {.kind = PLAN_LINEAR, .linear = {.weight = &b}},
                             {.kind = PLAN_LINEAR, .linear = {.weight = &a}},
                             {.kind = PLAN_EMBED, .embed = {.weight = &b}}};
    struct plan plan = {.ops = ops, .n_ops = 4};
    struct error error = {0};
    struct probe *probe;
    struct probe_result result;

    assert_int_equal(probe_open(&plan, 2, 64 << 20, &probe, &error), 0);
    assert_int_equal(probe_span_bytes(probe), 2 * ROWS * ROW_BYTES);
    probe_run(probe, &result);
    assert_true(result.gbps > 0.01 && result.gbps < 100000);
    assert_int_equal(result.pass_bytes, 2 * ROWS * ROW_BYTES);
    assert_true(result.passes >= 3);
    assert_int_equal(result.level, PROBE_CACHE);
    probe_close(probe);

    assert_int_equal(probe_open(&plan, 1, 1 << 20, &probe, &error), 0); /* larger than this cache */
    probe_run(probe, &result);
    assert_int_equal(result.level, PROBE_MEMORY);
    probe_close(probe);

    assert_int_equal(probe_open(&plan, 1, 3 << 19, &probe, &error), 0); /* 2 MiB beside 1.5 MiB */
    probe_run(probe, &result);
    assert_int_equal(result.level, PROBE_MIXED);
    assert_string_equal(probe_level_name(result.level), "mixed");
    probe_close(probe);

    assert_int_equal(probe_open(&plan, 3, 0, &probe, &error), 0);
    probe_run(probe, &result);
    assert_int_equal(result.level, PROBE_UNKNOWN);
    probe_close(probe);
    free(data);
}

static void refuses_a_plan_without_weights(void **state)
{
    (void)state;
    struct plan plan = {.n_ops = 0};
    struct error error = {0};
    struct probe *probe;
    assert_int_equal(probe_open(&plan, 1, 0, &probe, &error), ERROR_INVALID);
    assert_null(probe);
    probe_close(NULL);
}

/* Reads exactly the bytes it is given: every one of them changes the result, at every length and alignment.
 */
static void reads_every_byte(void **state)
{
    (void)state;
    static uint8_t data[1200];
    for (size_t length = 1; length <= 700; length += 37)
        for (size_t offset = 0; offset < 3; offset++)
            for (size_t i = 0; i < length; i += 13) {
                memset(data, 0, sizeof data);
                uint64_t before = bandwidth_read(data + offset, length);
                data[offset + i] = 1;
                assert_true(bandwidth_read(data + offset, length) != before);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_weight_once),
        cmocka_unit_test(refuses_a_plan_without_weights),
        cmocka_unit_test(reads_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
