/* Costs of single operations with numbers small enough to check by counting. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan/plan.h"

static const struct plan_slot slots[] = {{"tokens", 64, DOMAIN_TOKENS}, {"outputs", 64, DOMAIN_OUTPUTS}};

static struct plan plan_with(const struct plan_cache *cache)
{
    return (struct plan){.slots = slots, .n_slots = 2, .caches = cache, .n_caches = 1};
}

static double minimum(double a, double b)
{
    return a < b ? a : b;
}

/* Counts the keys that the last `rows` of `total` positions meet, and the distinct ones among them. */
static void count_keys(uint32_t rows, uint32_t total, uint32_t window, double *met, double *distinct)
{
    uint32_t first = total;
    *met = 0;
    for (uint32_t p = total - rows; p < total; p++) {
        uint32_t keys = window && p + 1 > window ? window : p + 1;
        *met += keys;
        first = (uint32_t)minimum(first, p + 1 - keys);
    }
    *distinct = rows ? total - first : 0;
}

static void test_attend(void **state)
{
    (void)state;
    for (uint32_t window = 0; window <= 20; window += 5)
        for (uint32_t context = 0; context <= 30; context += 3)
            for (uint32_t fresh = 1; fresh <= 24; fresh += 1)
                for (uint32_t outputs = 0; outputs <= fresh; outputs += 7) {
                    struct plan_cache cache = {.kind = window ? CACHE_WINDOW : CACHE_FULL,
                                               .n_kv_heads = 2,
                                               .k_dim = 8,
                                               .v_dim = 4,
                                               .window = window};
                    struct plan plan = plan_with(&cache);
                    struct plan_op op = {.kind = PLAN_ATTEND, .in = {.slot = 1}, .out = {.slot = 1}};
                    op.attend.n_heads = 4;
                    struct plan_step step = {.n_tokens = 3 * fresh,
                                             .n_outputs = 3 * outputs,
                                             .n_sequences = 3,
                                             .context = context,
                                             .kv_bits = 16};
                    double met, distinct;
                    count_keys(outputs, context + fresh, window, &met, &distinct);
                    struct plan_cost cost = plan_op_cost(&plan, &op, &step);
                    assert_true(cost.kv_read_bytes == 3 * distinct * 2 * (8 + 4) * 2);
                    step.kv_bits = 8; /* a scale each for the key and the value */
                    assert_true(plan_op_cost(&plan, &op, &step).kv_read_bytes ==
                                3 * distinct * 2 * (8 + 2 + 4 + 2));
                    assert_true(cost.flops == 3 * met * 4 * 2 * (8 + 4));
                    assert_true(cost.weight_bytes == 0 && cost.kv_write_bytes == 0);
                }
}

static void test_caches(void **state)
{
    (void)state;
    struct plan_cache caches[] = {
        {.kind = CACHE_FULL, .n_kv_heads = 2, .k_dim = 8, .v_dim = 4},
        {.kind = CACHE_WINDOW, .n_kv_heads = 1, .k_dim = 8, .v_dim = 8, .window = 4},
        {.kind = CACHE_LATENT, .n_kv_heads = 1, .k_dim = 576, .v_dim = 512},
        {.kind = CACHE_RECURRENT, .state_floats = 1000},
    };
    struct plan plan = plan_with(caches);
    plan.n_caches = 4;
    assert_int_equal(plan_kv_bytes_per_token(&plan, 16), 2 * (24 + 16 + 576));
    /* of 8 bits a scale of two bytes for every 32 numbers of a key or value, or what is left of them */
    assert_int_equal(plan_kv_bytes_per_token(&plan, 8), 24 + 4 * 2 + 16 + 2 * 2 + 576 + 18 * 2);
    assert_int_equal(plan_kv_vector_bytes(33, 8), 33 + 2 * 2);
    assert_int_equal(plan_kv_vector_bytes(33, 32), 33 * 4);
    struct plan_op op = {.kind = PLAN_KV_STORE};
    struct plan_step step = {.n_tokens = 5, .n_outputs = 1, .n_sequences = 1, .kv_bits = 32};
    op.kv_store.cache = 2; /* a latent's values are part of its keys */
    assert_true(plan_op_cost(&plan, &op, &step).kv_write_bytes == 5 * 4 * 576);
    op.kv_store.cache = 0;
    assert_true(plan_op_cost(&plan, &op, &step).kv_write_bytes == 5 * 4 * 24);
}

