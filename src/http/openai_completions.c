/* POST /v1/completions: one or several plain prompts, as texts or as token ids, each with n choices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/openai.h"

enum { DEFAULT_TOKENS = 16, MAX_CLASSIC_LOGPROBS = 5 };

static const char *const completion_names[] = {"prompt", "echo", "suffix", "best_of"};

static bool read_prompts(struct http_exchange *exchange, const json_t *body, int64_t n,
                         struct openai_inputs *list)
{
    if (!openai_read_inputs(exchange, body, "prompt", list))
        return false;
    if (list->count * (size_t)n > OPENAI_MAX_CHOICES)
        return openai_refuse(exchange, "out_of_range", "prompt",
                             "%zu prompts with n = %d are too many: %d "
                             "choices at most",
                             list->count, (int)n, OPENAI_MAX_CHOICES);
    return true;
}

static void set_prompt(void *context, size_t index, struct engine_submit *submit)
{
    const struct openai_input *prompt = &((const struct openai_inputs *)context)->items[index];
    submit->text = prompt->text;
    submit->tokens = prompt->tokens;
    submit->n_tokens = prompt->n_tokens;
}

static char *prompt_text(void *context, size_t index, struct engine *engine)
{
    const struct openai_input *prompt = &((const struct openai_inputs *)context)->items[index];
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
                            struct openai_inputs *list)
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
    openai_inputs_free(context);
    free(context);
}

void openai_post_completions(struct http_exchange *exchange)
{
    struct openai_request *request = openai_request_open(exchange);
    struct openai_inputs *list = calloc(1, sizeof *list);
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
