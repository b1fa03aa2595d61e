/* One walk along a path, and typed questions about what lies at its end. */
#include "profile/json_get.h"

#include <math.h>
#include <string.h>

/* Takes one step: name is not terminated. */
static const json_t *step(const json_t *json, const char *name, size_t length)
{
    if (length == 0 || length >= JSON_GET_MAX_NAME)
        return NULL;
    if (json_is_object(json)) {
        char key[JSON_GET_MAX_NAME];
        memcpy(key, name, length);
        key[length] = 0;
        return json_object_get(json, key);
    }
    if (!json_is_array(json) || length > 9)
        return NULL;
    size_t index = 0;
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9')
            return NULL;
        index = 10 * index + (size_t)(name[i] - '0');
    }
    return json_array_get(json, index);
}

const json_t *json_get(const json_t *json, const char *path)
{
    while (json && *path) {
        size_t length = strcspn(path, ".");
        json = step(json, path, length);
        path += length;
        if (*path == '.' && !*++path)
            return NULL; /* "a." names nothing */
    }
    return json;
}

double json_get_number(const json_t *json, const char *path)
{
    const json_t *value = json_get(json, path);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    return isfinite(number) ? number : NAN;
}

double json_get_positive(const json_t *json, const char *path)
{
    double number = json_get_number(json, path);
    return number >= 0 ? number : NAN;
}

double json_get_figure(const json_t *json, const char *path)
{
    const json_t *value = json_get(json, path);
    return json_get_number(value, json_is_object(value) ? "median" : "");
}

bool json_get_bool(const json_t *json, const char *path, bool fallback)
{
    const json_t *value = json_get(json, path);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const char *json_get_string(const json_t *json, const char *path)
{
    return json_string_value(json_get(json, path)); /* NULL for all that is not a string */
}

const char *json_get_text(const json_t *json, const char *path, const char *fallback)
{
    const char *text = json_get_string(json, path);
    return text ? text : fallback;
}

bool json_get_is(const json_t *json, const char *path, const char *text)
{
    const char *found = json_get_string(json, path);
    return found && strcmp(found, text) == 0;
}

const char *json_get_reason(const json_t *json, const char *path, const char *fallback)
{
    static const char suffix[] = "_reason";
    char name[4 * JSON_GET_MAX_NAME];
    size_t length = strlen(path);
    if (length + sizeof suffix > sizeof name)
        return fallback;
    memcpy(name, path, length);
    memcpy(name + length, suffix, sizeof suffix);
    return json_get_text(json, name, fallback);
}

const json_t *json_get_object(const json_t *json, const char *path)
{
    const json_t *value = json_get(json, path);
    return json_is_object(value) ? value : NULL;
}

const json_t *json_get_array(const json_t *json, const char *path)
{
    const json_t *value = json_get(json, path);
    return json_is_array(value) ? value : NULL;
}

size_t json_get_count(const json_t *json, const char *path)
{
    size_t count = json_array_size(json_get(json, path)); /* 0 for all that is not an array */
    return count < JSON_GET_MAX_ITEMS ? count : JSON_GET_MAX_ITEMS;
}

const json_t *json_get_item(const json_t *array, size_t i)
{
    return json_array_get(array, i);
}

const json_t *json_get_where(const json_t *json, const char *path, const char *key, const char *text)
{
    const json_t *array = json_get_array(json, path);
    size_t count = json_get_count(array, "");
    for (size_t i = 0; i < count; i++)
        if (json_get_is(json_get_item(array, i), key, text))
            return json_get_item(array, i);
    return NULL;
}

size_t json_get_numbers(const json_t *json, const char *path, const char *member, double *out,
                        size_t capacity)
{
    const json_t *array = json_get_array(json, path);
    size_t count = json_get_count(array, ""), n = 0;
    for (size_t i = 0; i < count && n < capacity; i++) {
        double number = json_get_number(json_get_item(array, i), member);
        if (!isnan(number))
            out[n++] = number;
    }
    return n;
}

long json_get_integer(const json_t *json, const char *path, long minimum, long maximum, long fallback)
{
    const json_t *value = json_get(json, path);
    if (!json_is_integer(value))
        return fallback;
    json_int_t number = json_integer_value(value);
    return number >= minimum && number <= maximum ? (long)number : fallback;
}
