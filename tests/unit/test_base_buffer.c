#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static void appends_and_terminates(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_text(&buffer, "a");
    buffer_append(&buffer, "b\0c", 3);
    buffer_format(&buffer, "%d%s", 42, "");
    assert_int_equal(buffer.length, 6);
    assert_memory_equal(buffer.data, "ab\0c42", 7);
    buffer_append(&buffer, NULL, 0);
    assert_int_equal(buffer.length, 6);
    buffer_free(&buffer);
    assert_null(buffer.data);
}

static void grows_to_what_is_needed(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    char *large = malloc(100000);
    memset(large, 'x', 100000);
    for (int i = 0; i < 20; i++)
        buffer_append(&buffer, large, 100000);
    assert_false(buffer.failed);
    assert_int_equal(buffer.length, 2000000);
    assert_int_equal(strlen(buffer.data), 2000000);
    free(large);
    buffer_free(&buffer);
}

static void drops_from_the_front(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_text(&buffer, "0123456789");
    buffer_drop(&buffer, 4);
    assert_string_equal(buffer.data, "456789");
    buffer_drop(&buffer, 0);
    assert_string_equal(buffer.data, "456789");
    buffer_drop(&buffer, 100);
    assert_int_equal(buffer.length, 0);
    assert_string_equal(buffer.data, "");
    buffer_free(&buffer);
}

/* A size that cannot be is remembered, and what comes after it does nothing. */
static void remembers_failure(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_text(&buffer, "kept");
    buffer_append(&buffer, "", SIZE_MAX - 2);
    assert_true(buffer.failed);
    buffer_text(&buffer, "more");
    buffer_format(&buffer, "%s", "more");
    assert_int_equal(buffer.length, 4);
    assert_string_equal(buffer.data, "kept");
    buffer_clear(&buffer);
    assert_false(buffer.failed);
    buffer_text(&buffer, "again");
    assert_string_equal(buffer.data, "again");
    buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_terminates),
        cmocka_unit_test(grows_to_what_is_needed),
        cmocka_unit_test(drops_from_the_front),
        cmocka_unit_test(remembers_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
