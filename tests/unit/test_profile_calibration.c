/* Calibrations: kept and found again, never taken for another machine's, and hostile files refused. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profile/cache_file.h"
#include "support/calibration_fixture.h"
#include "support/folder.h"

static void json_and_back(void **state)
{
    (void)state;
    struct calibration before, after;
    calibration_fixture(&before);
    json_t *json = calibration_json(&before);
    assert_true(calibration_from_json(json, &after));
    json_decref(json);
    assert_string_equal(before.key, after.key);
    assert_int_equal(before.n_products, after.n_products);
    assert_int_equal(before.n_attention, after.n_attention);
    assert_memory_equal(before.products[3].ns, after.products[3].ns, sizeof before.products[3].ns);
    assert_memory_equal(before.rows_ns, after.rows_ns, sizeof before.rows_ns);
    assert_true(fabs(after.pace.points[1].gbps - 20) < 1e-9);
    assert_true(fabs(after.decode_spread - 0.03) < 1e-9);
}

/* One member is replaced; nothing of it may be accepted. */
static void refused(const char *object_path, const char *member, const char *value)
{
    struct calibration calibration, ignored;
    calibration_fixture(&calibration);
    json_t *json = calibration_json(&calibration), *at = json;
    char path[128];
    snprintf(path, sizeof path, "%s", object_path);
    for (char *part = strtok(path, "."); part; part = strtok(NULL, "."))
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(part)) : json_object_get(at, part);
    assert_non_null(at);
    json_object_set_new(at, member, json_loads(value, JSON_DECODE_ANY, NULL));
    if (calibration_from_json(json, &ignored))
        fail_msg("%s.%s = %s was accepted", object_path, member, value);
    json_decref(json);
}

static void hostile_files_are_refused(void **state)
{
    (void)state;
    struct calibration ignored;
    static const char *const texts[] = {"null", "3", "[]", "{}", "{\"key\": 4}", "{\"products\": [[]]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assert_false(calibration_from_json(json, &ignored));
        json_decref(json);
    }
    assert_false(calibration_from_json(NULL, &ignored));
    refused("", "n_threads", "0");
    refused("", "n_threads", "1e9");
    refused("", "stage_us", "-1");
    refused("", "sample_ns", "\"1\"");
    refused("", "decode_spread", "99");
    refused("", "decode_bias", "null");
    refused("", "products", "[]");
    refused("", "attention", "{}");
    refused("", "rows", "null");
    refused("", "pace", "null");
    refused("products.0", "ns", "[1, 2]");
    refused("products.0", "ns", "[0, 0, 0, 0, 0, 0, 0, 0]");
    refused("products.0", "ns", "[1, 1, 1, 1, 1, 1, 1, 1e300]");
    refused("products.0", "overlap", "0");
    refused("products.0", "format", "\"q4_k\"");
    refused("products.0", "bits", "65");
    refused("attention.0", "decode_ns", "-5");
    refused("attention.0", "kv_bits", "4");
    refused("pace", "read", "[]");
    refused("pace", "read", "[{\"bytes\": 1e9, \"gbps\": 0, \"low\": 1, \"high\": 1}]");
    refused("pace", "int8_gops", "0");
    /* more entries than there is room for */
    struct calibration calibration;
    calibration_fixture(&calibration);
    json_t *json = calibration_json(&calibration), *list = json_object_get(json, "products");
    while (json_array_size(list) <= CALIBRATION_MAX_PRODUCTS)
        json_array_append(list, json_array_get(list, 0));
    assert_false(calibration_from_json(json, &ignored));
    json_decref(json);
}

