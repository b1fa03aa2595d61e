/* Renders a conversation with the model's own chat template (Jinja, as transformers' apply_chat_template).
 *
 * Immutable after opening; any number of threads may render at once. Rendering is bounded: fuel, recursion
 * depth and output size are limited, so that a hostile template ends with an error, never a hang.
 */
#ifndef LLMIND_TEXT_CHAT_TEMPLATE_H
#define LLMIND_TEXT_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct tokenizer;
struct chat_template;

/* Finds the template of a model folder: chat_template.jinja, else tokenizer_config.json's "chat_template" (a
 * string or a named list; "default" is used, "tool_use" when tools are given), else chat_template.json. *out
 * is NULL with result 0 when the model has none. tokenizer is borrowed and must outlive the template: its
 * control tokens are what is marked in text typed by users. */
int chat_template_open(const char *folder, const struct tokenizer *tokenizer, struct chat_template **out,
                       struct error *error);
void chat_template_close(struct chat_template *chat_template); /* NULL is legal */

struct chat_template_input {
    const char *messages_json; /* OpenAI-style array of messages, UTF-8, zero-terminated */
    const char *tools_json;    /* array, or NULL */
    const char *extra_json;    /* object of further variables (enable_thinking, documents, ...), or NULL */
    bool add_generation_prompt;
    bool continue_final_message;
};

/* *out: malloc'ed text of *out_length bytes (also zero-terminated), freed by the caller. Control-token
 * literals that stand in message contents are marked in it (see tokenizer_encode_rendered);
 * chat_template_unmark shows it to people. Errors: ERROR_INVALID with the template's own message
 * (raise_exception) or the line of the failure; ERROR_LIMIT. */
int chat_template_render(const struct chat_template *chat_template, const struct chat_template_input *input,
                         char **out, size_t *out_length, struct error *error);

/* Removes the marks in place, returns the new length. */
size_t chat_template_unmark(char *text, size_t length);

#endif
