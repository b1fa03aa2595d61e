/* What operations on rows are priced at, one at a time, with a calibration of round numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/forecast.h"
#include "support/calibration_fixture.h"

enum { VOCAB = 256000 };

/* Milliseconds for the rows of an operation over rows of logits, with two threads. */
static double rows_ms(const struct plan_op *op, uint32_t outputs)
{
    static const struct plan_slot slots[] = {{"logits", VOCAB, DOMAIN_OUTPUTS}};
    struct calibration calibration;
    struct forecast forecast;
    calibration_fixture(&calibration);
    calibration.row_ns[PLAN_ACT_MUL] = 0.4;
    calibration.rows_ns[PLAN_ACT_MUL] = 0.3;
    calibration.row_ns[PLAN_ADD] = 0.1;
    struct forecast_machine machine = {.calibration = &calibration};
    struct plan plan = {.slots = slots, .n_slots = 1, .ops = op, .n_ops = 1, .vocab = VOCAB};
    struct plan_step step = {
        .n_tokens = outputs, .n_outputs = outputs, .n_sequences = outputs, .kv_bits = 16};
    assert_true(forecast_step(&machine, &plan, 1, &step, 512 << 20, &forecast));
    return forecast.rows_ms;
}

static void near(double got, double want)
{
    if (fabs(got - want) > 1e-9)
        fail_msg("%.6f ms and not %.6f", got, want);
}

/* A softcap is as dear as an activation, a factor as an addition; both have all threads for a single row. */
static void a_scale_is_shared_by_columns(void **state)
{
    (void)state;
    struct plan_op op = {.kind = PLAN_SCALE, .in = {.width = VOCAB}, .out = {.width = VOCAB}};
    op.scale.scale = 1;
    op.scale.softcap = 30;
    near(rows_ms(&op, 1), VOCAB * 0.4 / 2 / 1e6);
    near(rows_ms(&op, 10), 10 * VOCAB * 0.3 / 2 / 1e6);
    op.scale.softcap = 0;
    near(rows_ms(&op, 1), VOCAB * 0.1 / 2 / 1e6);
}

static void other_rows_are_shared_whole(void **state)
{
    (void)state;
    struct plan_op op = {.kind = PLAN_ADD, .in = {.width = VOCAB}, .out = {.width = VOCAB}};
    near(rows_ms(&op, 1), VOCAB * 0.1 / 1e6);
    near(rows_ms(&op, 2), 2 * VOCAB * 0.1 / 2 / 1e6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scale_is_shared_by_columns),
        cmocka_unit_test(other_rows_are_shared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
