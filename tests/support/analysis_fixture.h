/* Reports of tests/data/reports, changed in one place and analysed: what tests of the analysis share. Every
 * function fails the test when it cannot do what it says. Included after cmocka.h. */
#ifndef LLMIND_TESTS_ANALYSIS_FIXTURE_H
#define LLMIND_TESTS_ANALYSIS_FIXTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/analysis.h"
#include "profile/json_get.h"
#include "support/report_fixture.h"

static inline json_t *load(const char *name)
{
    json_t *report = report_fixture(name);
    assert_non_null(report);
    return report;
}

/* Puts a value at a path of the report; the last step may be new. */
static inline void put(json_t *report, const char *path, const char *text)
{
    char parent[256];
    const char *last = strrchr(path, '.');
    snprintf(parent, sizeof parent, "%.*s", last ? (int)(last - path) : 0, path);
    last = last ? last + 1 : path;
    json_t *where = (json_t *)(uintptr_t)json_get(report, parent);
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    if (json_is_array(where))
        assert_int_equal(json_array_set_new(where, (size_t)atoi(last), value), 0);
    else
        assert_int_equal(json_object_set_new(where, last, value), 0);
}

static inline const json_t *analyse(json_t *report)
{
    struct error error = {0};
    assert_int_equal(analysis_add(report, &error), 0);
    return json_get_object(report, "analysis");
}

static inline const json_t *bottleneck(const json_t *analysis, const char *id)
{
    return json_get_where(analysis, "bottlenecks", "id", id);
}

/* Whether a text of an array of strings holds this part. */
static inline bool says(const json_t *array, const char *part)
{
    for (size_t i = 0; i < json_get_count(array, ""); i++)
        if (strstr(json_get_text(json_get_item(array, i), "", ""), part))
            return true;
    return false;
}

/* Places in healthy.json; the series are cpu_busy, process_cores, steal, throttled_fraction, cpu_mhz,
 * cpu_temperature_c, major_faults_per_s, swap_in_bytes_per_s. */
#define SERIES "sensors.series."
#define DECODE "tests.3."
#define DEEP "tests.4."

struct sign {
    const char *path, *value; /* NULL: no more */
};

/* A number for "values" stands for as many of them as there are times. */
static inline void put_sign(json_t *report, const struct sign *sign)
{
    size_t length = strlen(sign->path);
    if (length < 7 || strcmp(sign->path + length - 7, ".values") != 0 || strcmp(sign->value, "null") == 0) {
        put(report, sign->path, sign->value);
        return;
    }
    json_t *values = (json_t *)(uintptr_t)json_get(report, sign->path);
    for (size_t i = 0; i < json_array_size(values); i++)
        json_array_set_new(values, i, json_real(atof(sign->value)));
}

/* Fills the values of a series from one index on. */
static inline void put_from(json_t *report, const char *path, size_t first, double value)
{
    json_t *values = (json_t *)(uintptr_t)json_get(report, path);
    for (size_t i = first; i < json_array_size(values); i++)
        json_array_set_new(values, i, json_real(value));
}

static inline const json_t *advice(const json_t *analysis, const char *id)
{
    return json_get_where(analysis, "recommendations", "id", id);
}

#endif