static void test_experts(void **state)
{
    (void)state;
    uint8_t byte = 0;
    struct weight in = {
        .type = SCALAR_BF16, .n_experts = 8, .rows = 16, .cols = 32, .row_bytes = 64, .data = &byte};
    struct weight out = {
        .type = SCALAR_BF16, .n_experts = 8, .rows = 32, .cols = 16, .row_bytes = 32, .data = &byte};
    struct plan plan = plan_with(NULL);
    struct plan_op op = {.kind = PLAN_EXPERTS};
    op.experts.gate = op.experts.up = &in;
    op.experts.down = &out;
    op.experts.n_active = 2;
    double expert_bytes = 3 * 16 * 32 * 2;
    struct plan_step step = {.n_tokens = 1, .n_sequences = 1, .kv_bits = 16};
    struct plan_cost cost = plan_op_cost(&plan, &op, &step);
    assert_true(fabs(cost.weight_bytes - 2 * expert_bytes) < 1e-6); /* one row: exactly the active ones */
    assert_true(cost.flops >= 2 * 2.0 * 3 * 16 * 32 && cost.flops < 1.1 * 2 * 2.0 * 3 * 16 * 32);
    step.n_tokens = 2; /* the second row finds each expert new with probability 3/4 */
    assert_true(fabs(plan_op_cost(&plan, &op, &step).weight_bytes - 3.5 * expert_bytes) < 1e-6);
    step.n_tokens = 10000;
    assert_true(fabs(plan_op_cost(&plan, &op, &step).weight_bytes - 8 * expert_bytes) < 1e-6);
    step.n_tokens = 0;
    assert_true(plan_op_cost(&plan, &op, &step).weight_bytes == 0);
}

static void test_linear_and_embed(void **state)
{
    (void)state;
    uint8_t byte = 0;
    float bias[10] = {0};
    struct weight weight = {.format = WEIGHT_AFFINE,
                            .type = SCALAR_BF16,
                            .bits = 4,
                            .group_size = 32,
                            .n_experts = 1,
                            .rows = 10,
                            .cols = 64,
                            .row_bytes = 32,
                            .data = &byte};
    struct plan plan = plan_with(NULL);
    struct plan_op op = {.kind = PLAN_LINEAR, .out = {.slot = 1}};
    op.linear.weight = &weight;
    op.linear.bias = bias;
    struct plan_step step = {.n_tokens = 100, .n_outputs = 3, .n_sequences = 1, .kv_bits = 16};
    struct plan_cost cost = plan_op_cost(&plan, &op, &step);
    assert_true(cost.weight_bytes == 10 * (32 + 8) + 40 && cost.flops == 3 * (2 * 640 + 10));
    step.n_outputs = 0;
    assert_true(plan_op_cost(&plan, &op, &step).weight_bytes == 0);
    struct plan_op embed = {.kind = PLAN_EMBED};
    embed.embed.weight = &weight;
    embed.embed.scale = 1;
    assert_true(plan_op_cost(&plan, &embed, &step).weight_bytes == 100 * 40);
}

static void test_weight_bytes_once(void **state)
{
    (void)state;
    uint8_t byte = 0;
    float norm[64] = {0};
    struct weight weight = {
        .type = SCALAR_F16, .n_experts = 1, .rows = 10, .cols = 64, .row_bytes = 128, .data = &byte};
    struct plan_op ops[] = {
        {.kind = PLAN_EMBED}, {.kind = PLAN_NORM, .in = {.width = 64}}, {.kind = PLAN_LINEAR}};
    ops[0].embed.weight = ops[2].linear.weight = &weight;
    ops[1].norm.weight = norm;
    ops[1].norm.n_groups = 1;
    struct plan plan = {.slots = slots, .n_slots = 2, .ops = ops, .n_ops = 3};
    assert_int_equal(plan_weight_bytes(&plan), 1280 + 256);
}

static void test_descriptions(void **state)
{
    (void)state;
    char text[64];
    struct weight weight = {.format = WEIGHT_AFFINE, .bits = 6, .group_size = 128};
    weight_describe(&weight, text, sizeof text);
    assert_string_equal(text, "6-bit affine, group 128");
    weight.format = WEIGHT_DENSE;
    weight.type = SCALAR_F16;
    weight_describe(&weight, text, sizeof text);
    assert_string_equal(text, "f16");
    weight.format = WEIGHT_NVFP4;
    weight_describe(&weight, text, 4);
    assert_string_equal(text, "nvf");
    assert_string_equal(plan_op_kind_name(PLAN_ATTEND), "attend");
    for (int kind = 0; kind < PLAN_OP_KINDS; kind++)
        assert_non_null(plan_op_kind_name((enum plan_op_kind)kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attend),
        cmocka_unit_test(test_caches),
        cmocka_unit_test(test_experts),
        cmocka_unit_test(test_linear_and_embed),
        cmocka_unit_test(test_weight_bytes_once),
        cmocka_unit_test(test_descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
