/* The fingerprint of a plan: the same for the same plan wherever it lies, another for whatever changes what
 * is computed. */
#include "support/hand_plan.h"

#include "plan/fingerprint.h"

/* Plans are const for their readers only. */
static struct plan_op *op_of(const struct plan *plan, enum plan_op_kind kind)
{
    for (uint32_t i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].kind == kind)
            return (struct plan_op *)(uintptr_t)&plan->ops[i];
    fail_msg("the plan has no %s", plan_op_kind_name(kind));
    return NULL;
}

static struct weight *weight_of(const struct plan *plan)
{
    return (struct weight *)(uintptr_t)op_of(plan, PLAN_LINEAR)->linear.weight;
}

static void flip(const void *byte)
{
    *(uint8_t *)(uintptr_t)byte ^= 1;
}

static void flip_first_code(struct plan *plan)
{
    flip(weight_of(plan)->data);
}

static void flip_last_code(struct plan *plan)
{
    const struct weight *weight = weight_of(plan);
    flip(weight->data + weight->rows * weight->row_bytes - 1);
}

static void flip_last_scale(struct plan *plan)
{
    const struct weight *weight = weight_of(plan);
    flip(weight->scales + (size_t)weight->rows * (weight->cols / weight->group_size) * 2 - 1);
}

static void flip_last_bias(struct plan *plan)
{
    const struct weight *weight = weight_of(plan);
    flip(weight->biases + (size_t)weight->rows * (weight->cols / weight->group_size) * 2 - 1);
}

static void flip_last_expert(struct plan *plan)
{
    const struct weight *down = op_of(plan, PLAN_EXPERTS)->experts.down;
    flip(down->data + (size_t)down->n_experts * down->rows * down->row_bytes - 1);
}

static void flip_norm(struct plan *plan)
{
    flip(op_of(plan, PLAN_NORM)->norm.weight + HAND_HIDDEN - 1);
}

static void flip_frequency(struct plan *plan)
{
    flip(op_of(plan, PLAN_ROPE)->rope.rope->inv_freq + HAND_DIM / 2 - 1);
}

static void drop_bias(struct plan *plan)
{
    op_of(plan, PLAN_LINEAR)->linear.bias = NULL;
}

static void change_eps(struct plan *plan)
{
    op_of(plan, PLAN_NORM)->norm.eps *= 2;
}

static void change_scale(struct plan *plan)
{
    op_of(plan, PLAN_ATTEND)->attend.scale *= 2;
}

static void change_precision(struct plan *plan)
{
    op_of(plan, PLAN_LINEAR)->precision = PRECISION_F32;
}

static void change_active(struct plan *plan)
{
    op_of(plan, PLAN_EXPERTS)->experts.n_active--;
}

static void change_window(struct plan *plan)
{
    ((struct plan_cache *)(uintptr_t)plan->caches)[1].window++;
}

static void change_bits(struct plan *plan)
{
    weight_of(plan)->bits--;
}

static void drop_op(struct plan *plan)
{
    plan->n_ops--;
}

static void rename_all(struct plan *plan)
{
    op_of(plan, PLAN_LINEAR)->name = "another name";
    weight_of(plan)->name = "another name";
    plan->family = "another family";
}

static uint64_t fingerprint_of(void (*change)(struct plan *plan))
{
    struct arena arena;
    struct hand_builder builder = {0};
    arena_init(&arena);
    const struct plan *plan = hand_plan(&arena, &builder);
    if (change)
        change(&builder.plan.plan);
    uint64_t fingerprint = plan_fingerprint(plan);
    arena_free(&arena);
    return fingerprint;
}

static void test_same_plan(void **state)
{
    (void)state;
    assert_true(fingerprint_of(NULL) == fingerprint_of(NULL));
    assert_true(fingerprint_of(rename_all) == fingerprint_of(NULL));
}

static void test_any_change(void **state)
{
    (void)state;
    static void (*const changes[])(struct plan * plan) = {
        flip_first_code, flip_last_code, flip_last_scale, flip_last_bias,   flip_last_expert,
        flip_norm,       flip_frequency, drop_bias,       change_eps,       change_scale,
        change_active,   change_window,  change_bits,     change_precision, drop_op};
    enum { N = sizeof changes / sizeof *changes };
    uint64_t seen[N + 1] = {fingerprint_of(NULL)};
    for (size_t i = 0; i < N; i++) {
        seen[i + 1] = fingerprint_of(changes[i]);
        for (size_t j = 0; j <= i; j++)
            if (seen[i + 1] == seen[j])
                fail_msg("change %zu has the fingerprint of %zu", i, j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_plan), cmocka_unit_test(test_any_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
