/* The guide: its content, its search, the chips it knows, and the models it computes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "profile/estimate.h"
#include "profile/guide.h"
#include "profile/guide_apple.h"
#include "profile/json_get.h"

static json_t *ceilings_of(double gbps)
{
    return json_pack("{s:{s:f, s:s}}", "memory_read", "value", gbps, "unit", "GB/s");
}

static json_t *read_guide(const char *topic, const json_t *ceilings)
{
    struct error error = {0};
    json_t *guide;
    if (guide_read(topic, ceilings, &guide, &error))
        fail_msg("%s", error.message);
    return guide;
}

/* Every item has what a reader needs. */
static void check_items(const json_t *categories, const char *const *members, size_t n)
{
    const char *name;
    json_t *items;
    size_t i, k;
    json_t *item;
    assert_true(json_object_size(categories) >= 3);
    json_object_foreach((json_t *)(uintptr_t)categories, name, items) {
        assert_true(json_array_size(items) >= 2);
        json_array_foreach(items, i, item)
            for (k = 0; k < n; k++)
                if (!json_get_string(item, members[k]) || !*json_get_string(item, members[k]))
                    fail_msg("%s, item %zu: no %s", name, i, members[k]);
    }
}

static void guide_is_whole(void **state)
{
    (void)state;
    json_t *guide = read_guide(NULL, NULL);
    check_items(json_get(guide, "optimization_techniques"), (const char *[]){"title", "text"}, 2);
    check_items(json_get(guide, "mlx_flags"), (const char *[]){"name", "default", "text", "where"}, 4);
    check_items(json_get(guide, "llmind_flags"), (const char *[]){"name", "default", "text", "where"}, 4);
    static const char *const categories[] = {"memory", "computation", "model", "hardware"};
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        assert_true(json_get_count(json_get(guide, "optimization_techniques"), categories[i]) >= 4);
    assert_true(json_get_count(guide, "hardware_config") >= 18 + 4);
    assert_true(strlen(json_get_text(guide, "hardware_profile", "")) > 5);
    assert_true(json_get_positive(guide, "system_info.cores_online") >= 1);
    /* nothing was measured: no speeds, and a reason */
    assert_non_null(json_get_string(guide, "model_recommendations_reason"));
    json_decref(guide);
}

/* What the guide says of Apple's chips is what the table says. */
static void guide_and_chip_table_agree(void **state)
{
    (void)state;
    json_t *guide = read_guide(NULL, NULL);
    size_t found = 0;
    for (size_t i = 0; i < json_get_count(guide, "hardware_config"); i++) {
        const json_t *entry = json_get_item(json_get(guide, "hardware_config"), i);
        if (!json_get_is(entry, "class", "apple"))
            continue;
        const struct apple_chip *chip = apple_chip_find(json_get_text(entry, "name", ""));
        assert_non_null(chip);
        found++;
        size_t n = json_get_count(entry, "rated_gbps");
        assert_int_equal(n, chip->rated_gbps[0] == chip->rated_gbps[1] ? 1 : 2);
        assert_int_equal(json_get_integer(entry, "rated_gbps.0", 0, 9999, 0), chip->rated_gbps[0]);
        assert_int_equal(json_get_integer(entry, n == 2 ? "rated_gbps.1" : "rated_gbps.0", 0, 9999, 0),
                         chip->rated_gbps[1]);
        assert_int_equal(json_get_integer(entry, "gpu_cores.1", 0, 999, 0), chip->gpu_cores[1]);
        assert_int_equal(json_get_integer(entry, "max_memory_gb", 0, 9999, 0), chip->max_memory_gb);
    }
    assert_int_equal(found, apple_chip_count());
    json_decref(guide);
}

