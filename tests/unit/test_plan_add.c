/* The factor of an ADD: 0 stands for 1, and any other number is a product more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan/plan.h"

static double flops(float scale)
{
    static const struct plan_slot slots[] = {{"x", 64, DOMAIN_TOKENS}};
    struct plan plan = {.slots = slots, .n_slots = 1};
    struct plan_op op = {.kind = PLAN_ADD, .in = {.width = 64}, .in2 = {.width = 64}, .out = {.width = 64}};
    struct plan_step step = {.n_tokens = 3, .n_sequences = 1, .kv_bits = 16};
    op.add.scale = scale;
    return plan_op_cost(&plan, &op, &step).flops;
}

static void test_scale(void **state)
{
    (void)state;
    struct plan_op op = {.kind = PLAN_ADD};
    assert_true(plan_add_scale(&op) == 1.0f);
    op.add.scale = 1;
    assert_true(plan_add_scale(&op) == 1.0f);
    op.add.scale = -0.25f;
    assert_true(plan_add_scale(&op) == -0.25f);
}

static void test_cost(void **state)
{
    (void)state;
    assert_true(flops(0) == 3 * 64);
    assert_true(flops(1) == 3 * 64);
    assert_true(flops(0.22f) == 2 * 3 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scale), cmocka_unit_test(test_cost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
