/* Each function's parameters become a definition of one schema. Their own references ("#/$defs/Point") meant
 * their own root, so they are moved under the definition's place.
 */
#include "service/tool_grammar.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

/* Keys whose values are data, not schemas. */
static const char *const data_keys[] = {"const", "enum", "default", "examples", NULL};

/* Keys whose values hold schemas under names of their own, which may be any word. */
static const char *const name_keys[] = {"properties", "patternProperties", "$defs", "definitions", NULL};

static bool is_one_of(const char *const *keys, const char *key)
{
    while (*keys && strcmp(*keys, key) != 0)
        keys++;
    return *keys != NULL;
}

/* Puts `place` before every local reference. named: the object's keys are names, not words of JSON Schema.
 * False: too deep, or memory is short. */
static bool move_references(json_t *schema, bool named, const char *place, unsigned depth)
{
    size_t i;
    json_t *value;
    const char *key;
    void *next;
    if (depth > MAX_DEPTH)
        return false;
    json_array_foreach(schema, i, value) {
        if (!move_references(value, false, place, depth + 1))
            return false;
    }
    if (!json_is_object(schema))
        return true;
    json_object_foreach_safe(schema, next, key, value)
    {
        const char *target = named ? NULL : json_string_value(value);
        if (strcmp(key, "$ref") == 0 && target && target[0] == '#') {
            if (json_object_set_new(schema, key, json_sprintf("#/$defs/%s%s", place, target + 1)))
                return false;
        } else if (named || !is_one_of(data_keys, key)) {
            if (!move_references(value, !named && is_one_of(name_keys, key), place, depth + 1))
                return false;
        }
    }
    return true;
}

/* What a call of one function looks like; its parameters go to *definitions. */
static json_t *call_schema(const json_t *function, size_t index, json_t *definitions)
{
    char place[32];
    snprintf(place, sizeof place, "tool_%zu", index);
    const json_t *declared = json_object_get(function, "parameters");
    json_t *parameters = json_is_object(declared)
                             ? json_deep_copy(declared)
                             : json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);
    if (!parameters)
        return NULL;
    /* OpenAI's type of parameters is object; a schema that leaves it out means it */
    if (!json_object_get(parameters, "type") && !json_object_get(parameters, "$ref") &&
        !json_object_get(parameters, "anyOf"))
        json_object_set_new(parameters, "type", json_string("object"));
    if (!move_references(parameters, false, place, 0) || json_object_set(definitions, place, parameters)) {
        json_decref(parameters);
        return NULL;
    }
    json_decref(parameters);
    return json_pack("{s:s, s:{s:{s:O}, s:{s:o}}, s:[s,s], s:b}", "type", "object", "properties", "name",
                     "const", json_object_get(function, "name"), "arguments", "$ref",
                     json_sprintf("#/$defs/%s", place), "required", "name", "arguments",
                     "additionalProperties", 0);
}

int tool_grammar_schema(const json_t *tools, const char *name, char **out, struct error *error)
{
    json_t *definitions = json_object();
    json_t *calls = json_array();
    size_t i;
    const json_t *tool;
    int failed = !definitions || !calls;
    *out = NULL;
    json_array_foreach(tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        const char *declared = json_string_value(json_object_get(function, "name"));
        if (!failed && declared && (!name || strcmp(declared, name) == 0))
            failed = json_array_append_new(calls, call_schema(function, i, definitions));
    }
    int status = 0;
    if (failed) {
        status = error_memory(error, "a grammar for the tools", 0);
    } else if (!json_array_size(calls)) {
        status = error_set(error, ERROR_INVALID, "tool_choice: no tool \"%.64s\" is among the tools",
                           name ? name : "");
    } else {
        json_t *schema = json_pack("{s:O, s:O}", "anyOf", calls, "$defs", definitions);
        *out = schema ? json_dumps(schema, JSON_COMPACT) : NULL;
        json_decref(schema);
        if (!*out)
            status = error_memory(error, "a grammar for the tools", 0);
    }
    json_decref(calls);
    json_decref(definitions);
    return status;
}
