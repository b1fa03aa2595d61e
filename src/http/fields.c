/* One sentence per mistake: the field, what it may be, what it was. */
#include "http/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "service/near.h"

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

/* The value, or NULL when there is none (null counts as none). */
static json_t *value_of(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static bool wrong_type(struct http_exchange *exchange, const char *name, const char *wanted,
                       const json_t *value)
{
    http_reply_problem(exchange, 400, "invalid_type", name, "'%s' must be %s, not %s", name, wanted,
                       type_name(value));
    return false;
}

bool http_field_given(const json_t *object, const char *name)
{
    return value_of(object, name) != NULL;
}

bool http_field_required(struct http_exchange *exchange, const json_t *object, const char *name)
{
    if (value_of(object, name))
        return true;
    http_reply_problem(exchange, 400, "missing_field", name, "'%s' is missing", name);
    return false;
}

bool http_field_boolean(struct http_exchange *exchange, const json_t *object, const char *name, bool *out)
{
    const json_t *value = value_of(object, name);
    if (!value)
        return true;
    if (!json_is_boolean(value))
        return wrong_type(exchange, name, "true or false", value);
    *out = json_is_true(value);
    return true;
}

static bool integer_out_of_range(struct http_exchange *exchange, const char *name, int64_t min, int64_t max)
{
    http_reply_problem(exchange, 400, "out_of_range", name,
                       "'%s' must be a whole number from %" PRId64 " to %" PRId64, name, min, max);
    return false;
}

bool http_field_integer(struct http_exchange *exchange, const json_t *object, const char *name, int64_t min,
                        int64_t max, int64_t *out)
{
    const json_t *value = value_of(object, name);
    if (!value)
        return true;
    if (json_is_real(value))
        return integer_out_of_range(exchange, name, min, max);
    if (!json_is_integer(value))
        return wrong_type(exchange, name, "a whole number", value);
    json_int_t number = json_integer_value(value);
    if (number < min || number > max)
        return integer_out_of_range(exchange, name, min, max);
    *out = number;
    return true;
}

bool http_field_number(struct http_exchange *exchange, const json_t *object, const char *name, double min,
                       double max, double *out)
{
    const json_t *value = value_of(object, name);
    if (!value)
        return true;
    if (!json_is_number(value))
        return wrong_type(exchange, name, "a number", value);
    double number = json_number_value(value);
    if (!isfinite(number) || number < min || number > max) {
        http_reply_problem(exchange, 400, "out_of_range", name, "'%s' must be from %g to %g", name, min, max);
        return false;
    }
    *out = number;
    return true;
}

bool http_field_string(struct http_exchange *exchange, const json_t *object, const char *name,
                       size_t max_bytes, const char **out)
{
    const json_t *value = value_of(object, name);
    if (!value)
        return true;
    if (!json_is_string(value))
        return wrong_type(exchange, name, "a string", value);
    if (json_string_length(value) > max_bytes) {
        http_reply_problem(exchange, 400, "too_long", name, "'%s' has %zu bytes; at most %zu are allowed",
                           name, json_string_length(value), max_bytes);
        return false;
    }
    *out = json_string_value(value);
    return true;
}

bool http_field_choice(struct http_exchange *exchange, const json_t *object, const char *name,
                       const char *const *choices, size_t n_choices, size_t *out)
{
    const json_t *value = value_of(object, name);
    if (!value)
        return true;
    if (!json_is_string(value))
        return wrong_type(exchange, name, "a string", value);
    struct buffer list = {0};
    for (size_t i = 0; i < n_choices; i++) {
        if (strcmp(json_string_value(value), choices[i]) == 0) {
            *out = i;
            buffer_free(&list);
            return true;
        }
        buffer_format(&list, "%s\"%s\"", i == 0 ? "" : i + 1 == n_choices ? " or " : ", ", choices[i]);
    }
    http_reply_problem(exchange, 400, "invalid_choice", name, "'%s' must be %s, not \"%.60s\"", name,
                       list.failed ? "one of its choices" : list.data, json_string_value(value));
    buffer_free(&list);
    return false;
}

bool http_field_array(struct http_exchange *exchange, const json_t *object, const char *name,
                      size_t max_items, json_t **out)
{
    json_t *value = value_of(object, name);
    if (!value)
        return true;
    if (!json_is_array(value))
        return wrong_type(exchange, name, "an array", value);
    if (json_array_size(value) > max_items) {
        http_reply_problem(exchange, 400, "too_many", name, "'%s' has %zu items; at most %zu are allowed",
                           name, json_array_size(value), max_items);
        return false;
    }
    *out = value;
    return true;
}

bool http_field_object(struct http_exchange *exchange, const json_t *object, const char *name, json_t **out)
{
    json_t *value = value_of(object, name);
    if (!value)
        return true;
    if (!json_is_object(value))
        return wrong_type(exchange, name, "an object", value);
    *out = value;
    return true;
}

bool http_fields_known(struct http_exchange *exchange, const json_t *object, const char *const *names,
                       size_t n_names)
{
    for (void *i = json_object_iter((json_t *)(uintptr_t)object); i;
         i = json_object_iter_next((json_t *)(uintptr_t)object, i)) {
        const char *name = json_object_iter_key(i);
        bool known = false;
        for (size_t k = 0; k < n_names && !known; k++)
            known = strcmp(name, names[k]) == 0;
        if (known)
            continue;
        const char *meant = near_name(name, names, n_names);
        http_reply_problem(exchange, 400, "unknown_field", name,
                           "'%.60s' is not a field of this request%s%s%s", name,
                           meant ? " (did you mean '" : "", meant ? meant : "", meant ? "'?)" : "");
        return false;
    }
    return true;
}

bool http_query_integer(struct http_exchange *exchange, const char *name, int64_t min, int64_t max,
                        int64_t *out)
{
    const char *text = http_query(exchange, name);
    if (!text)
        return true;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    const char *digits = text + (*text == '-');
    if (errno || *digits < '0' || *digits > '9' || *end || number < min || number > max)
        return integer_out_of_range(exchange, name, min, max);
    *out = number;
    return true;
}

bool http_query_boolean(struct http_exchange *exchange, const char *name, bool *out, bool *given)
{
    const char *text = http_query(exchange, name);
    *given = text != NULL;
    if (!text)
        return true;
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0)
        return true;
    http_reply_problem(exchange, 400, "invalid_value", name, "'%s' must be true or false", name);
    return false;
}
