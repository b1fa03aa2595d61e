#include "model/json_file.h"

#include <math.h>
#include <stdlib.h>

#include "platform/file.h"

/* Counts what will become values, without parsing: every container and every comma outside strings. Malformed
 * text may be counted wrongly; the parser refuses it anyway. */
static int check_size(const char *text, size_t length, const char *where, struct error *error)
{
    size_t values = 0;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"')
            in_string = true;
        else if (c == '{' || c == '[')
            depth++, values++;
        else if (c == '}' || c == ']')
            depth--;
        else if (c == ',')
            values++;
        if (depth > JSON_MAX_DEPTH)
            return error_set(error, ERROR_LIMIT, "%s: JSON is nested deeper than %d levels", where,
                             JSON_MAX_DEPTH);
        if (values > JSON_MAX_VALUES)
            return error_set(error, ERROR_LIMIT, "%s: JSON has more than %d values", where, JSON_MAX_VALUES);
    }
    return 0;
}

int json_text_parse(const char *text, size_t length, const char *where, json_t **out, struct error *error)
{
    int status = check_size(text, length, where, error);
    if (status)
        return status;
    json_error_t problem;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (!json && json_error_code(&problem) == json_error_out_of_memory)
        return error_memory(error, where, length);
    if (!json)
        return error_set(error, ERROR_INVALID, "%s is not valid JSON: line %d, column %d: %s", where,
                         problem.line, problem.column, problem.text);
    if (!json_is_object(json)) {
        json_decref(json);
        return error_set(error, ERROR_INVALID, "%s: must be a JSON object", where);
    }
    *out = json;
    return 0;
}

int json_file_read(const char *folder, const char *name, json_t **out, struct error *error)
{
    char path[4096];
    int status = file_join(path, sizeof path, folder, name, error);
    if (status)
        return status;
    char *text = NULL;
    size_t length = 0;
    status = file_read(path, JSON_FILE_MAX_BYTES, &text, &length, error);
    if (status == 0)
        status = json_text_parse(text, length, name, out, error);
    free(text);
    return status;
}

void json_fields_fail(struct json_fields *fields, int code, const char *key, const char *what)
{
    if (fields->status == 0)
        fields->status = error_set(fields->error, code, "%s: %s %s", fields->where, key, what);
}

const json_t *json_fields_get(const struct json_fields *fields, const char *key)
{
    const json_t *value = fields->object ? json_object_get(fields->object, key) : NULL;
    return value && !json_is_null(value) ? value : NULL;
}

uint32_t json_fields_count(struct json_fields *fields, const char *key, uint32_t fallback, uint32_t min,
                           uint32_t max)
{
    if (fields->status)
        return fallback;
    const json_t *value = json_fields_get(fields, key);
    if (!value) {
        if (fallback == JSON_REQUIRED_COUNT)
            json_fields_fail(fields, ERROR_INVALID, key, "is missing");
        return fallback;
    }
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < (json_int_t)min || number > (json_int_t)max) {
        fields->status =
            error_set(fields->error, ERROR_INVALID, "%s: %s must be a whole number from %u to %u",
                      fields->where, key, min, max);
        return fallback;
    }
    return (uint32_t)number;
}

double json_fields_number(struct json_fields *fields, const char *key, double fallback, double min,
                          double max)
{
    if (fields->status)
        return fallback;
    const json_t *value = json_fields_get(fields, key);
    if (!value) {
        if (fallback == JSON_REQUIRED_NUMBER)
            json_fields_fail(fields, ERROR_INVALID, key, "is missing");
        return fallback;
    }
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(number) || number < min || number > max) {
        fields->status = error_set(fields->error, ERROR_INVALID, "%s: %s must be a number from %g to %g",
                                   fields->where, key, min, max);
        return fallback;
    }
    return number;
}

bool json_fields_bool(struct json_fields *fields, const char *key, bool fallback)
{
    const json_t *value = fields->status ? NULL : json_fields_get(fields, key);
    if (!value)
        return fallback;
    if (!json_is_boolean(value))
        json_fields_fail(fields, ERROR_INVALID, key, "must be true or false");
    return json_is_true(value);
}

const char *json_fields_string(struct json_fields *fields, const char *key, const char *fallback)
{
    const json_t *value = fields->status ? NULL : json_fields_get(fields, key);
    if (!value)
        return fallback;
    if (!json_is_string(value)) {
        json_fields_fail(fields, ERROR_INVALID, key, "must be a string");
        return fallback;
    }
    return json_string_value(value);
}

const json_t *json_fields_array(struct json_fields *fields, const char *key, size_t max)
{
    const json_t *value = fields->status ? NULL : json_fields_get(fields, key);
    if (!value)
        return NULL;
    if (!json_is_array(value) || json_array_size(value) > max) {
        fields->status = error_set(fields->error, ERROR_INVALID,
                                   "%s: %s must be a list of at most %zu elements", fields->where, key, max);
        return NULL;
    }
    return value;
}

const json_t *json_fields_object(struct json_fields *fields, const char *key)
{
    const json_t *value = fields->status ? NULL : json_fields_get(fields, key);
    if (value && !json_is_object(value)) {
        json_fields_fail(fields, ERROR_INVALID, key, "must be an object");
        return NULL;
    }
    return value;
}
