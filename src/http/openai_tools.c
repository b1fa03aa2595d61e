/* What the answer may be: tools and tool_choice, response_format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/openai.h"

static json_t *field_of(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

/* As OpenAI's rule for names. */
static bool is_name(const json_t *value)
{
    const char *name = json_string_value(value);
    return name && *name && json_string_length(value) <= 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
               json_string_length(value);
}

/* 400 for a member that would otherwise be passed over in silence. place: where it is, and the param. */
static bool members_known(struct http_exchange *exchange, const json_t *object, const char *place,
                          const char *const *known, size_t n_known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        bool found = json_is_null(value);
        for (size_t i = 0; i < n_known; i++)
            found = found || strcmp(key, known[i]) == 0;
        if (!found)
            return openai_refuse(exchange, "unknown_field", place, "'%s.%.64s' is not supported", place, key);
    }
    return true;
}

/* ---- tools ---- */

static bool check_tool(struct http_exchange *exchange, const json_t *tool, size_t index)
{
    static const char *const known[] = {"name", "description", "parameters", "strict"};
    static const char *const members[] = {"type", "function"};
    char param[96], inner[112];
    snprintf(param, sizeof param, "tools[%zu]", index);
    snprintf(inner, sizeof inner, "%s.function", param);
    const char *type = json_string_value(field_of(tool, "type"));
    const json_t *function = field_of(tool, "function");
    if (!type || strcmp(type, "function") != 0)
        return openai_refuse(exchange, "unsupported_value", param,
                             "'%s.type' must be \"function\": no other tools are supported", param);
    if (!json_is_object(function))
        return openai_refuse(exchange, "invalid_value", param, "'%s.function' must be an object", param);
    if (!is_name(field_of(function, "name")))
        return openai_refuse(exchange, "invalid_value", param,
                             "'%s.function.name' must be 1 to 64 letters, digits, '_', '-' or '.'", param);
    const json_t *parameters = field_of(function, "parameters");
    const json_t *description = field_of(function, "description");
    if (parameters && !json_is_object(parameters))
        return openai_refuse(exchange, "invalid_value", param,
                             "'%s.function.parameters' must be an object: a JSON schema", param);
    if (description && !json_is_string(description))
        return openai_refuse(exchange, "invalid_value", param, "'%s.function.description' must be a string",
                             param);
    const json_t *strict = field_of(function, "strict");
    if (strict && !json_is_boolean(strict))
        return openai_refuse(exchange, "invalid_value", param, "'%s.function.strict' must be true or false",
                             param);
    return members_known(exchange, tool, param, members, 2) &&
           members_known(exchange, function, inner, known, 4);
}

static bool check_tools(struct http_exchange *exchange, const json_t *tools)
{
    size_t i;
    const json_t *tool;
    json_t *names = json_object();
    bool ok = true;
    json_array_foreach(tools, i, tool) {
        ok = ok && check_tool(exchange, tool, i);
        if (!ok)
            break;
        const char *name = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
        if (json_object_get(names, name))
            ok = openai_refuse(exchange, "invalid_value", "tools", "'tools': \"%s\" is declared twice", name);
        json_object_set_new(names, name, json_true());
    }
    json_decref(names);
    return ok;
}

static bool read_choice(struct http_exchange *exchange, const json_t *body, bool has_tools,
                        struct answer_options *options)
{
    const json_t *choice = field_of(body, "tool_choice");
    const char *word = json_string_value(choice);
    options->tools = has_tools ? ANSWER_TOOLS_AUTO : ANSWER_TOOLS_NONE;
    if (!choice || (word && strcmp(word, "auto") == 0))
        return true;
    if (word && strcmp(word, "none") == 0) {
        options->tools = ANSWER_TOOLS_NONE;
        return true;
    }
    const char *type = json_string_value(field_of(choice, "type"));
    const json_t *name = field_of(field_of(choice, "function"), "name");
    bool named = type && strcmp(type, "function") == 0 && json_is_string(name);
    if (!named && !(word && strcmp(word, "required") == 0))
        return openai_refuse(exchange, "invalid_value", "tool_choice",
                             "'tool_choice' must be \"none\", \"auto\", \"required\" or "
                             "{\"type\": \"function\", \"function\": {\"name\": ...}}");
    if (!has_tools)
        return openai_refuse(exchange, "invalid_value", "tool_choice", "'tool_choice' needs 'tools'");
    options->tools = ANSWER_TOOLS_REQUIRED;
    options->tool_name = json_string_value(name);
    return true;
}

