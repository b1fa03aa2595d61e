/* Reading JSON that may be anything. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "profile/json_get.h"

static json_t *sample(void)
{
    json_t *json = json_loads("{\"a\": {\"b\": [1, 2.5, null, \"x\", {\"c\": -3}], \"t\": true, \"n\": null,"
                              " \"n_reason\": \"because\"}, \"s\": {\"median\": 7, \"mean\": 9}, \"\": 5,"
                              " \"big\": 9007199254740993, \"rows\": [{\"id\": \"p\", \"v\": 1}, 4,"
                              " {\"id\": \"q\", \"v\": 2}, {\"v\": \"no\"}]}",
                              0, NULL);
    assert_non_null(json);
    return json;
}

static void paths_lead_to_values(void **state)
{
    (void)state;
    json_t *json = sample();
    assert_true(json_get_number(json, "a.b.0") == 1);
    assert_true(json_get_number(json, "a.b.1") == 2.5);
    assert_true(json_get_number(json, "a.b.4.c") == -3);
    assert_string_equal(json_get_string(json, "a.b.3"), "x");
    assert_ptr_equal(json_get(json, ""), json);
    assert_true(json_is_null(json_get(json, "a.n")));
    assert_string_equal(json_get_reason(json, "a.n", "-"), "because");
    assert_string_equal(json_get_reason(json, "a.t", "-"), "-");
    assert_true(json_get_bool(json, "a.t", false));
    assert_true(json_get_figure(json, "s") == 7);
    assert_true(json_get_figure(json, "a.b.1") == 2.5);
    json_decref(json);
}

static void what_is_not_there_is_unknown(void **state)
{
    (void)state;
    json_t *json = sample();
    static const char *const nothing[] = {
        "b",       "a.b.5",   "a.b.-1", "a.b.1x",  "a.b.99999999999999999999",
        "a.b.",    ".a",      "a..b",   "a.b.0.c", "a.t.x",
        "a.b.4.d", "a.b.c.d", ".",      "big.0",   "a.b.+1"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        assert_null(json_get(json, nothing[i]));
        assert_true(isnan(json_get_number(json, nothing[i])));
        assert_null(json_get_string(json, nothing[i]));
        assert_int_equal(json_get_count(json, nothing[i]), 0);
    }
    assert_true(isnan(json_get_number(json, "a.t")));   /* true is no number */
    assert_true(isnan(json_get_number(json, "a.b.3"))); /* nor is a text */
    assert_true(isnan(json_get_positive(json, "a.b.4.c")));
    assert_false(json_get_bool(json, "a.b.0", false)); /* 1 is no truth */
    assert_null(json_get_object(json, "a.b"));
    assert_null(json_get_array(json, "a"));
    assert_true(isnan(json_get_number(NULL, "a")));
    assert_string_equal(json_get_text(NULL, "", "none"), "none");
    assert_int_equal(json_get_integer(json, "a.b.1", 0, 10, -7), -7); /* 2.5 */
    assert_int_equal(json_get_integer(json, "big", 0, 10, -7), -7);
    assert_int_equal(json_get_integer(json, "a.b.0", 0, 10, -7), 1);
    json_decref(json);
}

static void arrays_are_walked(void **state)
{
    (void)state;
    json_t *json = sample();
    double out[8];
    assert_int_equal(json_get_numbers(json, "a.b", "", out, 8), 2);
    assert_true(out[1] == 2.5);
    assert_int_equal(json_get_numbers(json, "rows", "v", out, 8), 2);
    assert_int_equal(json_get_numbers(json, "rows", "v", out, 1), 1);
    assert_int_equal(json_get_numbers(json, "a", "v", out, 8), 0);
    assert_true(json_get_number(json_get_where(json, "rows", "id", "q"), "v") == 2);
    assert_null(json_get_where(json, "rows", "id", "z"));
    assert_null(json_get_where(json, "a", "id", "q"));
    assert_null(json_get_item(json_get(json, "rows"), 4));
    json_decref(json);
}

static void long_names_and_depths_end(void **state)
{
    (void)state;
    char path[2000];
    memset(path, 'k', sizeof path - 1);
    path[sizeof path - 1] = 0;
    json_t *json = json_object();
    json_object_set_new(json, path, json_integer(1));
    assert_null(json_get(json, path)); /* longer than a step may be */
    assert_string_equal(json_get_reason(json, path, "-"), "-");
    json_t *deep = json_integer(3);
    for (int i = 0; i < 900; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, deep);
        deep = outer;
    }
    for (size_t i = 0; i < 900; i++) {
        path[2 * i] = '0';
        path[2 * i + 1] = '.';
    }
    path[1799] = 0;
    assert_true(json_get_number(deep, path) == 3);
    json_decref(deep);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_to_values),
        cmocka_unit_test(what_is_not_there_is_unknown),
        cmocka_unit_test(arrays_are_walked),
        cmocka_unit_test(long_names_and_depths_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