static void write_text(const char *folder, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/calibration.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void another_machines_is_ignored(void **state)
{
    (void)state;
    char folder[64], reason[240];
    struct calibration calibration, found;
    struct error error = {0};
    folder_make(folder);
    setenv("LLMIND_CACHE_DIR", folder, 1);
    assert_false(calibration_load(NULL, 0, &found, reason, sizeof reason));
    assert_non_null(strstr(reason, "not calibrated yet"));
    assert_non_null(strstr(reason, "llmind system --calibrate"));
    calibration_fixture(&calibration);
    snprintf(calibration.key, sizeof calibration.key, "another processor, 64 threads");
    assert_int_equal(calibration_save(&calibration, &error), 0);
    assert_false(calibration_load(NULL, 0, &found, reason, sizeof reason));
    assert_non_null(strstr(reason, "another machine"));
    calibration_fixture(&calibration);
    assert_int_equal(calibration_save(&calibration, &error), 0);
    assert_true(calibration_load(NULL, 0, &found, reason, sizeof reason));
    assert_false(calibration_load(NULL, 1023, &found, reason, sizeof reason)); /* other threads */
    /* the file is anybody's */
    static const char *const texts[] = {"", "{", "[1]", "{\"entries\": 3}", "{\"entries\": [3, null, {}]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(folder, texts[i]);
        assert_false(calibration_load(NULL, 0, &found, reason, sizeof reason));
    }
    json_t *wrong = json_pack("{s:s}", "key", "is not all");
    assert_int_equal(cache_file_remember("calibration", calibration.key, 1, wrong, &error), 0);
    json_decref(wrong);
    assert_false(calibration_load(NULL, 0, &found, reason, sizeof reason));
    assert_non_null(strstr(reason, "cannot be read"));
    folder_remove(folder);
    setenv("LLMIND_CACHE_DIR", "/proc/no/such/place", 1);
    assert_int_equal(calibration_save(&calibration, &error), ERROR_NOT_FOUND);
}

static void entries_are_found(void **state)
{
    (void)state;
    struct calibration calibration;
    bool exact;
    calibration_fixture(&calibration);
    const struct calibration_product *item =
        calibration_product(&calibration, (struct trial_format){WEIGHT_AFFINE, 4, 64}, &exact);
    assert_true(item && exact && item->format.bits == 4);
    item = calibration_product(&calibration, (struct trial_format){WEIGHT_AFFINE, 4, 128}, &exact);
    assert_true(item && !exact && item->format.group_size == 64);
    assert_null(calibration_product(&calibration, (struct trial_format){WEIGHT_NVFP4, 4, 16}, &exact));
    assert_null(calibration_attention(&calibration, 64, 4, 32));
    assert_int_equal(calibration_attention(&calibration, 128, 7, 8)->kv_bits, 8);
}

/* Through the measured points, between them by logarithms, beyond the last in proportion. */
static void rows_are_interpolated(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_fixture(&calibration);
    const struct calibration_product *item = &calibration.products[0];
    for (int i = 0; i < CALIBRATION_ROWS; i++)
        assert_true(fabs(calibration_product_ns(item, calibration_rows[i]) / item->ns[i] - 1) < 1e-9);
    assert_true(fabs(calibration_product_ns(item, 64) / item->ns[6] - 0.5) < 1e-9);
    assert_true(fabs(calibration_product_ns(item, 1024) / item->ns[7] - 2) < 1e-9);
    double last = 0;
    for (double rows = 1; rows < 3000; rows *= 1.3) {
        double ns = calibration_product_ns(item, rows);
        assert_true(ns >= last);
        last = ns;
    }
}

static void bandwidth_depends_on_the_amount(void **state)
{
    (void)state;
    struct calibration calibration;
    calibration_fixture(&calibration);
    assert_true(fabs(pace_gbps(&calibration.pace, 1e6, 0) - 40) < 1e-9);
    assert_true(fabs(pace_gbps(&calibration.pace, 1e12, 0) - 20) < 1e-9);
    double middle = pace_gbps(&calibration.pace, 90e6, 0);
    assert_true(middle > 20 && middle < 40);
    assert_true(pace_gbps(&calibration.pace, 1e12, -1) < 20 && pace_gbps(&calibration.pace, 1e12, 1) > 20);
    assert_true(isnan(pace_gbps(&(struct pace){0}, 1e6, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_and_back),
        cmocka_unit_test(hostile_files_are_refused),
        cmocka_unit_test(another_machines_is_ignored),
        cmocka_unit_test(entries_are_found),
        cmocka_unit_test(rows_are_interpolated),
        cmocka_unit_test(bandwidth_depends_on_the_amount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
