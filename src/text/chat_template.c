/* The C face of ffi's chat templates: finds the files, hands their bytes over. */
#include "text/chat_template.h"

#include <stdlib.h>
#include <string.h>

#include "text/internal.h"

enum { MAX_TEMPLATE = 1 << 20, MAX_TEMPLATE_JSON = 4 << 20 };

struct chat_template {
    struct llmind_template *handle;
};

int chat_template_open(const char *folder, const struct tokenizer *tokenizer, struct chat_template **out,
                       struct error *error)
{
    char *jinja = NULL;
    char *json = NULL;
    size_t jinja_length = 0;
    size_t json_length = 0;
    char message[ERROR_MESSAGE_MAX];
    *out = NULL;
    struct chat_template *chat_template = calloc(1, sizeof *chat_template);
    if (chat_template == NULL) {
        return error_memory(error, "a chat template", sizeof *chat_template);
    }
    int result =
        text_read_file(folder, "chat_template.jinja", MAX_TEMPLATE, true, &jinja, &jinja_length, error);
    if (result != 0) {
        goto out;
    }
    result =
        text_read_file(folder, "chat_template.json", MAX_TEMPLATE_JSON, true, &json, &json_length, error);
    if (result != 0) {
        goto out;
    }
    result =
        llmind_template_open(tokenizer->handle, (const uint8_t *)jinja, jinja_length, (const uint8_t *)json,
                             json_length, &chat_template->handle, message, sizeof message);
    if (result != 0) {
        error_set(error, result, "%s: %s", folder, message);
        goto out;
    }
    if (chat_template->handle != NULL) {
        *out = chat_template;
        chat_template = NULL;
    }
out:
    free(json);
    free(jinja);
    chat_template_close(chat_template);
    return result;
}

void chat_template_close(struct chat_template *chat_template)
{
    if (chat_template != NULL) {
        llmind_template_close(chat_template->handle);
        free(chat_template);
    }
}

static size_t length_of(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

int chat_template_render(const struct chat_template *chat_template, const struct chat_template_input *input,
                         char **out, size_t *out_length, struct error *error)
{
    struct llmind_template_input rust_input = {
        .struct_size = sizeof rust_input,
        .messages = (const uint8_t *)input->messages_json,
        .messages_length = length_of(input->messages_json),
        .tools = (const uint8_t *)input->tools_json,
        .tools_length = length_of(input->tools_json),
        .extra = (const uint8_t *)input->extra_json,
        .extra_length = length_of(input->extra_json),
        .add_generation_prompt = input->add_generation_prompt,
        .continue_final_message = input->continue_final_message,
    };
    uint8_t *text = NULL;
    size_t length = 0;
    char message[ERROR_MESSAGE_MAX];
    *out = NULL;
    *out_length = 0;
    int result =
        llmind_template_render(chat_template->handle, &rust_input, &text, &length, message, sizeof message);
    if (result != 0) {
        return error_set(error, result, "%s", message);
    }
    char *copy = malloc(length + 1);
    if (copy == NULL) {
        result = error_memory(error, "a rendered prompt", length + 1);
    } else {
        if (length > 0) {
            memcpy(copy, text, length);
        }
        copy[length] = '\0';
        *out = copy;
        *out_length = length;
    }
    llmind_text_free(text, length);
    return result;
}

size_t chat_template_unmark(char *text, size_t length)
{
    static const char mark[] = LLMIND_TEXT_MARK;
    const size_t mark_length = sizeof mark - 1;
    size_t kept = 0;
    size_t i = 0;
    while (i < length) {
        if (length - i >= mark_length && memcmp(text + i, mark, mark_length) == 0) {
            i += mark_length;
        } else {
            text[kept++] = text[i++];
        }
    }
    if (kept < length) {
        text[kept] = '\0';
    }
    return kept;
}