static void topics_narrow_it(void **state)
{
    (void)state;
    json_t *guide = read_guide("QUANTIZATION", NULL); /* the name of a category: all of it */
    const json_t *mlx = json_get(guide, "mlx_flags");
    assert_true(json_get_count(mlx, "quantization") >= 8);
    assert_int_equal(json_get_count(mlx, "server"), 0);
    json_decref(guide);
    guide = read_guide("--draft-model", NULL); /* a flag */
    assert_int_equal(json_object_size(json_get(guide, "llmind_flags")), 0);
    assert_int_equal(json_get_count(json_get(guide, "mlx_flags"), "generation"), 1);
    assert_int_equal(json_get_count(guide, "hardware_config"), 0);
    json_decref(guide);
    guide = read_guide("M3 Max", NULL);
    assert_int_equal(json_get_count(guide, "hardware_config"), 1);
    json_decref(guide);
    struct error error = {0};
    assert_int_equal(guide_read("zeppelin", NULL, &guide, &error), ERROR_NOT_FOUND);
    assert_null(guide);
    assert_non_null(strstr(error.message, "memory, computation, model, hardware"));
    char endless[400];
    memset(endless, 'k', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_int_equal(guide_read(endless, NULL, &guide, &error), ERROR_INVALID);
    guide = read_guide("", NULL);
    assert_true(json_get_count(guide, "hardware_config") > 10);
    json_decref(guide);
}

static void apple_chips_are_recognised(void **state)
{
    (void)state;
    char text[96];
    const struct apple_chip *chip = apple_chip_find("Apple M2 Max");
    apple_chip_describe(chip, 38, text, sizeof text);
    assert_string_equal(text, "Apple M2 Max (38 GPU cores, 400 GB/s rated)");
    chip = apple_chip_find("Apple M3 Max");
    assert_int_equal(apple_chip_gbps(chip, 30), 300);
    assert_int_equal(apple_chip_gbps(chip, 40), 400);
    assert_int_equal(apple_chip_gbps(chip, 0), 300); /* not known: the smaller */
    apple_chip_describe(chip, 0, text, sizeof text);
    assert_string_equal(text, "Apple M3 Max (300 or 400 GB/s rated)");
    chip = apple_chip_find("Apple M1");
    apple_chip_describe(chip, 0, text, sizeof text);
    assert_string_equal(text, "Apple M1 (68 GB/s rated)");
    assert_int_equal(apple_chip_gbps(apple_chip_find("Apple M4 Max"), 40), 546);
    assert_int_equal(apple_chip_gbps(apple_chip_find("Apple M4 Max"), 32), 410);
    assert_int_equal(apple_chip_gbps(apple_chip_find("Apple M5 Max"), 40), 614);
    assert_int_equal(apple_chip_gbps(apple_chip_find("Apple M3 Ultra"), 60), 819);
    static const char *const others[] = {"Apple M4 Ultra", "Apple M99", "Apple M",          "Apple A17 Pro",
                                         "Intel Core i9",  "Apple M1x", "Apple M2 Maximum", ""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(apple_chip_find(others[i]));
    assert_null(apple_chip_find(NULL));
    apple_chip_describe(chip, 8, text, 8); /* no room */
    assert_string_equal(text, "Apple M");
}

/* What the program measured once on two Zen 4 cores lies inside: Llama-3.1-8B, 4 bits, 29.2 GB/s, 6.0 tok/s.
 */
static void estimate_contains_a_measurement(void **state)
{
    (void)state;
    json_t *ceilings = ceilings_of(29.25), *list = estimate_models(ceilings, false, 64000000000u);
    const json_t *model = json_get_where(list, "", "model", "mlx-community/Llama-3.1-8B-Instruct-4bit");
    assert_non_null(model);
    assert_true(json_get_number(model, "decode_tokens_per_second.low") < 6.0);
    assert_true(json_get_number(model, "decode_tokens_per_second.high") > 6.0);
    assert_true(fabs(json_get_number(model, "weight_bytes") / 4.517e9 - 1) <
                0.01); /* the folder's own account */
    json_decref(list);
    json_decref(ceilings);
}

static double width_of(const json_t *ceilings)
{
    json_t *list = estimate_models(ceilings, false, 64000000000u);
    double width = json_get_number(list, "0.decode_tokens_per_second.high") /
                   json_get_number(list, "0.decode_tokens_per_second.low");
    json_decref(list);
    return width;
}

/* A shared machine: five passes between 15 and 48 GB/s. */
static void a_swinging_bandwidth_widens_the_interval(void **state)
{
    (void)state;
    json_t *swinging = json_pack("{s:{s:f, s:[f, f, f, f, f]}}", "memory_read", "value", 48.0, "samples",
                                 27.0, 48.0, 15.0, 24.0, 34.0);
    json_t *steady = ceilings_of(27);
    assert_true(width_of(swinging) > 1.5 * width_of(steady));
    json_decref(swinging);
    json_decref(steady);
}

static void only_what_fits_is_recommended(void **state)
{
    (void)state;
    json_t *ceilings = ceilings_of(100);
    json_t *list = estimate_models(ceilings, false, 16000000000u);
    assert_true(json_array_size(list) >= 8);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *model = json_get_item(list, i);
        double bytes = json_get_number(model, "bytes"),
               mid = json_get_number(model, "decode_tokens_per_second.mid");
        assert_true(bytes > 0 && bytes <= 0.85 * 16e9);
        assert_true(mid > 0);
        assert_true(json_get_number(model, "decode_tokens_per_second.low") < mid);
        assert_non_null(strstr(json_get_text(model, "performance", ""), "tok/s ("));
        assert_non_null(json_get_string(model, "use_case"));
    }
    assert_true(json_get_is(list, "0.model", "mlx-community/Qwen3-14B-4bit")); /* the largest first */
    json_decref(list);
    /* dense 32 B are slower than one reads at 25 GB/s, a mixture of experts is not */
    json_decref(ceilings);
    ceilings = ceilings_of(25);
    list = estimate_models(ceilings, false, 64000000000u);
    assert_true(json_get_is(list, "0.model", "mlx-community/Qwen3-30B-A3B-8bit"));
    const json_t *slow = json_get_where(list, "", "model", "mlx-community/Qwen3-32B-4bit");
    assert_non_null(strstr(json_get_text(slow, "use_case", ""), "slower than one reads"));
    json_decref(list);
    json_decref(ceilings);
    list = estimate_models(NULL, false, 64000000000u); /* not measured */
    assert_true(json_is_null(json_get(list, "0.performance")));
    assert_non_null(json_get_string(list, "0.performance_reason"));
    json_decref(list);
    list = estimate_models(NULL, false, 0);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    json_t *hostile = json_pack("{s:s}", "memory_read", "fast");
    list = estimate_models(hostile, false, UINT64_MAX);
    assert_int_equal(json_array_size(list), 2 * estimate_shape_count());
    json_decref(list);
    json_decref(hostile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guide_is_whole),
        cmocka_unit_test(guide_and_chip_table_agree),
        cmocka_unit_test(topics_narrow_it),
        cmocka_unit_test(apple_chips_are_recognised),
        cmocka_unit_test(estimate_contains_a_measurement),
        cmocka_unit_test(a_swinging_bandwidth_widens_the_interval),
        cmocka_unit_test(only_what_fits_is_recommended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