bool openai_read_tools(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    json_t *tools = NULL;
    bool parallel = true;
    if (!http_field_array(exchange, body, "tools", OPENAI_MAX_TOOLS, &tools) ||
        !http_field_boolean(exchange, body, "parallel_tool_calls", &parallel) ||
        (tools && !check_tools(exchange, tools)) ||
        !read_choice(exchange, body, json_array_size(tools) > 0, &wish->options))
        return false;
    wish->options.one_tool_call = !parallel;
    if (wish->options.tools == ANSWER_TOOLS_NONE) /* not shown to the model either */
        return true;
    if (!openai_dump(exchange, tools, &wish->tools_json))
        return false;
    wish->options.submit.tools_json = wish->tools_json;
    return true;
}

/* ---- response_format ---- */

static bool take_schema(struct http_exchange *exchange, json_t *format, struct openai_wish *wish)
{
    static const char param[] = "response_format.json_schema";
    static const char *const known[] = {"name", "description", "schema", "strict"};
    const json_t *description = field_of(format, "json_schema");
    const json_t *schema = field_of(description, "schema");
    const json_t *strict = field_of(description, "strict");
    if (!json_is_object(description))
        return openai_refuse(exchange, "missing_field", param, "'%s' must be an object", param);
    if (!is_name(field_of(description, "name")))
        return openai_refuse(exchange, "invalid_value", "response_format.json_schema.name",
                             "'%s.name' must be 1 to 64 letters, digits, '_', '-' or '.'", param);
    if (!json_is_object(schema))
        return openai_refuse(exchange, "invalid_value", "response_format.json_schema.schema",
                             "'%s.schema' must be an object: a JSON schema", param);
    if (strict && !json_is_boolean(strict))
        return openai_refuse(exchange, "invalid_value", "response_format.json_schema.strict",
                             "'%s.strict' must be true or false", param);
    if (!members_known(exchange, description, param, known, 4) ||
        !openai_dump(exchange, schema, &wish->grammar))
        return false;
    if (strlen(wish->grammar) > OPENAI_MAX_SCHEMA_BYTES)
        return openai_refuse(exchange, "out_of_range", "response_format.json_schema.schema",
                             "'%s.schema' has %zu bytes, at most %d", param, strlen(wish->grammar),
                             OPENAI_MAX_SCHEMA_BYTES);
    wish->options.submit.grammar_kind = ENGINE_GRAMMAR_SCHEMA;
    wish->options.submit.grammar = wish->grammar;
    return true;
}

bool openai_read_format(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    json_t *format = NULL;
    if (!http_field_object(exchange, body, "response_format", &format))
        return false;
    if (!format)
        return true;
    const char *type = json_string_value(field_of(format, "type"));
    bool has_schema = type && strcmp(type, "json_schema") == 0;
    static const char *const known[] = {"type", "json_schema"};
    if (type && !members_known(exchange, format, "response_format", known, has_schema ? 2 : 1))
        return false;
    if (type && strcmp(type, "text") == 0)
        return true;
    if (type && strcmp(type, "json_object") == 0)
        wish->options.submit.grammar_kind = ENGINE_GRAMMAR_JSON;
    else if (!has_schema)
        return openai_refuse(exchange, "invalid_value", "response_format.type",
                             "'response_format.type' must be \"text\", \"json_object\" or \"json_schema\"");
    else if (!take_schema(exchange, format, wish))
        return false;
    if (wish->options.tools == ANSWER_TOOLS_NONE)
        return true;
    return openai_refuse(
        exchange, "unsupported_value", "response_format",
        "'response_format' cannot be enforced while tools may be called; set 'tool_choice' to "
        "\"none\", or leave one of them out");
}
