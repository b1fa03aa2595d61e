/* What must hold before a report from anywhere is stored: later readers (lists, trends, differences,
 * renderers) treat what is missing as unknown, so only what a report is recognised and listed by has to be
 * there, with the right type; and nobody may fill the database with one report. */
#include <math.h>
#include <string.h>

#include "profile/json_get.h"
#include "profile/render.h"
#include "profile/request.h"

enum {
    MAX_DEPTH = 32,
    MAX_VALUES = 2000000,
    MAX_TESTS = 1000,
    MAX_STRING = 1 << 20 /* bytes */
};

struct budget {
    size_t values;
    const char *problem;
};

/* Depth, number of values and lengths of strings; recursion is bounded by MAX_DEPTH. */
static bool measure(const json_t *value, int depth, struct budget *budget)
{
    if (depth > MAX_DEPTH) {
        budget->problem = "it is nested more than 32 deep";
        return false;
    }
    if (++budget->values > MAX_VALUES) {
        budget->problem = "it holds more than 2 million values";
        return false;
    }
    if (json_string_length(value) > MAX_STRING) {
        budget->problem = "a text in it is longer than 1 MiB";
        return false;
    }
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            if (!measure(json_array_get(value, i), depth + 1, budget))
                return false;
    } else if (json_is_object(value)) {
        const char *key;
        json_t *item;
        json_object_foreach((json_t *)value, key, item) {
            if (!measure(item, depth + 1, budget))
                return false;
        }
    }
    return true;
}

static int wrong(struct error *error, const char *member, const char *what)
{
    return error_set(error, ERROR_INVALID, "%s: %s", member, what);
}

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static int check_words(const json_t *report, struct error *error)
{
    static const char *const kinds[] = {"profile", "compare", "prove", NULL};
    static const char *const statuses[] = {"success", "cancelled", "failed", "interrupted", NULL};
    static const char *const modes[] = {"quick", "full", NULL};
    static const struct {
        const char *member;
        const char *const *words;
        const char *what;
    } members[] = {{"kind", kinds, "must be \"profile\", \"compare\" or \"prove\""},
                   {"status", statuses, "must be \"success\", \"cancelled\", \"failed\" or \"interrupted\""},
                   {"mode", modes, "must be \"quick\" or \"full\""}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!one_of(json_get_text(report, members[i].member, ""), members[i].words))
            return wrong(error, members[i].member, members[i].what);
    return 0;
}

/* RFC 3339, UTC, as we write it: lists sort by it. */
static bool is_time(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00Z";
    if (!text || strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return true;
}

/* Every member: required ones are of the type, others of the type or null or absent. */
static int check_types(const json_t *report, struct error *error)
{
    static const struct {
        const char *member;
        json_type type;
        bool required;
    } members[] = {
        {"tool", JSON_OBJECT, true},        {"machine", JSON_OBJECT, true},
        {"protocol", JSON_OBJECT, true},    {"host", JSON_OBJECT, true},
        {"summary", JSON_OBJECT, true},     {"tests", JSON_ARRAY, true},
        {"model", JSON_OBJECT, false},      {"flags", JSON_OBJECT, false},
        {"memory", JSON_OBJECT, false},     {"ceilings", JSON_OBJECT, false},
        {"sensors", JSON_OBJECT, false},    {"configurations", JSON_ARRAY, false},
        {"traces", JSON_ARRAY, false},      {"analysis", JSON_OBJECT, false},
        {"comparison", JSON_OBJECT, false}, {"target", JSON_OBJECT, false},
        {"notes", JSON_ARRAY, false},       {"message", JSON_STRING, false},
        {"run_id", JSON_STRING, false},     {"predicted", JSON_OBJECT, false},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const json_t *value = json_get(report, members[i].member);
        if (!value && members[i].required)
            return wrong(error, members[i].member, "is missing");
        bool absent = !members[i].required && (!value || json_is_null(value));
        if (!absent && json_typeof(value) != members[i].type)
            return wrong(error, members[i].member,
                         members[i].type == JSON_OBJECT  ? "must be an object"
                         : members[i].type == JSON_ARRAY ? "must be an array"
                                                         : "must be a string");
    }
    return 0;
}

static int check_tests(const json_t *report, struct error *error)
{
    const json_t *tests = json_get(report, "tests");
    if (json_array_size(tests) > MAX_TESTS)
        return wrong(error, "tests", "at most 1000 are allowed");
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        char name[64];
        snprintf(name, sizeof name, "tests[%zu]", i);
        if (!json_is_object(test))
            return wrong(error, name, "must be an object");
        if (!json_get_string(test, "id"))
            return wrong(error, name, "id must be a string");
        if (!json_get_array(test, "samples"))
            return wrong(error, name, "samples must be an array");
    }
    return 0;
}

int report_check(const json_t *report, struct error *error)
{
    struct budget budget = {0};
    if (!json_is_object(report))
        return error_set(error, ERROR_INVALID, "a report must be a JSON object");
    if (!json_get_is(report, "schema", "llmind.report/1"))
        return wrong(error, "schema", "must be \"llmind.report/1\": no other version is known here");
    if (!measure(report, 0, &budget))
        return error_set(error, ERROR_INVALID, "the report is too large: %s", budget.problem);
    int rc = check_words(report, error);
    rc = rc ? rc : check_types(report, error);
    rc = rc ? rc : check_tests(report, error);
    if (rc)
        return rc;
    if (!is_time(json_get_string(report, "created")))
        return wrong(error, "created", "must be a time such as 2026-11-23T12:41:07Z");
    if (isnan(json_get_positive(report, "duration_s")))
        return wrong(error, "duration_s", "must be a number that is not negative");
    bool compare = json_get_is(report, "kind", "compare");
    const char *name = json_get_string(report, "model.name");
    if (!compare && (!name || !*name))
        return wrong(error, "model.name", "must be a text that is not empty");
    if (!compare && strlen(name) > REQUEST_MAX_NAME_BYTES)
        return error_set(error, ERROR_INVALID, "model.name: %zu bytes are too long (at most %d)",
                         strlen(name), REQUEST_MAX_NAME_BYTES);
    if (compare && !json_get_array(report, "comparison.models"))
        return wrong(error, "comparison.models", "must be an array");
    return 0;
}
