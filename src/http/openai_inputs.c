/* Texts as OpenAI's API takes them where there is no conversation: a string, an array of them, an array of
 * token ids, or an array of such arrays. */
#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/openai.h"

enum { MAX_TOKENS = 1 << 20 };

static bool wrong(struct http_exchange *exchange, const char *name, const char *what)
{
    return openai_refuse(exchange, "invalid_value", name, "'%s' %s", name, what);
}

static bool take_text(struct http_exchange *exchange, const char *name, const json_t *value,
                      struct openai_input *input)
{
    input->text = json_string_value(value);
    if (!*input->text || strlen(input->text) != json_string_length(value))
        return wrong(exchange, name, "must not be empty, nor have a zero byte in it");
    return true;
}

static bool take_tokens(struct http_exchange *exchange, const char *name, const json_t *value,
                        struct openai_input *input)
{
    size_t n = json_array_size(value);
    if (!n || n > MAX_TOKENS)
        return wrong(exchange, name, "must have 1 to 1048576 tokens");
    input->tokens = calloc(n, sizeof *input->tokens);
    if (!input->tokens)
        return wrong(exchange, name, "is too large: memory is short");
    size_t i;
    const json_t *token;
    json_array_foreach(value, i, token) {
        json_int_t id = json_integer_value(token);
        if (!json_is_integer(token) || id < 0 || id > INT32_MAX)
            return wrong(exchange, name,
                         "must be a string, an array of strings, an array of token ids, or an "
                         "array of arrays of token ids");
        input->tokens[i] = (int32_t)id;
    }
    input->n_tokens = (uint32_t)n;
    return true;
}

static bool take(struct http_exchange *exchange, const char *name, const json_t *value,
                 struct openai_inputs *inputs)
{
    struct openai_input *input = &inputs->items[inputs->count++];
    if (json_is_string(value))
        return take_text(exchange, name, value, input);
    return take_tokens(exchange, name, value, input); /* what is no array has no tokens */
}

bool openai_read_inputs(struct http_exchange *exchange, const json_t *body, const char *name,
                        struct openai_inputs *inputs)
{
    const json_t *value = json_object_get(body, name), *first = json_array_get(value, 0);
    if (!http_field_required(exchange, body, name))
        return false;
    bool several = json_is_string(first) || json_is_array(first);
    size_t count = several ? json_array_size(value) : 1, i;
    if (count > OPENAI_MAX_INPUTS)
        return openai_refuse(exchange, "out_of_range", name, "'%s' has %zu texts: %d at most", name, count,
                             OPENAI_MAX_INPUTS);
    inputs->items = calloc(count, sizeof *inputs->items);
    if (!inputs->items)
        return wrong(exchange, name, "is too large: memory is short");
    if (!several)
        return take(exchange, name, value, inputs);
    const json_t *one;
    json_array_foreach(value, i, one) {
        if (json_is_string(one) != json_is_string(first))
            return wrong(exchange, name, "must not mix texts and tokens");
        if (!take(exchange, name, one, inputs))
            return false;
    }
    return true;
}

void openai_inputs_free(struct openai_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        free(inputs->items[i].tokens);
    free(inputs->items);
    *inputs = (struct openai_inputs){0};
}
