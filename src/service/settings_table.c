/* The table, and what follows from it. A setting is listed only when something reads it. */
#include "service/settings_table.h"

#include <string.h>

#include "base/utf8.h"

const struct setting_row setting_rows[] = {
    {"default_model", SETTING_STRING, 0, 500, NULL, "null", "next_start",
     "The model that is loaded at the start, a name from the list of models. null: the built-in one."},
    {"system_prompt", SETTING_STRING, 0, 100000, NULL, "null", "at_once",
     "The system prompt of new chats that bring none of their own. null: none."},
    {"temperature", SETTING_NUMBER, 0, 2, NULL, "null", "at_once",
     "How freely chats choose words; 0 always takes the likeliest. null: what the model recommends."},
    {"top_p", SETTING_NUMBER, 0, 1, NULL, "null", "at_once",
     "Chats choose among the likeliest words that together have this probability. null: what the model "
     "recommends."},
    {"max_tokens", SETTING_INTEGER, 1, 1 << 20, NULL, "null", "at_once",
     "The longest answer of a chat, in tokens. null: as much as the context has room for."},
    {"seed", SETTING_INTEGER, 0, 9007199254740991.0, NULL, "null", "at_once",
     "The same seed gives the same answer to the same question. null: another one each time."},
    {"threads", SETTING_INTEGER, 1, 1024, NULL, "null", "next_start",
     "Processor cores to use. null: all that this process may use."},
    {"context", SETTING_INTEGER, 16, 1 << 24, NULL, "null", "next_start",
     "Tokens that one conversation may have. null: the model's own, at most 8192."},
    {"kv_bits", SETTING_CHOICE, 0, 0, "8|16", "null", "next_start",
     "Bits of a number in the KV cache; 8 halves its memory. null: 16."},
    {"max_sequences", SETTING_INTEGER, 1, 1024, NULL, "null", "next_start",
     "Answers that are written at the same time; further ones wait. null: 32."},
    {"queue_limit", SETTING_INTEGER, 1, 65536, NULL, "null", "next_start",
     "Requests that may wait; a further one is told to try again. null: 128."},
    {"theme", SETTING_CHOICE, 0, 0, "system|light|dark", "\"system\"", "at_once",
     "The colours of the web page."},
};
const size_t n_setting_rows = sizeof setting_rows / sizeof *setting_rows;

const struct setting_row *setting_find(const char *key)
{
    for (size_t i = 0; i < n_setting_rows; i++)
        if (strcmp(setting_rows[i].key, key) == 0)
            return &setting_rows[i];
    return NULL;
}

/* The choices that are digits are numbers in JSON. */
static json_t *choice_value(const char *text, size_t length)
{
    if (strspn(text, "0123456789") >= length) {
        json_int_t number = 0;
        for (size_t i = 0; i < length; i++)
            number = 10 * number + (text[i] - '0');
        return json_integer(number);
    }
    return json_stringn(text, length);
}

static json_t *choice_list(const char *choices)
{
    json_t *list = json_array();
    for (const char *c = choices; list && c;) {
        size_t length = strcspn(c, "|");
        if (json_array_append_new(list, choice_value(c, length))) {
            json_decref(list);
            return NULL;
        }
        c = c[length] ? c + length + 1 : NULL;
    }
    return list;
}

static int check_choice(const struct setting_row *row, const json_t *value, struct error *error)
{
    json_t *list = choice_list(row->choices);
    if (!list)
        return error_memory(error, "a setting", 0);
    bool found = false;
    size_t i;
    json_t *choice;
    json_array_foreach(list, i, choice)
        found |= json_equal(choice, value) != 0;
    json_decref(list);
    return found ? 0 : error_set(error, ERROR_INVALID, "%s must be one of %s", row->key, row->choices);
}

int setting_check(const struct setting_row *row, const json_t *value, struct error *error)
{
    if (row->type == SETTING_CHOICE)
        return check_choice(row, value, error);
    if (row->type == SETTING_STRING) {
        size_t length = json_string_length(value);
        if (!json_is_string(value) || length > row->maximum || strlen(json_string_value(value)) != length)
            return error_set(error, ERROR_INVALID, "%s must be a text of at most %.0f bytes", row->key,
                             row->maximum);
        return 0;
    }
    double number = json_number_value(value);
    bool right = row->type == SETTING_INTEGER ? json_is_integer(value) : json_is_number(value);
    if (!right || !(number >= row->minimum && number <= row->maximum))
        return error_set(error, ERROR_INVALID, "%s must be %s from %.0f to %.0f", row->key,
                         row->type == SETTING_INTEGER ? "an integer" : "a number", row->minimum,
                         row->maximum);
    return 0;
}

json_t *setting_describe(const struct setting_row *row)
{
    static const char *const types[] = {"number", "integer", "string", "choice"};
    bool number = row->type == SETTING_NUMBER || row->type == SETTING_INTEGER;
    json_t *fallback = json_loads(row->fallback, JSON_DECODE_ANY, NULL);
    if (!fallback)
        return NULL;
    json_t *minimum = json_null(), *maximum = json_null();
    if (number) {
        minimum =
            row->type == SETTING_NUMBER ? json_real(row->minimum) : json_integer((json_int_t)row->minimum);
        maximum =
            row->type == SETTING_NUMBER ? json_real(row->maximum) : json_integer((json_int_t)row->maximum);
    }
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:s, s:s}", "key", row->key, "type",
                     types[row->type], "nullable", json_is_null(fallback), "minimum", minimum, "maximum",
                     maximum, "max_bytes",
                     row->type == SETTING_STRING ? json_integer((json_int_t)row->maximum) : json_null(),
                     "choices", row->choices ? choice_list(row->choices) : json_null(), "default", fallback,
                     "takes_effect", row->takes_effect, "description", row->description);
}
