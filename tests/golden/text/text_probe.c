/* Lets pytest drive src/text: one JSON object a line on stdin, one on stdout.
 *
 *   {"op":"open","folder":F}                       -> {"vocab":N,"bos":I,"eos":I,"template":true}
 *   {"op":"encode","hex":H,"special":B}            -> {"ids":[...]}
 *   {"op":"encode_rendered","hex":H}               -> {"ids":[...]}
 *   {"op":"decode","ids":[...],"special":B,"continues":B} -> {"hex":H,"pieces":[H,...]}
 *   {"op":"render","messages":J,"tools":J?,"extra":J?,"generation":B,"continue":B} -> {"text":T,"ids":[...]}
 *   {"op":"find","content":S}                      -> {"id":I}
 *
 * Every failure is {"code":C,"error":"..."}. Texts travel as hexadecimal, since they need not be UTF-8. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

static struct tokenizer *tokenizer;
static struct chat_template *chat_template;

static json_t *failure(const struct error *error)
{
    return json_pack("{s:i, s:s}", "code", error->code, "error", error->message);
}

static json_t *hex_of(const char *data, size_t length)
{
    char *text = malloc(2 * length + 1);
    if (text == NULL) {
        exit(2);
    }
    for (size_t i = 0; i < length; i++) {
        snprintf(text + 2 * i, 3, "%02x", (unsigned)(unsigned char)data[i]);
    }
    text[2 * length] = '\0';
    json_t *json = json_string(text);
    free(text);
    return json;
}

static char *bytes_of(const char *hex, size_t *length)
{
    *length = strlen(hex) / 2;
    char *data = malloc(*length + 1);
    if (data == NULL) {
        exit(2);
    }
    for (size_t i = 0; i < *length; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        data[i] = (char)strtoul(two, NULL, 16);
    }
    return data;
}

static json_t *ids_of(const struct token_list *list)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < list->count; i++) {
        json_array_append_new(ids, json_integer(list->ids[i]));
    }
    return ids;
}

static void close_all(void)
{
    chat_template_close(chat_template);
    tokenizer_close(tokenizer);
    chat_template = NULL;
    tokenizer = NULL;
}

static json_t *do_open(const json_t *command)
{
    struct error error = {0};
    const char *folder = json_string_value(json_object_get(command, "folder"));
    close_all();
    if (tokenizer_open(folder, &tokenizer, &error) != 0 ||
        chat_template_open(folder, tokenizer, &chat_template, &error) != 0) {
        close_all();
        return failure(&error);
    }
    return json_pack("{s:i, s:i, s:i, s:b}", "vocab", (int)tokenizer_vocab_size(tokenizer), "bos",
                     (int)tokenizer_bos(tokenizer), "eos", (int)tokenizer_eos(tokenizer), "template",
                     chat_template != NULL);
}

static json_t *do_encode(const json_t *command, bool rendered)
{
    struct error error = {0};
    struct token_list list = {0};
    size_t length = 0;
    char *text = bytes_of(json_string_value(json_object_get(command, "hex")), &length);
    int result = rendered
                     ? tokenizer_encode_rendered(tokenizer, text, length, &list, &error)
                     : tokenizer_encode(tokenizer, text, length,
                                        json_is_true(json_object_get(command, "special")), &list, &error);
    json_t *answer = result != 0 ? failure(&error) : json_pack("{s:o}", "ids", ids_of(&list));
    token_list_free(&list);
    free(text);
    return answer;
}

static json_t *do_decode(const json_t *command)
{
    struct detokenizer detokenizer;
    detokenizer_init(&detokenizer, tokenizer, json_is_true(json_object_get(command, "special")),
                     json_is_true(json_object_get(command, "continues")));
    const json_t *ids = json_object_get(command, "ids");
    size_t room = detokenizer_max_piece(tokenizer);
    char *text = malloc((json_array_size(ids) + 1) * room);
    if (text == NULL) {
        exit(2);
    }
    json_t *pieces = json_array();
    size_t length = 0;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        int32_t id = (int32_t)json_integer_value(json_array_get(ids, i));
        size_t piece = detokenizer_push(&detokenizer, id, text + length, room);
        json_array_append_new(pieces, hex_of(text + length, piece));
        length += piece;
    }
    length += detokenizer_finish(&detokenizer, text + length, room);
    json_t *answer = json_pack("{s:o, s:o}", "hex", hex_of(text, length), "pieces", pieces);
    free(text);
    return answer;
}

static json_t *do_render(const json_t *command)
{
    struct error error = {0};
    struct token_list list = {0};
    char *text = NULL;
    size_t length = 0;
    if (chat_template == NULL) {
        return json_pack("{s:i, s:s}", "code", 0, "error", "no template");
    }
    char *messages = json_dumps(json_object_get(command, "messages"), JSON_COMPACT | JSON_ENCODE_ANY);
    char *tools = json_dumps(json_object_get(command, "tools"), JSON_COMPACT);
    char *extra = json_dumps(json_object_get(command, "extra"), JSON_COMPACT);
    struct chat_template_input input = {
        .messages_json = messages,
        .tools_json = tools,
        .extra_json = extra,
        .add_generation_prompt = json_is_true(json_object_get(command, "generation")),
        .continue_final_message = json_is_true(json_object_get(command, "continue")),
    };
    json_t *answer;
    if (chat_template_render(chat_template, &input, &text, &length, &error) != 0) {
        answer = failure(&error);
    } else if (tokenizer_encode_rendered(tokenizer, text, length, &list, &error) != 0) {
        answer = failure(&error);
    } else {
        length = chat_template_unmark(text, length);
        answer = json_pack("{s:s%, s:o}", "text", text, length, "ids", ids_of(&list));
    }
    token_list_free(&list);
    free(text);
    free(extra);
    free(tools);
    free(messages);
    return answer;
}

static json_t *answer_to(const json_t *command)
{
    const char *op = json_string_value(json_object_get(command, "op"));
    if (op == NULL) {
        return NULL;
    }
    if (strcmp(op, "open") == 0) {
        return do_open(command);
    }
    if (tokenizer == NULL) {
        return json_pack("{s:i, s:s}", "code", 0, "error", "nothing is open");
    }
    if (strcmp(op, "encode") == 0) {
        return do_encode(command, false);
    }
    if (strcmp(op, "encode_rendered") == 0) {
        return do_encode(command, true);
    }
    if (strcmp(op, "decode") == 0) {
        return do_decode(command);
    }
    if (strcmp(op, "render") == 0) {
        return do_render(command);
    }
    if (strcmp(op, "find") == 0) {
        return json_pack(
            "{s:i}", "id",
            (int)tokenizer_find(tokenizer, json_string_value(json_object_get(command, "content"))));
    }
    return NULL;
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        json_t *command = json_loads(line, JSON_ALLOW_NUL, NULL);
        json_t *answer = answer_to(command);
        if (answer == NULL) {
            answer = json_pack("{s:i, s:s}", "code", 0, "error", "bad command");
        }
        char *text = json_dumps(answer, JSON_COMPACT);
        printf("%s\n", text != NULL ? text : "{\"code\":0,\"error\":\"answer is not UTF-8\"}");
        fflush(stdout);
        free(text);
        json_decref(answer);
        json_decref(command);
    }
    free(line);
    close_all();
    return 0;
}
