/* Arena and checked arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/checked.h"

static void blocks_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    enum { BLOCKS = 500 };
    struct arena arena;
    arena_init(&arena);
    unsigned char *block[BLOCKS];
    size_t size[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        size[i] = 1 + i * i % 3001; /* some cross the size of an arena block together */
        block[i] = arena_alloc(&arena, size[i], 1);
        assert_non_null(block[i]);
        assert_int_equal((uintptr_t)block[i] % 64, 0);
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(block[i][k], 0);
        memset(block[i], (int)(i % 251) + 1, size[i]);
    }
    for (size_t i = 0; i < BLOCKS; i++) /* nobody wrote into anybody else, and nothing moved */
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(block[i][k], i % 251 + 1);
    arena_free(&arena);
    assert_int_equal(arena.used_bytes, 0);
    arena_free(&arena); /* legal again */
}

static void large_and_empty_blocks(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    unsigned char *large = arena_alloc(&arena, 3, 1 << 20);
    assert_non_null(large);
    large[(3 << 20) - 1] = 1;
    assert_non_null(arena_alloc(&arena, 0, 8));
    assert_non_null(arena_alloc(&arena, 1, 1));
    assert_true(arena.used_bytes >= (3 << 20) + 1);
    arena_free(&arena);
}

static void overflow_is_no_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_null(arena_alloc(&arena, SIZE_MAX, 2));
    assert_null(arena_alloc(&arena, SIZE_MAX / 2 + 1, 2));
    assert_null(arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(arena_alloc(&arena, SIZE_MAX - 64, 1));
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 1, 1)); /* it survives its refusals */
    arena_free(&arena);
}

static void strings_are_copied(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char original[] = "layers.3.mlp";
    char *copy = arena_strdup(&arena, original);
    original[0] = 'X';
    assert_string_equal(copy, "layers.3.mlp");
    assert_string_equal(arena_printf(&arena, "%s.%d", "layers", 31), "layers.31");
    assert_string_equal(arena_printf(&arena, "%s", ""), "");
    arena_free(&arena);
}

static void checked_arithmetic_says_when_it_overflows(void **state)
{
    (void)state;
    size_t r;
    uint64_t r64;
    assert_true(checked_add(SIZE_MAX - 1, 1, &r));
    assert_true(r == SIZE_MAX);
    assert_false(checked_add(SIZE_MAX, 1, &r));
    assert_true(checked_mul(SIZE_MAX / 3, 3, &r));
    assert_true(r == SIZE_MAX / 3 * 3);
    assert_false(checked_mul(SIZE_MAX / 3 + 1, 3, &r));
    assert_true(checked_mul(0, SIZE_MAX, &r));
    assert_true(r == 0);
    assert_true(checked_mul_u64(UINT32_MAX, UINT32_MAX, &r64));
    assert_false(checked_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &r64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_aligned_and_apart),
        cmocka_unit_test(large_and_empty_blocks),
        cmocka_unit_test(overflow_is_no_memory),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(checked_arithmetic_says_when_it_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
