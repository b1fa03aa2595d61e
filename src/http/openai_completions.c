/* POST /v1/completions: one or several plain prompts, as texts or as token ids, each with n choices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/openai.h"

enum { DEFAULT_TOKENS = 16, MAX_PROMPT_TOKENS = 1 << 20, MAX_CLASSIC_LOGPROBS = 5 };

static const char *const completion_names[] = {"prompt", "echo", "suffix", "best_of"};

struct prompt {
    const char *text; /* borrowed from the body; or */
    int32_t *tokens;  /* owned */
    uint32_t n_tokens;
};
struct prompt_list {
    struct prompt *prompts;
    size_t count;
};

static bool wrong_prompt(struct http_exchange *exchange, const char *what)
{
    return openai_refuse(exchange, "invalid_value", "prompt", "'prompt' %s", what);
}

static bool take_text(struct http_exchange *exchange, const json_t *value, struct prompt *prompt)
{
    prompt->text = json_string_value(value);
    if (!*prompt->text || strlen(prompt->text) != json_string_length(value))
        return wrong_prompt(exchange, "must not be empty, nor have a zero byte in it");
    return true;
}

static bool take_tokens(struct http_exchange *exchange, const json_t *value, struct prompt *prompt)
{
    size_t n = json_array_size(value);
    if (!n || n > MAX_PROMPT_TOKENS)
        return wrong_prompt(exchange, "must have 1 to 1048576 tokens");
    prompt->tokens = calloc(n, sizeof *prompt->tokens);
    if (!prompt->tokens)
        return wrong_prompt(exchange, "is too large: memory is short");
    size_t i;
    const json_t *token;
    json_array_foreach(value, i, token) {
        json_int_t id = json_integer_value(token);
        if (!json_is_integer(token) || id < 0 || id > INT32_MAX)
            return wrong_prompt(exchange,
                                "must be a string, an array of strings, an array of token ids, or an "
                                "array of arrays of token ids");
        prompt->tokens[i] = (int32_t)id;
    }
    prompt->n_tokens = (uint32_t)n;
    return true;
}

static bool take_prompt(struct http_exchange *exchange, const json_t *value, struct prompt_list *list)
{
    struct prompt *prompt = &list->prompts[list->count++];
    if (json_is_string(value))
        return take_text(exchange, value, prompt);
    return take_tokens(exchange, value, prompt); /* what is no array has no tokens */
}

static bool read_prompts(struct http_exchange *exchange, const json_t *body, int64_t n,
                         struct prompt_list *list)
{
    const json_t *prompt = json_object_get(body, "prompt");
    if (!http_field_required(exchange, body, "prompt"))
        return false;
    const json_t *first = json_array_get(prompt, 0);
    bool several = json_is_string(first) || json_is_array(first);
    size_t count = several ? json_array_size(prompt) : 1;
    if (count * (size_t)n > OPENAI_MAX_CHOICES)
        return openai_refuse(exchange, "out_of_range", "prompt",
                             "%zu prompts with n = %d are too many: %d "
                             "choices at most",
                             count, (int)n, OPENAI_MAX_CHOICES);
    list->prompts = calloc(count, sizeof *list->prompts);
    if (!list->prompts)
        return wrong_prompt(exchange, "is too large: memory is short");
    if (!several)
        return take_prompt(exchange, prompt, list);
    size_t i;
    const json_t *one;
    json_array_foreach(prompt, i, one) {
        if (json_is_string(one) != json_is_string(first))
            return wrong_prompt(exchange, "must not mix texts and tokens");
        if (!take_prompt(exchange, one, list))
            return false;
    }
    return true;
}

static void set_prompt(void *context, size_t index, struct engine_submit *submit)
{
    const struct prompt *prompt = &((const struct prompt_list *)context)->prompts[index];
    submit->text = prompt->text;
    submit->tokens = prompt->tokens;
    submit->n_tokens = prompt->n_tokens;
}

static char *prompt_text(void *context, size_t index, struct engine *engine)
{
    const struct prompt *prompt = &((const struct prompt_list *)context)->prompts[index];
    if (prompt->text)
        return strdup(prompt->text);
    struct buffer text = {0};
    buffer_append(&text, "", 0);
    for (uint32_t i = 0; i < prompt->n_tokens; i++) {
        char bytes[ENGINE_EVENT_TEXT];
        size_t length = 0;
        struct error error;
        if (!engine_token_text(engine, prompt->tokens[i], bytes, sizeof bytes, &length, &error))
            buffer_append(&text, bytes, length);
    }
    if (text.failed)
        buffer_free(&text);
    return text.data;
}

/* ---- the other fields ---- */

static bool read_classic_logprobs(struct http_exchange *exchange, const json_t *body,
                                  struct openai_wish *wish)
{
    int64_t top = 0;
    if (!http_field_integer(exchange, body, "logprobs", 0, MAX_CLASSIC_LOGPROBS, &top))
        return false;
    wish->options.submit.logprobs = http_field_given(body, "logprobs");
    wish->options.submit.top_logprobs = (uint32_t)top;
    return true;
}

static bool read_completion(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish,
                            struct prompt_list *list)
{
    int64_t best_of = 0;
    if (!openai_fields_known(exchange, body, completion_names,
                             sizeof completion_names / sizeof *completion_names) ||
        !openai_read_common(exchange, body, wish) || !read_classic_logprobs(exchange, body, wish) ||
        !http_field_boolean(exchange, body, "echo", &wish->echo) ||
        !http_field_integer(exchange, body, "best_of", 1, OPENAI_MAX_N, &best_of))
        return false;
    if (best_of && best_of != wish->n)
        return openai_refuse(exchange, "unsupported_value", "best_of",
                             "'best_of' can only be what 'n' is: every answer that is made is returned");
    if (http_field_given(body, "suffix"))
        return openai_refuse(exchange, "unsupported_field", "suffix",
                             "'suffix' is not supported: models here only continue texts");
    if (wish->echo && wish->options.submit.logprobs)
        return openai_refuse(
            exchange, "unsupported_value", "echo",
            "'echo' with 'logprobs' is not supported: the prompt's own tokens are not scored");
    if (!wish->options.submit.max_tokens)
        wish->options.submit.max_tokens = DEFAULT_TOKENS; /* as OpenAI's */
    return read_prompts(exchange, body, wish->n, list);
}

static void free_prompts(void *context)
{
    struct prompt_list *list = context;
    for (size_t i = 0; i < list->count; i++)
        free(list->prompts[i].tokens);
    free(list->prompts);
    free(list);
}

void openai_post_completions(struct http_exchange *exchange)
{
    struct openai_request *request = openai_request_open(exchange);
    struct prompt_list *list = calloc(1, sizeof *list);
    if (request && list) {
        request->prompts = (struct openai_prompts){
            .set = set_prompt, .text = prompt_text, .free = free_prompts, .context = list};
        if (read_completion(exchange, request->body, &request->wish, list)) {
            request->prompts.count = list->count;
            openai_run(exchange, request);
            return;
        }
    } else if (request) {
        http_reply_problem(exchange, 503, "memory", NULL, "not enough memory for this request");
    }
    if (!request || !request->prompts.context)
        free(list);
    openai_request_free(request);
}
