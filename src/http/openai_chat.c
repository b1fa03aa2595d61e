/* POST /v1/chat/completions. */
#include <string.h>

#include "http/fields.h"
#include "http/openai.h"

static const char *const chat_names[] = {
    "messages", "max_completion_tokens", "top_logprobs", "response_format", "tools", "tool_choice",
    "parallel_tool_calls", "reasoning_effort", "chat_template_kwargs", "add_generation_prompt",
    /* refused, with a word on why */
    "functions", "function_call", "modalities", "audio", "prediction", "web_search_options", "verbosity"};

/* Fields of OpenAI's that nothing here can do. */
static bool refuse_unsupported(struct http_exchange *exchange, const json_t *body)
{
    static const struct {
        const char *name, *why;
    } fields[] = {
        {"functions", "is deprecated: use 'tools'"},
        {"function_call", "is deprecated: use 'tool_choice'"},
        {"audio", "is not supported: answers are text"},
        {"prediction", "is not supported"},
        {"web_search_options", "is not supported: nothing here searches the web"},
        {"verbosity", "is not supported: say in the system message how long answers should be"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (http_field_given(body, fields[i].name))
            return openai_refuse(exchange, "unsupported_field", fields[i].name, "'%s' %s", fields[i].name,
                                 fields[i].why);
    const json_t *modalities = json_object_get(body, "modalities");
    if (!http_field_given(body, "modalities"))
        return true;
    const char *only =
        json_array_size(modalities) == 1 ? json_string_value(json_array_get(modalities, 0)) : "";
    return (only && strcmp(only, "text") == 0) ||
           openai_refuse(exchange, "unsupported_value", "modalities", "'modalities' can only be [\"text\"]");
}

/* Variables for the template: chat_template_kwargs, and what reasoning_effort is to the templates that know
 * it. "none" is also said in the words of those that only know a switch. */
static bool read_template(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh"};
    static const char *const reserved[] = {"messages", "tools", "add_generation_prompt"};
    json_t *given = NULL;
    size_t effort = 0;
    if (!http_field_object(exchange, body, "chat_template_kwargs", &given) ||
        !http_field_choice(exchange, body, "reasoning_effort", efforts, 6, &effort))
        return false;
    for (size_t i = 0; i < 3; i++)
        if (json_object_get(given, reserved[i]))
            return openai_refuse(exchange, "invalid_value", "chat_template_kwargs",
                                 "'chat_template_kwargs' cannot set \"%s\": it is a field of the request",
                                 reserved[i]);
    bool has_effort = http_field_given(body, "reasoning_effort");
    if (!json_object_size(given) && !has_effort)
        return true;
    json_t *variables = given ? json_copy(given) : json_object();
    if (variables && has_effort) {
        json_object_set_new(variables, "reasoning_effort", json_string(efforts[effort]));
        if (effort == 0)
            json_object_set_new(variables, "enable_thinking", json_false());
    }
    bool ok = openai_dump(exchange, variables, &wish->template_json);
    json_decref(variables);
    wish->options.submit.template_json = wish->template_json;
    return ok;
}

static bool read_logprobs(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    struct engine_submit *submit = &wish->options.submit;
    int64_t top = 0;
    if (!http_field_boolean(exchange, body, "logprobs", &submit->logprobs) ||
        !http_field_integer(exchange, body, "top_logprobs", 0, ENGINE_MAX_LOGPROBS, &top))
        return false;
    submit->top_logprobs = (uint32_t)top;
    return submit->logprobs || !http_field_given(body, "top_logprobs") ||
           openai_refuse(exchange, "invalid_value", "top_logprobs",
                         "'top_logprobs' needs 'logprobs' to be true");
}

static bool read_length(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    int64_t completion = wish->options.submit.max_tokens;
    if (!http_field_integer(exchange, body, "max_completion_tokens", 1, INT32_MAX, &completion))
        return false;
    if (wish->options.submit.max_tokens && completion != wish->options.submit.max_tokens)
        return openai_refuse(
            exchange, "invalid_value", "max_tokens",
            "'max_tokens' and 'max_completion_tokens' are two names of one thing and differ");
    wish->options.submit.max_tokens = (uint32_t)completion;
    return true;
}

/* After tools and format. What ends an answer is either the grammar or the number of tokens. */
static bool check_end(struct http_exchange *exchange, const struct openai_wish *wish)
{
    const struct answer_options *options = &wish->options;
    bool format = options->submit.grammar_kind != ENGINE_GRAMMAR_NONE;
    if (!options->submit.ignore_eos || (!format && options->tools != ANSWER_TOOLS_REQUIRED))
        return true;
    return openai_refuse(
        exchange, "unsupported_value", "ignore_eos",
        "'ignore_eos' cannot be true beside '%s': the answer must end where that ends; leave "
        "one of them out",
        format ? "response_format" : "tool_choice");
}

static bool read_chat(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    wish->chat = true;
    wish->options.parse_reasoning = true;
    wish->options.submit.add_generation_prompt = true;
    return openai_fields_known(exchange, body, chat_names, sizeof chat_names / sizeof *chat_names) &&
           refuse_unsupported(exchange, body) && openai_read_common(exchange, body, wish) &&
           read_length(exchange, body, wish) && read_logprobs(exchange, body, wish) &&
           openai_read_messages(exchange, body, wish) && openai_read_tools(exchange, body, wish) &&
           openai_read_format(exchange, body, wish) && check_end(exchange, wish) &&
           read_template(exchange, body, wish) &&
           http_field_boolean(exchange, body, "add_generation_prompt",
                              &wish->options.submit.add_generation_prompt);
}

void openai_post_chat(struct http_exchange *exchange)
{
    struct openai_request *request = openai_request_open(exchange);
    if (!request)
        return;
    request->prompts.count = 1;
    if (read_chat(exchange, request->body, &request->wish))
        openai_run(exchange, request);
    else
        openai_request_free(request);
}
